use std::sync::Arc;

use cache_api::{CacheKey, Head, Result};

use super::{CopyOptions, Keys, url_of};
use crate::{Admin, Target};

/// Says under which keys entries lie in the target.
pub(super) struct Keyer<'a> {
    from: &'a Admin,
    to: &'a Admin,
    makes: bool,
    tenants: &'a [Arc<str>],
}

impl<'a> Keyer<'a> {
    pub(super) fn new(from: &'a Admin, to: &'a Admin, options: &'a CopyOptions) -> Self {
        let makes = match options.keys {
            Keys::Auto => from.storage.namespace() != to.storage.namespace(),
            Keys::Keep => false,
            Keys::Make => true,
        };
        Self { from, to, makes, tenants: &options.tenants }
    }

    /// The key in the target of what lies under `key` in the source; `None` where it cannot be told.
    pub(super) async fn key(&self, key: &CacheKey, head: &Head) -> Result<Option<CacheKey>> {
        if !self.makes {
            return Ok(Some(*key));
        }
        // A digest of a value is salted with the old key: nothing would select it. That there was no value has no salt.
        if head.selectors.iter().any(|selector| selector.value.is_some()) {
            return Ok(None);
        }
        let Some(url) = url_of(head) else { return Ok(None) };
        let target = Target::new(head.method.clone(), &url);
        // The old key proves that the request had nothing else that counts.
        if self.from.key_of(&target).await? == Some(*key) {
            return self.to.key_of(&target).await;
        }
        for tenant in self.tenants {
            let target = target.clone().with_tenant(Arc::clone(tenant));
            if self.from.key_of(&target).await? == Some(*key) {
                return self.to.key_of(&target).await;
            }
        }
        Ok(None)
    }
}
