//! `s3:`, `gs:`, `az:` and `file:` URLs.

use std::borrow::Cow;

use cache_api::{Error, ErrorKind, Parameters, Result};

use crate::{
    ObjectStoreStorageBuilder,
    connect::{Bucket, Provider, Target},
    error::error,
};

const SCHEMES: &str = "s3://, gs://, az:// or file://";

/// Settings that every client has. Those of time are our own.
const HTTP: &[&str] = &[
    "allow_http",
    "allow_invalid_certificates",
    "http1_only",
    "http2_only",
    "pool_idle_timeout",
    "pool_max_idle_per_host",
    "proxy_ca_certificate",
    "proxy_excludes",
    "proxy_url",
    "user_agent",
];

const S3: &[&str] = &[
    "access_key_id",
    "secret_access_key",
    "session_token",
    "token",
    "region",
    "default_region",
    "endpoint",
    "endpoint_url",
    "endpoint_url_sts",
    "virtual_hosted_style_request",
    "s3_express",
    "unsigned_payload",
    "checksum_algorithm",
    "skip_signature",
    "disable_bulk_delete",
    "request_payer",
    "imdsv1_fallback",
    "metadata_endpoint",
    "role_arn",
    "role_session_name",
    "web_identity_token_file",
    "server_side_encryption",
    "sse_kms_key_id",
    "sse_bucket_key_enabled",
    "sse_customer_key_base64",
];

const AZURE: &[&str] = &[
    "account_name",
    "account_key",
    "access_key",
    "sas_key",
    "sas_token",
    "bearer_token",
    "client_id",
    "client_secret",
    "tenant_id",
    "authority_host",
    "endpoint",
    "msi_endpoint",
    "object_id",
    "msi_resource_id",
    "federated_token_file",
    "use_azure_cli",
    "use_emulator",
    "skip_signature",
];

const GOOGLE: &[&str] = &[
    "service_account",
    "service_account_path",
    "service_account_key",
    "application_credentials",
    "base_url",
    "bearer_token",
    "skip_signature",
];

/// Takes into the builder what a URL describes. The forms are in the crate's documentation.
pub(crate) fn apply(mut builder: ObjectStoreStorageBuilder, url: &str) -> Result<ObjectStoreStorageBuilder> {
    let (scheme, rest) = url
        .split_once("://")
        .ok_or_else(|| config(format!("the URL of an object store begins with {SCHEMES}")))?;
    if rest.contains('#') {
        return Err(config("the URL of an object store has no fragment: write a '#' as %23"));
    }
    let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
    let provider = match scheme {
        "s3" | "s3a" => Provider::S3,
        "gs" => Provider::Google,
        "az" | "azure" => Provider::Azure,
        "file" => {
            parameters(&mut builder, query, &[])?;
            builder.target = Target::Directory(directory(location)?.into());
            return Ok(builder);
        }
        _ => return Err(config(format!("the scheme of the URL is not {SCHEMES}"))),
    };
    let (name, prefix) = location.split_once('/').unwrap_or((location, ""));
    if name.is_empty() || name.contains(['@', ':']) {
        return Err(config(format!(
            "the URL names no bucket or container: write {scheme}://NAME/PREFIX, and credentials as parameters"
        )));
    }
    let known = match provider {
        Provider::S3 => S3,
        Provider::Azure => AZURE,
        Provider::Google => GOOGLE,
    };
    let options = parameters(&mut builder, query, known)?;
    let prefix = Parameters::decoded("object-store", prefix)?;
    if !prefix.is_empty() {
        builder.prefix = prefix;
    }
    builder.target =
        Target::Bucket(Bucket { provider, name: Parameters::decoded("object-store", name)?, options });
    Ok(builder)
}

fn directory(location: &str) -> Result<String> {
    let location = location.strip_prefix("localhost").unwrap_or(location);
    if !location.starts_with('/') || location == "/" {
        return Err(config("the URL names no directory: write file:///var/cache/http"));
    }
    Parameters::decoded("object-store", location)
}

/// Takes our own parameters, and returns those of the client.
fn parameters(
    builder: &mut ObjectStoreStorageBuilder,
    query: &str,
    known: &'static [&'static str],
) -> Result<Vec<(String, String)>> {
    let mut parameters = Parameters::new("object-store", query)?;
    if let Some(namespace) = parameters.namespace()? {
        builder.namespace = namespace;
    }
    if let Some(bytes) = parameters.bound("max_entry_size")? {
        builder.max_entry_size = bytes;
    }
    if let Some(retention) = parameters.duration("max_retention")? {
        builder.limits = builder.limits.with_max_retention(retention);
    }
    for (name, field) in [
        ("clock_skew", &mut builder.clock_skew),
        ("timeout", &mut builder.timeout),
        ("connect_timeout", &mut builder.connect_timeout),
    ] {
        if let Some(duration) = parameters.duration(name)? {
            *field = duration;
        }
    }
    if let Some(lazy) = parameters.flag("lazy")? {
        builder.lazy = lazy;
    }
    if let Some(create) = parameters.flag("create")? {
        builder.create = create;
    }
    let mut options = Vec::new();
    if !known.is_empty() {
        options = parameters.passed_on(known);
        options.extend(parameters.passed_on(HTTP));
    }
    parameters.finish()?;
    Ok(options)
}

fn config(message: impl Into<Cow<'static, str>>) -> Error {
    error(ErrorKind::Config, "url").with_message(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_names_its_store() {
        for (url, target, prefix) in [
            ("s3://bucket", "s3://bucket", ""),
            ("s3a://bucket/", "s3://bucket", ""),
            ("s3://my.bucket-1/a/b/?region=eu-central-1", "s3://my.bucket-1", "a/b/"),
            ("gs://bucket/a%20b", "gs://bucket", "a b"),
            ("az://container/a?account_name=x", "az://container", "a"),
            ("file:///var/cache/http%20cache", "file:///var/cache/http cache", ""),
            ("file://localhost/var/cache", "file:///var/cache", ""),
        ] {
            let builder = ObjectStoreStorageBuilder::from_url(url).unwrap();
            assert_eq!((&*builder.target.to_string(), &*builder.prefix), (target, prefix), "{url}");
        }
    }

    #[test]
    fn the_clients_settings_are_passed_on_and_not_shown() {
        let url = "s3://b/?access_key_id=hunter1&secret_access_key=hunter%2B2&endpoint=http://127.0.0.1:9000&\
                   allow_http=true&session_token=hunter3&timeout=7s";
        let builder = ObjectStoreStorageBuilder::from_url(url).unwrap();
        let Target::Bucket(bucket) = &builder.target else { panic!() };
        let option = |name: &str| bucket.options.iter().find(|(n, _)| n == name).map(|(_, value)| &**value);
        assert_eq!(option("secret_access_key"), Some("hunter+2"));
        assert_eq!(option("endpoint"), Some("http://127.0.0.1:9000"));
        assert_eq!((option("allow_http"), option("timeout")), (Some("true"), None));
        let shown = format!("{builder:?}");
        assert!(shown.contains("timeout: 7s") && !shown.contains("hunter"), "{shown}");
    }

    #[test]
    #[cfg(all(feature = "aws", feature = "azure", feature = "gcp"))]
    fn the_client_knows_all_settings() {
        use object_store::{aws::AmazonS3ConfigKey, azure::AzureConfigKey, gcp::GoogleConfigKey};
        for name in HTTP.iter().chain(S3) {
            name.parse::<AmazonS3ConfigKey>().unwrap();
        }
        for name in HTTP.iter().chain(AZURE) {
            name.parse::<AzureConfigKey>().unwrap();
        }
        for name in HTTP.iter().chain(GOOGLE) {
            name.parse::<GoogleConfigKey>().unwrap();
        }
    }

    #[test]
    fn parameters_are_taken_or_named() {
        let query = "max_entry_size=2MiB&max_retention=30d&clock_skew=5s&timeout=500ms&lazy=true&create=false&namespace=n";
        for url in ["s3://b", "gs://b", "az://b", "file:///d"] {
            let builder = ObjectStoreStorageBuilder::from_url(&format!("{url}?{query}")).unwrap();
            let shown = format!("{builder:?}");
            for part in [
                "2097152",
                "2592000s",
                "clock_skew: 5s",
                "timeout: 500ms",
                "lazy: true",
                "create: false",
                "Namespace(n)",
            ] {
                assert!(shown.contains(part), "{part} is not in {shown}");
            }
        }
        for (url, part) in [
            ("s3://b?ttl=1", "\"ttl\"; known are namespace, max_entry_size"),
            ("s3://b?account_name=1", "\"account_name\""),
            ("file:///d?region=x", "\"region\""),
            ("s3://b?timeout=soon", "timeout is no duration"),
            ("s3://b?lazy=1", "true nor false"),
            ("s3://b?region=1&region=2", "twice"),
            ("s3://", "names no bucket"),
            ("s3://key:hunter2@b", "credentials as parameters"),
            ("s3://b#f", "no fragment"),
            ("file://", "names no directory"),
            ("file://relative/path", "names no directory"),
            ("file:///", "names no directory"),
            ("redis://h", "is not s3://"),
            ("s3:b", "begins with s3://"),
            ("s3://b?namespace=A", "is no namespace"),
        ] {
            let error = ObjectStoreStorageBuilder::from_url(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{url}");
            assert!(error.to_string().contains(part), "{url}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn no_url_panics_and_nothing_shows_a_password() {
        cache_conformance::urls_keep_secrets(
            &[
                "s3://b/p?region=eu-west-1&access_key_id=a&secret_access_key={password}&timeout=5s",
                "s3://b?session_token={password}&endpoint=http://127.0.0.1:9000&allow_http=true",
                "az://c?account_name=a&account_key={password}&lazy=true",
                "file:///var/cache?namespace=a&create=false",
            ],
            ObjectStoreStorageBuilder::from_url,
        );
    }
}
