//! The fields whose values are not for everyone's eyes.

use http::HeaderName;

pub(crate) const FIELDS: [&str; 11] = [
    "authentication-info",
    "authorization",
    "cookie",
    "proxy-authentication-info",
    "proxy-authorization",
    "set-cookie",
    "set-cookie2",
    "x-amz-security-token",
    "x-api-key",
    "x-auth-token",
    "x-csrf-token",
];

/// Whether a field usually holds a secret: `Set-Cookie`, `Authorization` and their like.
#[must_use]
pub fn is_secret_field(name: &HeaderName) -> bool {
    FIELDS.contains(&name.as_str())
}
