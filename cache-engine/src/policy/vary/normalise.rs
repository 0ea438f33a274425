use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::policy::cache_control::split;

/// How much of a field's value its grammar leaves without meaning.
enum Grammar {
    /// Every byte counts.
    Single,
    /// A list: white space around commas and the spread over lines do not count.
    List,
    /// A list whose order does not count either, since each member carries its own weight.
    Weighted {
        /// Nor does case.
        caseless: bool,
    },
}

/// Feeds the normalised value of a field to `sink`: equal values give equal bytes (RFC 9111 §4.1).
pub(super) fn feed(name: &HeaderName, headers: &HeaderMap, mut sink: impl FnMut(&[u8])) {
    let lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    match grammar(name) {
        Grammar::Single => lines.for_each(|line| {
            sink(line);
            sink(b"\n");
        }),
        Grammar::List => lines.flat_map(split).for_each(|member| {
            sink(member);
            sink(b",");
        }),
        Grammar::Weighted { caseless } => {
            let mut members: Vec<_> =
                lines.flat_map(split).map(|member| weighted(member, caseless)).collect();
            members.sort_unstable();
            members.dedup();
            for member in members {
                sink(&member);
                sink(b",");
            }
        }
    }
}

fn grammar(name: &HeaderName) -> Grammar {
    match *name {
        header::ACCEPT_ENCODING | header::ACCEPT_LANGUAGE | header::ACCEPT_CHARSET => {
            Grammar::Weighted { caseless: true }
        }
        // Parameters of media types may be case-sensitive.
        header::ACCEPT => Grammar::Weighted { caseless: false },
        // Commas within these are no separators, or white space may count.
        header::AUTHORIZATION
        | header::PROXY_AUTHORIZATION
        | header::COOKIE
        | header::USER_AGENT
        | header::REFERER
        | header::ORIGIN
        | header::HOST
        | header::DATE
        | header::IF_MODIFIED_SINCE
        | header::IF_UNMODIFIED_SINCE => Grammar::Single,
        _ => Grammar::List,
    }
}

/// One member without white space, since none is meant outside of quotes.
fn weighted(member: &[u8], caseless: bool) -> Vec<u8> {
    if member.contains(&b'"') {
        return member.to_vec();
    }
    let mut bare: Vec<u8> = member.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if caseless {
        bare.make_ascii_lowercase();
    }
    bare
}
