//! What steers the cache for one request.

use std::sync::Arc;

pub use cache_engine::policy::Controls;
pub use cache_engine::{OwnKey, Tags, Tenant};
use http::Extensions;

/// What steers the cache for one request, beside its header fields. It survives every hop and is never sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steering {
    pub(crate) controls: Option<Controls>,
    pub(crate) tenant: Option<Arc<str>>,
    pub(crate) tags: Vec<Arc<str>>,
    pub(crate) key: Option<Arc<str>>,
}

impl Steering {
    pub(crate) fn is_default(&self) -> bool {
        self.controls.is_none() && self.tenant.is_none() && self.tags.is_empty() && self.key.is_none()
    }

    /// This, and where it says nothing, the other.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            controls: self.controls.or(other.controls),
            tenant: self.tenant.or(other.tenant),
            tags: if self.tags.is_empty() { other.tags } else { self.tags },
            key: self.key.or(other.key),
        }
    }

    /// Tells a request to the cache.
    pub(crate) fn tell<B>(self, request: &mut cache_engine::Request<B>) {
        request.controls = self.controls.unwrap_or_default();
        request.tenant = self.tenant;
        request.tags = self.tags;
        request.key = self.key;
    }

    /// Puts it where a request that leaves its builder carries it.
    pub(crate) fn put_into(self, extensions: &mut Extensions) {
        if let Some(controls) = self.controls {
            extensions.insert(controls);
        }
        if let Some(tenant) = self.tenant {
            extensions.insert(Tenant(tenant));
        }
        if !self.tags.is_empty() {
            extensions.insert(Tags(self.tags));
        }
        if let Some(key) = self.key {
            extensions.insert(OwnKey(key));
        }
    }

    pub(crate) fn take_from(extensions: &mut Extensions) -> Self {
        Self {
            controls: extensions.remove(),
            tenant: extensions.remove::<Tenant>().map(|Tenant(tenant)| tenant),
            tags: extensions.remove::<Tags>().map(|Tags(tags)| tags).unwrap_or_default(),
            key: extensions.remove::<OwnKey>().map(|OwnKey(key)| key),
        }
    }
}
