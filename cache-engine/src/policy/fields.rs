use http::header::{self, HeaderMap, HeaderName};

/// Hop-by-hop fields that have no constant in `http`.
const MORE_HOP_BY_HOP: [&str; 3] = ["keep-alive", "proxy-connection", "proxy-authentication-info"];

/// Whether a field concerns one connection alone and is neither stored nor forwarded (RFC 9111 §3.1).
#[must_use]
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::CONNECTION
            | header::PROXY_AUTHENTICATE
            | header::PROXY_AUTHORIZATION
            | header::TE
            | header::TRAILER
            | header::TRANSFER_ENCODING
            | header::UPGRADE
    ) || MORE_HOP_BY_HOP.contains(&name.as_str())
}

/// The fields of a message without the hop-by-hop ones and those that `Connection` lists (RFC 9110 §7.6.1).
#[must_use]
pub fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let listed = connection_options(headers);
    let mut kept = HeaderMap::with_capacity(headers.keys_len());
    for (name, value) in headers {
        if !is_hop_by_hop(name) && !listed.contains(name) {
            kept.append(name, value.clone());
        }
    }
    kept
}

/// The fields that `Connection` lists, but never one that is meant for all recipients: a restriction cannot be
/// lost by listing it (RFC 9110 §7.6.1).
pub(super) fn connection_options(headers: &HeaderMap) -> Vec<HeaderName> {
    let lines = headers.get_all(header::CONNECTION).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
        .filter_map(|option| HeaderName::from_bytes(option.trim_ascii()).ok())
        .filter(|name| {
            !matches!(
                *name,
                header::CACHE_CONTROL
                    | header::VARY
                    | header::DATE
                    | header::AGE
                    | header::EXPIRES
                    | header::ETAG
                    | header::LAST_MODIFIED
            )
        })
        .collect()
}

/// Fields that describe the body as it is stored: a 304 does not change them (RFC 9111 §3.2).
pub(super) fn describes_stored_body(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::CONTENT_LENGTH | header::CONTENT_ENCODING | header::CONTENT_TYPE | header::CONTENT_RANGE
    )
}
