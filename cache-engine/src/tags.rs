//! The tags under which an answer is stored, and by which it can be purged.

use std::sync::Arc;

use cache_api::TagDigest;
use http::{HeaderMap, HeaderName};

/// Where tags come from, and how many an entry may have.
#[derive(Clone, Debug)]
pub(crate) struct Tagging {
    pub(crate) fields: Arc<[HeaderName]>,
    pub(crate) max: usize,
}

impl Default for Tagging {
    fn default() -> Self {
        let fields = ["cache-tag", "surrogate-key"].map(HeaderName::from_static);
        Self { fields: Arc::new(fields), max: 128 }
    }
}

impl Tagging {
    /// The tags of an answer with these fields to a request that asked for some, beside those that it has already.
    /// `None` where they are more than an entry may have: a purge could not reach it by each of them.
    pub(crate) fn of(
        &self,
        headers: &HeaderMap,
        asked: &[Arc<str>],
        had: &[TagDigest],
    ) -> Option<Arc<[TagDigest]>> {
        let mut tags = had.to_vec();
        tags.extend(asked.iter().map(|tag| TagDigest::of(tag)));
        for value in self.fields.iter().flat_map(|field| headers.get_all(field)) {
            // A tag that is no text cannot be named in a purge either.
            let words = value.as_bytes().split(|byte| *byte == b',' || byte.is_ascii_whitespace());
            let words =
                words.filter_map(|word| std::str::from_utf8(word).ok()).filter(|word| !word.is_empty());
            for word in words {
                // A field may repeat one: only what differs counts. Not looked at too often, however many there are.
                if tags.len() / 2 > self.max {
                    tidy(&mut tags);
                    if tags.len() > self.max {
                        return None;
                    }
                }
                tags.push(TagDigest::of(word));
            }
        }
        tidy(&mut tags);
        (tags.len() <= self.max).then(|| tags.into())
    }
}

fn tidy(tags: &mut Vec<TagDigest>) {
    tags.sort_unstable();
    tags.dedup();
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn headers(lines: &[(&'static str, &[u8])]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| {
                (HeaderName::from_static(name), http::HeaderValue::from_bytes(value).unwrap())
            })
            .collect()
    }

    fn digests(tags: &[&str]) -> Vec<TagDigest> {
        let mut digests: Vec<_> = tags.iter().map(|tag| TagDigest::of(tag)).collect();
        tidy(&mut digests);
        digests
    }

    #[test]
    fn tags_are_words_of_the_fields() {
        for (lines, tags) in [
            (&[][..], &[][..]),
            (&[("cache-tag", &b"a,b"[..])], &["a", "b"]),
            (&[("cache-tag", b" a ,,\tb ,"), ("cache-tag", b"c")], &["a", "b", "c"]),
            (&[("surrogate-key", b"a b  c")], &["a", "b", "c"]),
            (&[("surrogate-key", b"a"), ("cache-tag", b"A")], &["A", "a"]),
            (&[("cache-tag", b"a, a, a")], &["a"]),
            (&[("cache-tag", "é, \u{4e2d}".as_bytes())], &["é", "\u{4e2d}"]),
            (&[("cache-tag", b"\xff, a")], &["a"]),
            (&[("edge-cache-tag", b"a")], &[]),
        ] {
            let found = Tagging::default().of(&headers(lines), &[], &[]).unwrap();
            assert_eq!(found.to_vec(), digests(tags), "{lines:?}");
        }
    }

    #[test]
    fn those_of_the_request_and_those_before_count_too() {
        let tagging = Tagging { max: 3, ..Tagging::default() };
        let asked = ["x y".into()];
        let had = digests(&["old"]);
        let found = tagging.of(&headers(&[("cache-tag", b"a, a, a, a, a")]), &asked, &had).unwrap();
        assert_eq!(found.to_vec(), digests(&["x y", "old", "a"]));
        assert!(tagging.of(&headers(&[("cache-tag", b"a, b")]), &asked, &had).is_none());
        assert!(tagging.of(&headers(&[]), &["a", "b", "c", "d"].map(Into::into), &[]).is_none());
    }

    proptest! {
        /// Whatever the fields hold, the tags are their words, or they are too many.
        #[test]
        fn any_fields_are_words_or_too_many(
            values in vec((any::<bool>(), vec(prop_oneof![0x20_u8..0x7f, 0x80_u8.., Just(b','), Just(b'\t')], 0..60)), 0..6),
            max in 0..12_usize,
        ) {
            let names = ["cache-tag", "surrogate-key"];
            let lines: Vec<_> =
                values.iter().map(|(first, value)| (names[usize::from(*first)], &value[..])).collect();
            // As a text that has a mark for what is none: no word of it is one.
            let words = values.iter().flat_map(|(_, value)| {
                let text = String::from_utf8_lossy(value);
                let words = text.split([',', ' ', '\t']).map(str::to_owned).collect::<Vec<_>>();
                words.into_iter().filter(|word| !word.is_empty() && !word.contains('\u{fffd}'))
            });
            let words: std::collections::BTreeSet<String> = words.collect();
            let tagging = Tagging { max, ..Tagging::default() };
            let expected = digests(&words.iter().map(String::as_str).collect::<Vec<_>>());
            let found = tagging.of(&headers(&lines), &[], &[]).map(|tags| tags.to_vec());
            prop_assert_eq!(found, (words.len() <= max).then_some(expected));
        }
    }
}
