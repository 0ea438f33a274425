use std::time::Duration;

use http::{HeaderMap, HeaderName, header};

/// The largest number of seconds that is told apart: 2^31 (RFC 9111 §1.2.2).
pub(super) const MAX_DELTA: u64 = 1 << 31;

/// The directives of a `Cache-Control` field, of a request or a response.
///
/// Parsing never fails. Unknown directives are left out; of duplicates the most restrictive counts; a
/// lifetime that is no number counts as zero, so that the response is stale (RFC 9111 §4.2.1), and a permission
/// that is none is not given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheControl {
    /// `max-age` (§5.2.1.1, §5.2.2.1).
    pub max_age: Option<Duration>,
    /// `s-maxage` (§5.2.2.10).
    pub s_maxage: Option<Duration>,
    /// `min-fresh` (§5.2.1.3).
    pub min_fresh: Option<Duration>,
    /// `max-stale` (§5.2.1.2); [`Duration::MAX`] where it has no value.
    pub max_stale: Option<Duration>,
    /// `stale-while-revalidate` (RFC 5861 §3).
    pub stale_while_revalidate: Option<Duration>,
    /// `stale-if-error` (RFC 5861 §4).
    pub stale_if_error: Option<Duration>,
    /// `no-cache` (§5.2.1.4, §5.2.2.4).
    pub no_cache: Scope,
    /// `private` (§5.2.2.7).
    pub private: Scope,
    /// `no-store` (§5.2.1.5, §5.2.2.5).
    pub no_store: bool,
    /// `only-if-cached` (§5.2.1.7).
    pub only_if_cached: bool,
    /// `must-revalidate` (§5.2.2.2).
    pub must_revalidate: bool,
    /// `proxy-revalidate` (§5.2.2.8).
    pub proxy_revalidate: bool,
    /// `must-understand` (§5.2.2.3).
    pub must_understand: bool,
    /// `public` (§5.2.2.9).
    pub public: bool,
    /// `immutable` (RFC 8246).
    pub immutable: bool,
}

/// What a directive that may name fields applies to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// The directive is absent.
    #[default]
    Absent,
    /// It applies to these fields alone.
    Fields(Vec<HeaderName>),
    /// It applies to the whole message.
    Whole,
}

impl CacheControl {
    /// The `Cache-Control` of a message, all its lines together.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        Self::parse(headers.get_all(header::CACHE_CONTROL).iter().map(http::HeaderValue::as_bytes))
    }

    /// The directives in `lines`, each the value of one field line.
    #[must_use]
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut parsed = Self::default();
        for line in lines {
            for directive in split(line) {
                parsed.directive(directive);
            }
        }
        parsed
    }

    fn directive(&mut self, directive: &[u8]) {
        let at = directive.iter().position(|&byte| byte == b'=').unwrap_or(directive.len());
        let (name, value) = directive.split_at_checked(at).unwrap_or((directive, &[]));
        let value = value.split_first().map(|(_, value)| value);
        // White space beside "=" is not allowed: the directive is known, its value is not.
        let (name, value) = match name.trim_ascii_end() {
            bare if bare.len() == name.len() => (name, value),
            bare => (bare, value.map(|_| &b"?"[..])),
        };
        self.set(name, value);
    }

    /// Sets one directive. Names are compared without regard to case (§5.2).
    pub(super) fn set(&mut self, name: &[u8], value: Option<&[u8]>) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        let delta = || value.and_then(delta_seconds);
        match name.len() {
            6 if is("public") => self.public = true,
            7 if is("private") => self.private.widen(value),
            7 if is("max-age") => shortest(&mut self.max_age, delta().unwrap_or_default()),
            8 if is("no-cache") => self.no_cache.widen(value),
            8 if is("no-store") => self.no_store = true,
            8 if is("s-maxage") => shortest(&mut self.s_maxage, delta().unwrap_or_default()),
            9 if is("immutable") => self.immutable = true,
            9 if is("min-fresh") => {
                let asked = delta().unwrap_or(Duration::from_secs(MAX_DELTA));
                self.min_fresh = self.min_fresh.max(Some(asked));
            }
            9 if is("max-stale") => {
                let allowed = if value.is_none() { Some(Duration::MAX) } else { delta() };
                shortest(&mut self.max_stale, allowed.unwrap_or_default());
            }
            14 if is("only-if-cached") => self.only_if_cached = true,
            14 if is("stale-if-error") => shortest(&mut self.stale_if_error, delta().unwrap_or_default()),
            15 if is("must-revalidate") => self.must_revalidate = true,
            15 if is("must-understand") => self.must_understand = true,
            16 if is("proxy-revalidate") => self.proxy_revalidate = true,
            22 if is("stale-while-revalidate") => {
                shortest(&mut self.stale_while_revalidate, delta().unwrap_or_default());
            }
            _ => {}
        }
    }
}

impl Scope {
    /// Whether the directive applies to the whole message.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        *self == Self::Whole
    }

    /// The fields it is limited to.
    #[must_use]
    pub fn fields(&self) -> &[HeaderName] {
        match self {
            Self::Fields(fields) => fields,
            Self::Absent | Self::Whole => &[],
        }
    }

    /// Adds one occurrence. A list that cannot be read applies to everything.
    fn widen(&mut self, value: Option<&[u8]>) {
        let named: Option<Vec<_>> = value.and_then(|value| {
            unquoted(value)
                .split(|&byte| byte == b',')
                .map(<[u8]>::trim_ascii)
                .filter(|name| !name.is_empty())
                .map(|name| HeaderName::from_bytes(name).ok())
                .collect()
        });
        match (named.filter(|named| !named.is_empty()), &mut *self) {
            (Some(named), Self::Fields(fields)) => fields.extend(named),
            (Some(named), Self::Absent) => *self = Self::Fields(named),
            (None, _) => *self = Self::Whole,
            (Some(_), Self::Whole) => {}
        }
    }
}

/// `delta-seconds`, quoted or not; too large a number counts as 2^31 (RFC 9111 §1.2.2).
pub(super) fn delta_seconds(value: &[u8]) -> Option<Duration> {
    let digits = unquoted(value);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = digits.iter().fold(0_u64, |sum, digit| {
        sum.saturating_mul(10).saturating_add(u64::from(digit.wrapping_sub(b'0'))).min(MAX_DELTA)
    });
    Some(Duration::from_secs(seconds))
}

/// The members of a comma-separated list without white space around them. Commas within quotes do not
/// separate; a quote that is never closed is an ordinary character.
pub(super) fn split(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = member_end(text);
        let (member, tail) = text.split_at_checked(end).unwrap_or((text, &[]));
        rest = tail.split_first().map(|(_, tail)| tail);
        Some(member.trim_ascii())
    })
    .filter(|member| !member.is_empty())
}

fn member_end(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b',' => return at,
            b'"' => at = closing_quote(text, at).unwrap_or(at) + 1,
            _ => at += 1,
        }
    }
    text.len()
}

fn closing_quote(text: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}

fn shortest(field: &mut Option<Duration>, value: Duration) {
    *field = Some(field.map_or(value, |before| before.min(value)));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn s(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    fn cc(lines: &[&str]) -> CacheControl {
        CacheControl::parse(lines.iter().map(|line| line.as_bytes()))
    }

    #[test]
    fn max_age() {
        let table: &[(&[&str], Option<Duration>)] = &[
            (&["max-age=60"], s(60)),
            (&["MaX-aGe=60"], s(60)),
            (&["max-age=\"60\""], s(60)),
            (&["max-age=0060"], s(60)),
            (&["public,, max-age=60"], s(60)),
            (&["foobar, max-age=60"], s(60)),
            (&["max-age=60, max-age=5"], s(5)),
            (&["max-age=5", "max-age=60"], s(5)),
            (&["max-age=99999999999999999999999999"], s(MAX_DELTA)),
            (&["max-age=2147483647"], s(2_147_483_647)),
            // No number: stale.
            (&["max-age=-1"], s(0)),
            (&["max-age='60'"], s(0)),
            (&["max-age=60.5"], s(0)),
            (&["max-age=a60"], s(0)),
            (&["max-age =60"], s(0)),
            (&["max-age= 60"], s(0)),
            (&["max-age="], s(0)),
            (&["max-age"], s(0)),
            (&["extension=\"max-age=60\", max-age=1"], s(1)),
            (&["max-age=1, extension=\"max-age=60, max-age=0\""], s(1)),
            (&["x=\"a\\\", max-age=7\", max-age=9"], s(9)),
            (&["x=\"open, max-age=7"], s(7)),
            (&["max-agee=60", "xmax-age=60"], None),
            (&[""], None),
        ];
        for (lines, expected) in table {
            assert_eq!(cc(lines).max_age, *expected, "{lines:?}");
        }
    }

    #[test]
    fn scopes() {
        let fields = |names: &[&'static str]| {
            Scope::Fields(names.iter().map(|&n| HeaderName::from_static(n)).collect())
        };
        let table: &[(&[&str], Scope)] = &[
            (&["no-cache"], Scope::Whole),
            (&["No-CaChE"], Scope::Whole),
            (&["no-cache=\"a, B\""], fields(&["a", "b"])),
            (&["no-cache=a"], fields(&["a"])),
            (&["no-cache=\"a\"", "no-cache=\"b\""], fields(&["a", "b"])),
            (&["no-cache=\"a\"", "no-cache"], Scope::Whole),
            (&["no-cache", "no-cache=\"a\""], Scope::Whole),
            (&["no-cache=\"\""], Scope::Whole),
            (&["no-cache=\"a b\""], Scope::Whole),
            (&["no-cache=\"a"], Scope::Whole),
            (&["private"], Scope::Absent),
        ];
        for (lines, expected) in table {
            assert_eq!(cc(lines).no_cache, *expected, "{lines:?}");
        }
        assert_eq!(cc(&["private=\"set-cookie\""]).private, fields(&["set-cookie"]));
    }

    #[test]
    fn requests() {
        assert_eq!(cc(&["max-stale"]).max_stale, Some(Duration::MAX));
        assert_eq!(cc(&["max-stale=5, max-stale"]).max_stale, s(5));
        assert_eq!(cc(&["max-stale=x"]).max_stale, s(0));
        assert_eq!(cc(&["min-fresh=5, min-fresh=9"]).min_fresh, s(9));
        assert_eq!(cc(&["min-fresh=x"]).min_fresh, s(MAX_DELTA));
        assert!(cc(&["only-if-cached, no-store"]).only_if_cached);
    }

    proptest! {
        #[test]
        fn never_panics_and_lifetimes_are_bounded(lines: Vec<Vec<u8>>) {
            let parsed = CacheControl::parse(lines.iter().map(Vec::as_slice));
            prop_assert!(parsed.max_age.unwrap_or_default() <= Duration::from_secs(MAX_DELTA));
        }

        #[test]
        fn directives_survive_company(
            seconds in 0..MAX_DELTA,
            before in "[a-z=\", \\\\-]{0,24}",
            after in "[a-z= -]{0,24}",
        ) {
            // Unbalanced quotes before it never hide a restriction that stands on its own line.
            let text = format!("{after},max-age={seconds}");
            let parsed = CacheControl::parse([before.as_bytes(), text.as_bytes(), b"no-store"]);
            prop_assert!(parsed.no_store);
            prop_assert!(parsed.max_age.is_some_and(|age| age <= Duration::from_secs(seconds)));
        }

        #[test]
        fn more_lines_never_live_longer(first in "(max-age=[0-9a]{0,4},?){0,3}", second in "(max-age=[0-9\"]{0,4},?){0,3}") {
            let one = CacheControl::parse([first.as_bytes()]);
            let both = CacheControl::parse([first.as_bytes(), second.as_bytes()]);
            prop_assert!(one.max_age.is_none() || both.max_age <= one.max_age);
        }
    }
}
