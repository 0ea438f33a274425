//! The stores of a run.

use std::fmt;

use tempfile::TempDir;

use crate::Result;

/// A store, by its URL.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) url: String,
    /// What the run began is gone at its end.
    _directory: Option<TempDir>,
}

/// The stores that were asked for; memory and SQLite where none was.
pub(crate) fn chosen(urls: &[String]) -> Result<Vec<Store>> {
    if urls.is_empty() {
        let mut stores = vec![Store::at("memory:")];
        stores.extend(cfg!(feature = "sqlite").then(|| sqlite("")).transpose()?);
        return Ok(stores);
    }
    Ok(urls.iter().map(|url| Store::at(url)).collect())
}

/// A new SQLite file, with these parameters.
pub(crate) fn sqlite(parameters: &str) -> Result<Store> {
    let directory = TempDir::new()?;
    let url = format!("sqlite://{}{parameters}", directory.path().join("bench.sqlite").display());
    Ok(Store { url, _directory: Some(directory) })
}

impl Store {
    pub(crate) fn at(url: &str) -> Self {
        Self { url: url.to_owned(), _directory: None }
    }

    pub(crate) fn scheme(&self) -> &str {
        self.url.split(':').next().unwrap_or_default()
    }

    pub(crate) fn is_memory(&self) -> bool {
        self.scheme() == "memory"
    }

    /// A parameter of the URL.
    #[allow(dead_code, reason = "without any store but memory")]
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.url.split_once('?')?;
        let pair = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        pair.map(str::to_owned)
    }

    /// The URL without its parameters, which a driver does not know.
    #[allow(dead_code, reason = "without any store but memory")]
    pub(crate) fn bare(&self) -> &str {
        self.url.split('?').next().unwrap_or_default()
    }
}

/// Its scheme: the rest may hold a password.
impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme())
    }
}
