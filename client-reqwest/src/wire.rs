//! The client below the cache, and what it must not do there.

use std::time::Duration;

use crate::error::Error;

/// How the wire is configured.
#[derive(Default)]
pub(crate) struct Wire {
    pub(crate) builder: reqwest::ClientBuilder,
    pub(crate) client: Option<reqwest::Client>,
    pub(crate) connect_timeout: Option<Duration>,
}

impl Wire {
    pub(crate) fn build(self) -> Result<reqwest::Client, Error> {
        let Some(client) = self.client else { return self.build_own() };
        if self.connect_timeout.is_some() {
            return Err(Error::builder(
                "connect_timeout cannot be set on a ready client: set it where it is built",
            ));
        }
        let seen = format!("{client:?}");
        refuse_hidden(&seen)?;
        if !seen.contains("Policy(None)") {
            return Err(Error::builder(
                "a ready client must follow no redirects, since the cache could not tell whose answer it is given: \
                 build it with `redirect(reqwest::redirect::Policy::none())` and set the policy on this builder",
            ));
        }
        Ok(client)
    }

    fn build_own(self) -> Result<reqwest::Client, Error> {
        let mut builder = self.builder;
        if let Some(timeout) = self.connect_timeout {
            builder = builder.connect_timeout(timeout);
        }
        #[cfg(feature = "cookies")]
        {
            builder = builder.cookie_store(false);
        }
        // The `no_*` methods exist whatever features are on, and another crate may have turned those on.
        let client = builder
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .build()?;
        refuse_hidden(&format!("{client:?}"))?;
        Ok(client)
    }
}

/// Refuses a client that adds header fields which the cache cannot see.
fn refuse_hidden(client: &str) -> Result<(), Error> {
    match hidden(client) {
        None => Ok(()),
        Some(Hidden::Fields) => Err(Error::builder(
            "default headers (or a user agent) are set on the wire, where the cache cannot see them and could serve \
             one user's answer to another: set them with `default_headers` or `user_agent` on this builder",
        )),
        Some(Hidden::Cookies) => Err(Error::builder(
            "a cookie store is set on the wire, where the cache cannot see its cookies and could serve one user's \
             answer to another: set it with `cookie_store` or `cookie_provider` on this builder",
        )),
    }
}

/// What a client adds to requests where no cache above it can see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hidden {
    Fields,
    Cookies,
}

/// What the client that has this `Debug` output adds. reqwest has no way to ask; a fresh builder says how nothing looks
/// there.
pub(crate) fn hidden(client: &str) -> Option<Hidden> {
    let fresh = format!("{:?}", reqwest::ClientBuilder::new());
    let none = fresh
        .find("default_headers: {")
        .and_then(|start| fresh.get(start..))
        .and_then(|from| from.split_inclusive('}').next());
    if none.is_some_and(|none| !client.contains(none)) {
        return Some(Hidden::Fields);
    }
    client.contains("cookie_store: true").then_some(Hidden::Cookies)
}
