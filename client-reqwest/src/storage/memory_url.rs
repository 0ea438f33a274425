//! `memory:` URLs: `memory://[namespace][?max_capacity=…&max_entry_size=…]`.

use std::sync::Arc;

use cache_api::{Error, ErrorKind, Namespace, Result, Storage};
use cache_backend_memory::{MemoryStorage, MemoryStorageBuilder};
use url::form_urlencoded;

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
    let mut seen = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if seen.contains(&name) {
            return Err(config(format!("the memory URL has the parameter {name:?} twice")));
        }
        builder = match &*name {
            "max_capacity" => builder.max_capacity(size(&name, &value)?),
            "max_entry_size" => builder.max_entry_size(size(&name, &value)?),
            _ => {
                return Err(config(format!(
                    "the memory URL has the unknown parameter {name:?}; known are max_capacity, max_entry_size"
                )));
            }
        };
        seen.push(name);
    }
    Ok(builder)
}

/// A number of bytes: digits, with `KiB`, `MiB` or `GiB` where wanted.
fn size(name: &str, value: &str) -> Result<u64> {
    let (digits, unit) = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)]
        .into_iter()
        .find_map(|(suffix, unit)| Some((value.strip_suffix(suffix)?, unit)))
        .unwrap_or((value, 1_u64));
    digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).ok_or_else(|| {
        config(format!("{name}={value:?} in the memory URL is no size: write bytes, or as 512MiB or 2GiB"))
    })
}

fn config(message: String) -> Error {
    Error::new(ErrorKind::Config, "url").with_backend("memory").with_message(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_taken_or_named() {
        for (rest, part) in [
            ("", "namespace: Namespace(default)"),
            ("//", "max_capacity: 268435456"),
            ("//api", "namespace: Namespace(api)"),
            ("//?max_capacity=64MiB", "max_capacity: 67108864"),
            ("//a-b?max_capacity=1000&max_entry_size=100", "max_entry_size: Some(100)"),
        ] {
            let shown = format!("{:?}", builder(rest).unwrap());
            assert!(shown.contains(part), "{rest}: {shown}");
        }
        for (rest, part) in [
            ("//A", "is no namespace"),
            ("//?capacity=1", "known are max_capacity"),
            ("//?max_capacity=1GB", "no size"),
            ("//?max_capacity=1&max_capacity=2", "twice"),
            ("//?max_capacity=0", "no entry fits"),
        ] {
            let error = open(rest).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(part), "{rest}: {error}");
        }
    }
}
