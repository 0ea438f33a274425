mod normalise;

use cache_api::{Head, Selector, SelectorDigest, VariantId};
use http::{HeaderMap, HeaderName, header};

use super::{Options, RequestView, part};

/// The context of the digests: a key of its own for each use of BLAKE3.
const SELECTOR: &[u8] = b"selector.v1";
const VARIANT: &[u8] = b"variant.v1";
const PART: &[u8] = b"part.v1";

/// The most fields that `Vary` may name. Each is compared, for each variant, at each lookup; no origin has use for as many.
const MAX_FIELDS: usize = 64;

/// What `Vary` names in a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Vary {
    /// `*`, something that is no list of field names, or more of them than [`MAX_FIELDS`]: no request matches.
    Star,
    /// These fields, in lower case, sorted, each once.
    Fields(Vec<HeaderName>),
}

/// The selectors of a response with these header fields to a request with those (RFC 9111 §4.1).
///
/// `None` where no later request can match: `Vary: *`, more than 64 fields, or one that a redactor ignores.
#[must_use]
pub fn selectors(
    response: &HeaderMap,
    request: &RequestView<'_>,
    options: &Options,
) -> Option<Vec<Selector>> {
    match vary(response) {
        Vary::Star => None,
        Vary::Fields(names) if names.iter().any(|name| options.redactor.ignores_header(name)) => None,
        Vary::Fields(names) => Some(names.into_iter().map(|name| selector(name, request)).collect()),
    }
}

/// A digest of selectors that does not depend on their order.
#[must_use]
pub fn variant_digest(selectors: &[Selector]) -> [u8; 16] {
    digest_under(VARIANT, selectors)
}

/// The name of the variant that a response is. A part has one of its own: it never takes a complete one's place
/// (RFC 9111 §3.3).
#[must_use]
pub fn variant_id(head: &Head) -> VariantId {
    match head.selectors.as_slice() {
        selectors if part::is_part(head) => VariantId::from_bytes(digest_under(PART, selectors)),
        [] => VariantId::ONLY,
        selectors => VariantId::from_bytes(variant_digest(selectors)),
    }
}

fn digest_under(context: &[u8], selectors: &[Selector]) -> [u8; 16] {
    let mut sorted: Vec<&Selector> = selectors.iter().collect();
    sorted.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
    let mut hasher = blake3::Hasher::new();
    hasher.update(context);
    for Selector { name, value } in sorted {
        hasher.update(&length(name.as_str().as_bytes()));
        hasher.update(name.as_str().as_bytes());
        match value {
            Some(SelectorDigest(digest)) => hasher.update(&[1]).update(digest),
            None => hasher.update(&[0]),
        };
    }
    truncated(&hasher)
}

/// Whether a request selects this stored response (RFC 9111 §4.1).
pub(super) fn selects(request: &RequestView<'_>, stored: &Head, options: &Options) -> bool {
    !is_redacted(stored, options)
        && stored.selectors.iter().all(|selector| digest_of(&selector.name, request) == selector.value)
}

/// Whether a stored response was selected by a field that does not count: no request selects it.
pub(super) fn is_redacted(stored: &Head, options: &Options) -> bool {
    stored.selectors.iter().any(|selector| options.redactor.ignores_header(&selector.name))
}

/// Whether a stored response, if it was selected by credentials at all, was selected by those of this request.
pub(super) fn same_account(request: &RequestView<'_>, stored: &Head) -> bool {
    let credentials = |selector: &&Selector| matches!(selector.name, header::AUTHORIZATION | header::COOKIE);
    let mut selectors = stored.selectors.iter().filter(credentials);
    selectors.all(|selector| digest_of(&selector.name, request) == selector.value)
}

/// What `Vary` names, all its lines together.
pub(super) fn vary(headers: &HeaderMap) -> Vary {
    let mut names = Vec::new();
    for line in headers.get_all(header::VARY) {
        for member in line.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            match HeaderName::from_bytes(member) {
                _ if member.is_empty() => {}
                // "*" is a token as well.
                Ok(name) if name.as_str() != "*" => names.push(name),
                _ => return Vary::Star,
            }
        }
    }
    names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    names.dedup();
    if names.len() > MAX_FIELDS { Vary::Star } else { Vary::Fields(names) }
}

pub(super) fn selector(name: HeaderName, request: &RequestView<'_>) -> Selector {
    let value = digest_of(&name, request);
    Selector { name, value }
}

/// The salted digest of the field's normalised value; `None` where the request has no such field.
fn digest_of(name: &HeaderName, request: &RequestView<'_>) -> Option<SelectorDigest> {
    request.headers.contains_key(name).then(|| {
        let mut hasher = blake3::Hasher::new_keyed(request.key);
        hasher.update(SELECTOR);
        hasher.update(&length(name.as_str().as_bytes()));
        hasher.update(name.as_str().as_bytes());
        normalise::feed(name, request.headers, |bytes| {
            hasher.update(bytes);
        });
        SelectorDigest(truncated(&hasher))
    })
}

fn truncated(hasher: &blake3::Hasher) -> [u8; 16] {
    let mut short = [0; 16];
    hasher.finalize_xof().fill(&mut short);
    short
}

fn length(bytes: &[u8]) -> [u8; 8] {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Method};
    use proptest::prelude::*;
    use url::Url;

    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn digest(name: &'static str, lines: &[&str]) -> Option<SelectorDigest> {
        let fields: Vec<_> = lines.iter().map(|line| (name, *line)).collect();
        let (url, fields) = (Url::parse("https://a.example/").unwrap(), headers(&fields));
        digest_of(&HeaderName::from_static(name), &RequestView::new(&Method::GET, &url, &fields, &[7; 32]))
    }

    #[test]
    fn equal_and_unequal_values() {
        type Lines = &'static [&'static str];
        let table: &[(&'static str, Lines, Lines, bool)] = &[
            ("foo", &["1, 2"], &["1", "2"], true),
            ("foo", &["1,2"], &[" 1, 2 "], true),
            ("foo", &["1,2"], &["2,1"], false),
            ("foo", &["a"], &["A"], false),
            ("foo", &["12"], &["1", "2"], false),
            ("foo", &["\"a, b\""], &["\"a,b\""], false),
            ("foo", &[""], &[], false),
            ("accept-language", &["en, de"], &["de, en"], true),
            ("accept-language", &["en, de"], &["eN, De"], true),
            ("accept-language", &["en;q=0.5, de"], &["de, en ; q=0.5"], true),
            ("accept-language", &["en;q=0.5, de"], &["en, de;q=0.5"], false),
            ("accept-language", &["en, de"], &["en"], false),
            ("accept-encoding", &["gzip, br"], &["BR", "GZIP"], true),
            ("accept", &["text/html, */*"], &["*/*, TEXT/html"], false),
            ("accept", &["text/html, */*"], &["*/*,text/html"], true),
            ("cookie", &["a=1, b"], &["a=1,b"], false),
            ("authorization", &["Basic x"], &["basic x"], false),
            ("user-agent", &["x (a, b)"], &["x (a,b)"], false),
        ];
        for (name, a, b, equal) in table {
            assert_eq!(digest(name, a) == digest(name, b), *equal, "{name}: {a:?} and {b:?}");
        }
    }

    #[test]
    fn digests_are_salted_by_key_and_name() {
        let (url, fields) = (Url::parse("https://a.example/").unwrap(), headers(&[("a", "1"), ("b", "1")]));
        let of = |name, key| {
            digest_of(&HeaderName::from_static(name), &RequestView::new(&Method::GET, &url, &fields, key))
        };
        assert_ne!(of("a", &[0; 32]), of("a", &[1; 32]));
        assert_ne!(of("a", &[0; 32]), of("b", &[0; 32]));
    }

    #[test]
    fn what_vary_names() {
        let fields =
            |names: &[&'static str]| Vary::Fields(names.iter().map(|n| HeaderName::from_static(n)).collect());
        let table = [
            (vec![], fields(&[])),
            (vec![""], fields(&[])),
            (vec!["Foo, bar", "FOO"], fields(&["bar", "foo"])),
            (vec!["*"], Vary::Star),
            (vec![", *"], Vary::Star),
            (vec!["", "*"], Vary::Star),
            (vec!["Foo, *"], Vary::Star),
            (vec!["Foo bar"], Vary::Star),
        ];
        for (lines, expected) in table {
            let lines: Vec<_> = lines.iter().map(|line| ("vary", *line)).collect();
            assert_eq!(vary(&headers(&lines)), expected, "{lines:?}");
        }
    }

    proptest! {
        #[test]
        fn variants_do_not_depend_on_order(values in prop::collection::vec(any::<Option<[u8; 16]>>(), 0..5)) {
            let mut selectors: Vec<_> = values
                .iter()
                .enumerate()
                .map(|(n, value)| Selector {
                    name: HeaderName::try_from(format!("x-{n}")).unwrap(),
                    value: value.map(SelectorDigest),
                })
                .collect();
            let digest = variant_digest(&selectors);
            selectors.reverse();
            prop_assert_eq!(digest, variant_digest(&selectors));
        }

        #[test]
        fn distinct_values_stay_distinct(a in "[a-c, ]{0,6}", b in "[a-c, ]{0,6}") {
            // Normalisation removes white space beside commas and empty members, and nothing else.
            let plain = |text: &str| {
                text.split(',').map(str::trim).filter(|m| !m.is_empty()).map(str::to_owned).collect::<Vec<_>>()
            };
            prop_assert_eq!(digest("foo", &[&a]) == digest("foo", &[&b]), plain(&a) == plain(&b));
        }
    }
}
