//! What steers the cache for one request.

use std::sync::Arc;

pub use cache_engine::policy::Controls;
use http::Extensions;

/// What steers the cache for one request, beside its header fields. It survives every hop and is never sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steering {
    pub(crate) controls: Option<Controls>,
    pub(crate) tenant: Option<Arc<str>>,
}

#[derive(Clone)]
struct Tenant(Arc<str>);

impl Steering {
    pub(crate) fn is_default(&self) -> bool {
        self.controls.is_none() && self.tenant.is_none()
    }

    /// This, and where it says nothing, the other.
    pub(crate) fn or(self, other: Self) -> Self {
        Self { controls: self.controls.or(other.controls), tenant: self.tenant.or(other.tenant) }
    }

    /// Puts it where a request that leaves its builder carries it.
    pub(crate) fn put_into(self, extensions: &mut Extensions) {
        if let Some(controls) = self.controls {
            extensions.insert(controls);
        }
        if let Some(tenant) = self.tenant {
            extensions.insert(Tenant(tenant));
        }
    }

    pub(crate) fn take_from(extensions: &mut Extensions) -> Self {
        Self {
            controls: extensions.remove(),
            tenant: extensions.remove::<Tenant>().map(|Tenant(tenant)| tenant),
        }
    }
}
