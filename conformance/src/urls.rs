//! Storage URLs: whatever one says, it is read or refused, and nothing that is said of it shows the password in it.

use std::{
    error::Error as _,
    fmt::Debug,
    panic::{AssertUnwindSafe, catch_unwind},
};

use cache_api::{Error, ErrorKind, Result};
use fastrand::Rng;

/// What stands in an example for its password.
const PLACE: &str = "{password}";

/// No percent-encoding is needed, and no parameter has such a name.
const PASSWORD: &str = "hunter2~s3cr3t";

/// How many URLs are made of each example.
const NEAR: usize = 2000;

/// What URLs are taken apart by, and what is wrong in most places.
const PIECES: [&str; 34] = [
    "%",
    "%zz",
    "%00",
    "%ff",
    "%40",
    "%3F",
    "@",
    ":",
    "/",
    "//",
    "\\",
    "?",
    "#",
    "&",
    "=",
    "&=",
    "+",
    ",",
    "[",
    "]",
    "[::1]",
    " ",
    "\t",
    "\0",
    "é",
    "\u{202e}",
    "-1",
    "65536",
    "99999999999999999999",
    "1GB",
    "none",
    "&lazy=true",
    "&namespace=A",
    "&timeout=soon",
];

/// Reads thousands of URLs near these examples with what a storage has for it, such as its builder's `from_url`.
///
/// Each example is a URL that is read, with `{password}` in the place of the password if it has one. What is held against the reader: it
/// does not panic; each of its errors is of [`ErrorKind::Config`] and has the password in neither `Display` nor `Debug`,
/// those of its sources included; what it has read has none in `Debug` where the password stands in its place.
///
/// ```
/// use cache_api::{Error, ErrorKind};
///
/// let read = |url: &str| match url.strip_prefix("mine://") {
///     Some(_) => Ok("an opaque builder"),
///     None => Err(Error::new(ErrorKind::Config, "url").with_message("the URL begins with mine://")),
/// };
/// cache_conformance::urls_keep_secrets(&["mine://user:{password}@host/?timeout=5s"], read);
/// ```
///
/// # Panics
/// Where any of that does not hold; the message has the URL.
#[allow(clippy::panic, reason = "it is an assertion")]
pub fn urls_keep_secrets<B: Debug>(examples: &[&str], from_url: impl Fn(&str) -> Result<B>) {
    let mut random = Rng::with_seed(7);
    for example in examples {
        let (before, password, after) = match example.split_once(PLACE) {
            Some((before, after)) => (before, PASSWORD, after),
            None => (*example, "", ""),
        };
        let read = |before: &str, after: &str| {
            let url = format!("{before}{password}{after}");
            match catch_unwind(AssertUnwindSafe(|| from_url(&url))) {
                Ok(read) => (url, read),
                Err(_) => panic!("reading {url:?} panics"),
            }
        };
        match read(before, after) {
            (url, Ok(builder)) => hides(&url, &format!("{builder:?}")),
            (url, Err(error)) => panic!("{url:?} is refused: {}", shown(&error)),
        }
        for _ in 0..NEAR {
            // A change before the password may make a host or a file of it, which may be shown.
            let in_place = !before.contains('?') && random.bool();
            let (start, end) = match after.split_once('?') {
                Some((rest, query)) if in_place => {
                    (before.to_owned(), format!("{rest}?{}", near(&mut random, query)))
                }
                _ => (near(&mut random, before), near(&mut random, after)),
            };
            match read(&start, &end) {
                (url, Ok(builder)) if in_place => hides(&url, &format!("{builder:?}")),
                (_, Ok(_)) => {}
                (url, Err(error)) => {
                    hides(&url, &shown(&error));
                    assert_eq!(error.kind(), ErrorKind::Config, "{url:?}: {error}");
                }
            }
        }
    }
}

fn hides(url: &str, shown: &str) {
    assert!(!shown.contains(PASSWORD), "what is said of {url:?} shows the password: {shown}");
}

/// The error as any log may show it.
fn shown(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(" {cause} {cause:?}"));
        source = cause.source();
    }
    text
}

/// The text after up to three changes.
fn near(random: &mut Rng, text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..random.usize(0..=3) {
        let at = random.usize(0..=chars.len());
        let end = (at + random.usize(0..6)).min(chars.len());
        match random.u8(0..4) {
            0 => drop(chars.drain(at..end)),
            1 => {
                let piece: Vec<char> = chars.drain(at..end).collect();
                let twice = piece.iter().chain(&piece).copied();
                drop(chars.splice(at..at, twice));
            }
            _ => {
                let piece = random.choice(PIECES).unwrap_or_default();
                let until = if random.bool() { at } else { end };
                drop(chars.splice(at..until, piece.chars()));
            }
        }
    }
    chars.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLES: [&str; 2] = ["x://u:{password}@host/3?a=1&b=2", "x://host?password={password}"];

    fn refused(message: String) -> Error {
        Error::new(ErrorKind::Config, "url").with_message(message)
    }

    fn fails(reader: impl Fn(&str) -> Result<String>) {
        let found = catch_unwind(AssertUnwindSafe(|| urls_keep_secrets(&EXAMPLES, reader)));
        assert!(found.is_err());
    }

    #[test]
    fn a_reader_that_says_nothing_passes() {
        urls_keep_secrets(&EXAMPLES, |url| {
            if url.contains('%') { Err(refused("it is wrong".to_owned())) } else { Ok("a builder") }
        });
    }

    #[test]
    fn each_fault_is_found() {
        fails(|url| Ok(url.to_owned()));
        fails(|url| if url.contains('%') { Err(refused(url.to_owned())) } else { Ok(String::new()) });
        fails(|url| {
            let cause = std::io::Error::other(url.to_owned());
            if url.contains('[') { Err(refused(String::new()).with_source(cause)) } else { Ok(String::new()) }
        });
        fails(|url| {
            assert!(!url.contains('é'));
            Ok(String::new())
        });
        fails(|url| match url.contains('#') {
            true => Err(Error::new(ErrorKind::Other, "url")),
            false => Ok(String::new()),
        });
        fails(|_| Err(refused("no example is read".to_owned())));
        // Shown where the query is in disorder.
        fails(|url| Ok(if url.contains("&&") { url.to_owned() } else { String::new() }));
    }
}
