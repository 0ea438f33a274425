//! What steers the cache for one request, as the request's extensions.

use std::sync::Arc;

use http::Extensions;

use crate::{network::Request, policy::Controls};

/// The tenant on whose behalf a request is made, as an extension of the request: what is stored for one is never served
/// to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tenant(pub Arc<str>);

/// Tags under which an answer is stored beside those that it names itself, as an extension of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tags(pub Vec<Arc<str>>);

/// A key of the request's own, as an extension of the request: [`Request::key`](crate::Request::key).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OwnKey(pub Arc<str>);

impl OwnKey {
    /// That key.
    #[must_use]
    pub fn new(key: impl Into<Arc<str>>) -> Self {
        Self(key.into())
    }
}

impl Tenant {
    /// The tenant of that name.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }
}

impl Tags {
    /// These tags.
    #[must_use]
    pub fn new<T: Into<Arc<str>>>(tags: impl IntoIterator<Item = T>) -> Self {
        Self(tags.into_iter().map(Into::into).collect())
    }
}

impl<B> Request<B> {
    /// The same with these extensions, except for what steers the cache: [`Controls`], [`Tenant`], [`Tags`] and [`OwnKey`] are
    /// taken out and obeyed, so that nothing below the cache sees them.
    #[must_use]
    pub fn with_extensions(mut self, mut extensions: Extensions) -> Self {
        if let Some(controls) = extensions.remove::<Controls>() {
            self.controls = controls;
        }
        if let Some(Tenant(tenant)) = extensions.remove() {
            self.tenant = Some(tenant);
        }
        if let Some(Tags(tags)) = extensions.remove() {
            self.tags = tags;
        }
        if let Some(OwnKey(key)) = extensions.remove() {
            self.key = Some(key);
        }
        self.extensions = extensions;
        self
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use url::Url;

    use super::*;

    #[test]
    fn what_steers_is_taken_out_and_all_else_stays() {
        let mut extensions = Extensions::new();
        extensions.insert(7_u8);
        let mut controls = Controls::new();
        controls.reload = true;
        extensions.insert(controls);
        extensions.insert(Tenant::new("acme"));
        extensions.insert(Tags::new(["a", "b"]));
        extensions.insert(OwnKey::new("front page"));
        let request = Request::<()>::new(Method::GET, Url::parse("http://a.test/").unwrap());
        let request = request.with_extensions(extensions);
        assert!(request.controls.reload);
        assert_eq!(request.tenant.as_deref(), Some("acme"));
        assert_eq!(request.tags.len(), 2);
        assert_eq!(request.key.as_deref(), Some("front page"));
        assert_eq!((request.extensions.get(), request.extensions.len()), (Some(&7_u8), 1));
    }
}
