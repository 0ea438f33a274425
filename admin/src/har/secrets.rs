//! What is not told.

use std::borrow::Cow;

use http::HeaderName;
use url::{Url, form_urlencoded};

use super::HarOptions;
use crate::target::bare;

/// What stands for a secret.
pub(super) const REDACTED: &str = "redacted";

pub(super) const PARAMETERS: [&str; 24] = [
    "access_token",
    "api_key",
    "api-key",
    "apikey",
    "auth",
    "awsaccesskeyid",
    "client_secret",
    "code",
    "id_token",
    "jwt",
    "key",
    "passwd",
    "password",
    "refresh_token",
    "secret",
    "session",
    "sig",
    "signature",
    "token",
    "x-amz-credential",
    "x-amz-security-token",
    "x-amz-signature",
    "x-goog-credential",
    "x-goog-signature",
];

impl HarOptions {
    pub(super) fn hides(&self, field: &HeaderName) -> bool {
        !self.show_secrets && self.headers.contains(field)
    }

    fn hides_parameter(&self, name: &str) -> bool {
        self.parameters.iter().any(|secret| secret.eq_ignore_ascii_case(name))
    }

    /// A URL or a reference to one, with its secrets replaced.
    pub(super) fn url<'u>(&self, text: &'u str) -> Cow<'u, str> {
        if self.show_secrets {
            return Cow::Borrowed(text);
        }
        let (rest, fragment) = match text.split_once('#') {
            Some((rest, fragment)) => (rest, Some(fragment)),
            None => (text, None),
        };
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let mut shown = without_credentials(path);
        // What some sign-ins put into the fragment has the form of a query.
        for (mark, part) in [('?', query), ('#', fragment)] {
            if let Some(part) = part {
                shown.push(mark);
                self.parameters_of(part, &mut shown);
            }
        }
        Cow::Owned(shown)
    }

    fn parameters_of(&self, query: &str, shown: &mut String) {
        for (index, pair) in query.split('&').enumerate() {
            if index > 0 {
                shown.push('&');
            }
            match (pair.split_once('='), form_urlencoded::parse(pair.as_bytes()).next()) {
                (Some((raw, _)), Some((name, _))) if self.hides_parameter(&name) => {
                    shown.push_str(raw);
                    shown.push('=');
                    shown.push_str(REDACTED);
                }
                _ => shown.push_str(pair),
            }
        }
    }
}

/// A URL up to its path, without user and password; with them in a reference that is no URL, the authority goes whole.
fn without_credentials(text: &str) -> String {
    let Some((before, after)) = text.split_once("//") else {
        return text.to_owned();
    };
    let authority = after.split(['/', '\\']).next().unwrap_or_default();
    if !authority.contains('@') {
        return text.to_owned();
    }
    match Url::parse(text) {
        Ok(url) => bare(&url).into(),
        Err(_) => format!("{before}//{REDACTED}{}", after.strip_prefix(authority).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_in_a_url_is_replaced_and_nothing_else() {
        for (url, shown) in [
            ("https://a.test/x", "https://a.test/x"),
            ("https://a.test/x?page=2&token=t&sort=%20b", "https://a.test/x?page=2&token=redacted&sort=%20b"),
            ("https://a.test/x?TOKEN=t", "https://a.test/x?TOKEN=redacted"),
            ("https://a.test/x?%74oken=t%26u", "https://a.test/x?%74oken=redacted"),
            ("https://a.test/x?token", "https://a.test/x?token"),
            ("https://a.test/x?token=a=b&token=c", "https://a.test/x?token=redacted&token=redacted"),
            ("https://a.test/#access_token=t&a=b", "https://a.test/#access_token=redacted&a=b"),
            ("https://a.test/?a=b#token=t", "https://a.test/?a=b#token=redacted"),
            ("/there?key=k", "/there?key=redacted"),
            ("https://user:pass@a.test/x?a", "https://a.test/x?a"),
            ("//user:pass@a.test/x", "//redacted/x"),
            ("/x//mail@a.test", "/x//redacted"),
            ("https://a.test/@me//b", "https://a.test/@me//b"),
            ("?", "?"),
            ("", ""),
        ] {
            assert_eq!(HarOptions::new().url(url), shown, "{url}");
            assert_eq!(HarOptions::new().show_secrets(true).url(url), url);
        }
        assert_eq!(HarOptions::new().secret_parameters(["Page"]).url("/?page=1"), "/?page=redacted");
    }
}
