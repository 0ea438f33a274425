//! Where an application keeps its cache.

use std::path::{Component, Path, PathBuf};

use crate::error::Error;

/// `<the user's cache directory>/<name>/http.sqlite`.
pub(crate) fn cache_file(name: &str) -> Result<PathBuf, Error> {
    let mut parts = Path::new(name).components();
    let one_name =
        matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name);
    if !one_name || name.contains(['/', '\\', ':', '\0']) {
        return Err(Error::builder(format!(
            "`{name}` cannot be the name of an application's cache directory: use a plain file name"
        )));
    }
    let dirs = directories::BaseDirs::new().ok_or_else(|| {
        Error::builder(
            "this user has no home directory: open a file with `builder().storage_url(\"sqlite://…\")`",
        )
    })?;
    Ok(dirs.cache_dir().join(name).join("http.sqlite"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_directory() {
        let file = cache_file("my-app").unwrap();
        assert!(file.ends_with("my-app/http.sqlite"), "{file:?}");
        for name in ["", ".", "..", "a/b", "/etc", "a\\b", "../a", "c:", "a/"] {
            assert!(cache_file(name).unwrap_err().is_builder(), "{name}");
        }
    }
}
