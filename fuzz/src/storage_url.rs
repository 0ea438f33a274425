//! Storage URLs: whatever they say, they are read or refused, and no message shows what may be a password.

use cache_api::Parameters;
use cache_backend_object_store::ObjectStoreStorageBuilder;

const SECRET: &str = "s3cr3t-hunter2";

/// Reads the text as a URL, as its parameters, and around a password.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = ObjectStoreStorageBuilder::from_url(text);
    let _ = Parameters::decoded("example", text);
    let _ = parameters(text);
    for query in [format!("{text}&max_size={SECRET}"), format!("password={SECRET}&{text}")] {
        if let Err(error) = parameters(&query) {
            assert!(!shown(&error).contains(SECRET), "{error}");
        }
    }
    for url in [format!("s3://user:{SECRET}@{text}"), format!("file:///{text}?secret_access_key={SECRET}")] {
        match ObjectStoreStorageBuilder::from_url(&url) {
            Ok(builder) => assert!(text.contains('?') || !format!("{builder:?}").contains(SECRET)),
            Err(error) => assert!(!shown(&error).contains(SECRET), "{error}"),
        }
    }
}

fn parameters(query: &str) -> cache_api::Result<()> {
    let mut parameters = Parameters::new("example", query)?;
    let _ = parameters.text("password");
    let _ = parameters.size("size")?;
    let _ = parameters.bound("max_size")?;
    let _ = parameters.duration("timeout")?;
    let _ = parameters.flag("lazy")?;
    let _ = parameters.namespace()?;
    let _ = parameters.parsed::<u16>("port", "a port")?;
    let _ = parameters.passed_on(&["region", "options[…]"]);
    parameters.finish()
}

fn shown(error: &cache_api::Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(" {cause} {cause:?}"));
        source = cause.source();
    }
    text
}
