//! Opening what a storage URL names.

use std::{borrow::Cow, sync::Arc, time::SystemTime};

use cache_admin::Admin;
use cache_api::{Serializer, Storage};
use cache_engine::{Clock as _, SystemClock};
use client_reqwest::storage_from_url;

use crate::{
    args::{Global, Users},
    failure::Result,
};

/// The storages that would create what is not there, and can be told not to.
const CREATE: [&str; 7] = ["sqlite", "postgres", "postgresql", "file", "s3", "gs", "az"];

/// A cache that is there: nothing is created.
pub(crate) async fn existing(global: &Global) -> Result<Admin> {
    existing_at(global.storage()?, global.encoding.serializer()?, global).await
}

/// The same of another URL than that of `--storage`, and with that serializer.
pub(crate) async fn existing_at(
    url: &str,
    serializer: Arc<dyn Serializer>,
    global: &Global,
) -> Result<Admin> {
    Ok(admin(storage_from_url(&without_creating(url)).await?, serializer, global))
}

/// A cache that is created where it is not there.
pub(crate) async fn or_created(url: &str, serializer: Arc<dyn Serializer>, global: &Global) -> Result<Admin> {
    Ok(admin(storage_from_url(url).await?, serializer, global))
}

/// The time by which entries are judged.
pub(crate) fn now() -> SystemTime {
    SystemClock.now()
}

fn admin(storage: Arc<dyn Storage>, serializer: Arc<dyn Serializer>, global: &Global) -> Admin {
    Admin::new(storage, serializer).with_options(global.options(Users::Private))
}

fn without_creating(url: &str) -> Cow<'_, str> {
    let scheme = url.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let query = url.split_once('?').map(|(_, query)| query);
    let said = query.is_some_and(|query| query.split('&').any(|pair| pair.starts_with("create=")));
    if said || !CREATE.contains(&&*scheme) {
        return Cow::Borrowed(url);
    }
    let separator = match query {
        None => "?",
        Some("") => "",
        Some(_) => "&",
    };
    Cow::Owned(format!("{url}{separator}create=false"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_can_be_told_is_told_not_to_create() {
        for (url, told) in [
            ("sqlite://a", "sqlite://a?create=false"),
            ("sqlite://a?", "sqlite://a?create=false"),
            ("SQLite://a?namespace=n", "SQLite://a?namespace=n&create=false"),
            ("sqlite://a?create=true", "sqlite://a?create=true"),
            ("postgres://u:p@h/d", "postgres://u:p@h/d?create=false"),
            ("file:///a", "file:///a?create=false"),
            ("redis://h", "redis://h"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(without_creating(url), told);
        }
    }
}
