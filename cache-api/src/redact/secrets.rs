use std::{borrow::Cow, collections::BTreeSet, fmt, sync::Arc};

use aho_corasick::{
    Anchored,
    automaton::{Automaton, StateID},
    nfa::noncontiguous::NFA,
};
use http::{HeaderName, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use url::form_urlencoded;

/// A shorter value is found by chance.
const MIN: usize = 4;
/// A cookie from here on may name a session; shorter ones are languages and themes.
const MIN_COOKIE: usize = 16;
/// How much of a value is looked for.
const MAX: usize = 1024;
/// How much is looked for in all: what a request asks for beyond it is not stored at all.
const MAX_TOTAL: usize = 256 * 1024;

/// The unreserved characters stand for themselves (RFC 3986 §2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The values of one request that must leave no trace.
#[derive(Clone)]
pub struct Secrets(Option<Arc<NFA>>);

/// Looks for the values of a request in bytes that come piece by piece. It keeps one state and no bytes: a value that lies
/// across pieces is found, too.
#[derive(Clone)]
pub struct Scan {
    /// Without it there are more values than can be looked for, and all is taken for one.
    automaton: Option<Arc<NFA>>,
    state: StateID,
}

impl Secrets {
    /// Begins to look for them.
    #[must_use]
    pub fn scan(&self) -> Scan {
        let automaton = self.0.clone();
        let start = automaton.as_ref().and_then(|nfa| nfa.start_state(Anchored::No).ok());
        Scan { automaton: automaton.filter(|_| start.is_some()), state: start.unwrap_or(StateID::ZERO) }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

impl Scan {
    /// Whether one of them ends in these bytes.
    #[must_use]
    pub fn finds(&mut self, bytes: &[u8]) -> bool {
        let Some(nfa) = &self.automaton else { return true };
        bytes.iter().any(|&byte| {
            self.state = nfa.next_state(Anchored::No, self.state, byte);
            nfa.is_match(self.state)
        })
    }
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan").finish_non_exhaustive()
    }
}

/// Values as they are gathered, in each form in which one may come back.
#[derive(Default)]
pub(super) struct Values(BTreeSet<Vec<u8>>);

impl Values {
    /// A header field.
    pub(super) fn field(&mut self, name: &HeaderName, value: &[u8]) {
        self.bytes(value);
        if *name == header::COOKIE {
            for cookie in value.split(|&byte| byte == b';').map(<[u8]>::trim_ascii) {
                let at = cookie.iter().position(|&byte| byte == b'=').map_or(0, |at| at + 1);
                if let Some(value) = cookie.get(at..).filter(|value| value.len() >= MIN_COOKIE) {
                    self.encoded(value);
                }
            }
        } else if let Some((_scheme, credentials)) =
            value.iter().position(|&byte| byte == b' ').and_then(|at| value.split_at_checked(at + 1))
        {
            self.bytes(credentials.trim_ascii());
        }
    }

    /// A value as a query, a form or a cookie has it.
    pub(super) fn encoded(&mut self, raw: &[u8]) {
        self.bytes(raw);
        self.bytes(&Cow::from(percent_decode(raw)));
        if raw.contains(&b'+') {
            let spaced: Vec<u8> = raw.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
            self.bytes(&Cow::from(percent_decode(&spaced)));
        }
    }

    fn bytes(&mut self, value: &[u8]) {
        match std::str::from_utf8(value) {
            Ok(text) => self.plain(text),
            Err(_) => self.form(value),
        }
    }

    /// A value that is not encoded.
    pub(super) fn plain(&mut self, text: &str) {
        // Twice as much as counts, since the end of a form may be less of it.
        let text = text.get(..text.floor_char_boundary(2 * MAX)).unwrap_or(text);
        self.form(text.as_bytes());
        self.form(form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().as_bytes());
        self.form(utf8_percent_encode(text, ENCODED).to_string().as_bytes());
        if let Ok(json) = serde_json::to_string(text) {
            let json = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or_default();
            self.form(json.as_bytes());
            self.form(json.replace('/', "\\/").as_bytes());
            self.form(in_ascii(json).as_bytes());
        }
        let html =
            text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        self.form(html.as_bytes());
        self.form(html.replace('\'', "&#39;").as_bytes());
        self.form(html.replace('\'', "&#x27;").as_bytes());
    }

    fn form(&mut self, form: &[u8]) {
        if form.len() >= MIN {
            self.0.insert(form.get(..MAX).unwrap_or(form).to_vec());
        }
    }

    pub(super) fn into_secrets(self) -> Option<Secrets> {
        if self.0.is_empty() {
            return None;
        }
        let total = self.0.iter().map(Vec::len).fold(0, usize::saturating_add);
        // Hex digits of an encoding may be of either case.
        let automaton = || NFA::builder().ascii_case_insensitive(true).build(&self.0).ok();
        Some(Secrets((total <= MAX_TOTAL).then(automaton).flatten().map(Arc::new)))
    }
}

/// JSON with all that is not ASCII, and what HTML would take for markup, as `\u` escapes.
fn in_ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for char in json.chars() {
        if char.is_ascii() && !matches!(char, '<' | '>' | '&') {
            out.push(char);
        } else {
            char.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        }
    }
    out
}
