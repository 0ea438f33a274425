//! The stores of a run.

use std::fmt;

use crate::Result;

/// A store, by its URL.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) url: String,
}

/// The stores that were asked for.
pub(crate) fn chosen(urls: &[String]) -> Result<Vec<Store>> {
    let mut stores: Vec<_> = urls.iter().map(|url| Store { url: url.clone() }).collect();
    if stores.is_empty() {
        stores.push(Store { url: "memory:".to_owned() });
    }
    Ok(stores)
}

impl Store {
    pub(crate) fn scheme(&self) -> &str {
        self.url.split(':').next().unwrap_or_default()
    }

    pub(crate) fn is_memory(&self) -> bool {
        self.scheme() == "memory"
    }
}

/// Its scheme: the rest may hold a password.
impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme())
    }
}
