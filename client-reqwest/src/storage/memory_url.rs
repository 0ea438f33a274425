//! `memory:` URLs: `memory://[namespace][?max_capacity=…&max_entry_size=…]`.

use std::sync::Arc;

use cache_api::{Limits, Namespace, Parameters, Result, Storage};
use cache_backend_memory::{MemoryStorage, MemoryStorageBuilder};

/// The storage that the rest of a URL, after its scheme, describes.
pub(super) fn open(rest: &str) -> Result<Arc<dyn Storage>> {
    Ok(Arc::new(builder(rest)?.build()?))
}

fn builder(rest: &str) -> Result<MemoryStorageBuilder> {
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (namespace, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut builder = MemoryStorage::builder();
    if !namespace.is_empty() {
        builder = builder.namespace(Namespace::new(namespace)?);
    }
    let mut parameters = Parameters::new("memory", query)?;
    if let Some(bytes) = parameters.size("max_capacity")? {
        builder = builder.max_capacity(bytes);
    }
    if let Some(bytes) = parameters.size("max_entry_size")? {
        builder = builder.max_entry_size(bytes);
    }
    if let Some(retention) = parameters.duration("max_retention")? {
        builder = builder.limits(Limits::default().with_max_retention(retention));
    }
    parameters.finish()?;
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use cache_api::ErrorKind;

    use super::*;

    #[test]
    fn each_part_is_taken_or_named() {
        for (rest, part) in [
            ("", "namespace: Namespace(default)"),
            ("//", "max_capacity: 268435456"),
            ("//api", "namespace: Namespace(api)"),
            ("//?max_capacity=64MiB", "max_capacity: 67108864"),
            ("//a-b?max_capacity=1000&max_entry_size=100", "max_entry_size: Some(100)"),
            ("//?max_retention=1h", "max_retention: 3600s"),
        ] {
            let shown = format!("{:?}", builder(rest).unwrap());
            assert!(shown.contains(part), "{rest}: {shown}");
        }
        for (rest, part) in [
            ("//A", "is no namespace"),
            ("//?capacity=1", "\"capacity\"; known are max_capacity, max_entry_size, max_retention"),
            ("//?max_capacity=1GB", "no size"),
            ("//?max_capacity=1&max_capacity=2", "twice"),
            ("//?max_capacity=0", "no entry fits"),
        ] {
            let error = open(rest).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(part), "{rest}: {error}");
        }
    }

    #[test]
    fn no_url_panics() {
        let example = "//api?max_capacity=64MiB&max_entry_size=100&max_retention=1h";
        cache_conformance::urls_keep_secrets(&[example], builder);
    }
}
