use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use percent_encoding::percent_decode_str;
use url::form_urlencoded;

use crate::{Error, ErrorKind, Namespace, Result};

/// The parameters of a storage URL: what follows its `?`.
///
/// Every backend reads them alike. A backend asks for each parameter that it knows, by name and type, and then
/// calls [`finish`](Self::finish), which refuses what nobody asked for.
///
/// | type | is written |
/// |---|---|
/// | [`size`](Self::size) | `1048576` (bytes), `64KiB`, `512MiB`, `2GiB` |
/// | [`bound`](Self::bound) | a size, or `none` |
/// | [`duration`](Self::duration) | `10` (seconds), `500ms`, `10s`, `15m`, `12h`, `30d` |
/// | [`flag`](Self::flag) | `true`, `false` |
/// | [`namespace`](Self::namespace) | 1 to 48 of `a-z`, `0-9`, `_` and `-` |
/// | [`text`](Self::text), [`parsed`](Self::parsed) | as the backend says |
///
/// `%20` and the like are decoded in names and values, and `+` is a space: a `+` is written `%2B`. No parameter
/// stands twice.
///
/// Each error is of [`ErrorKind::Config`] and names the parameter. None shows a value, for it may be a password; nor
/// a name where there is an `@`, or one of the names looks like a piece of a password with a `?` in it.
///
/// ```
/// use std::time::Duration;
/// use cache_api::{ErrorKind, Parameters};
///
/// let mut parameters = Parameters::new("example", "max_size=512MiB&timeout=5s")?;
/// assert_eq!(parameters.bound("max_size")?, Some(Some(512 << 20)));
/// assert_eq!(parameters.duration("timeout")?, Some(Duration::from_secs(5)));
/// assert_eq!(parameters.flag("lazy")?, None);
/// parameters.finish()?;
///
/// let mut parameters = Parameters::new("example", "time_out=5s")?;
/// parameters.duration("timeout")?;
/// let error = parameters.finish().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Config);
/// assert_eq!(error.to_string(), r#"example: url: unknown parameter "time_out"; known are timeout"#);
/// # Ok::<(), cache_api::Error>(())
/// ```
#[must_use = "`finish` refuses the parameters that nobody asked for"]
pub struct Parameters {
    backend: &'static str,
    /// Those that were not yet asked for, in the order of the URL.
    left: Vec<(String, String)>,
    known: Vec<&'static str>,
    /// Whether names may be shown.
    plain: bool,
}

impl Parameters {
    /// The parameters in `query`, which is what follows the `?`, for the backend of this name.
    ///
    /// # Errors
    /// Where a parameter stands twice.
    pub fn new(backend: &'static str, query: &str) -> Result<Self> {
        // An '@' ends what stands before the host: with it here, all of this may be the rest of a password.
        let plain = !query.contains('@');
        let mut parameters = Self { backend, left: Vec::new(), known: Vec::new(), plain };
        let mut twice = None;
        for (name, value) in form_urlencoded::parse(query.as_bytes()).into_owned() {
            parameters.plain &= is_plain(&name);
            if parameters.left.iter().any(|(other, _)| *other == name) {
                twice.get_or_insert(name);
            } else {
                parameters.left.push((name, value));
            }
        }
        match twice {
            Some(name) => Err(config(backend, format!("{} stands twice", parameters.shown(&name)))),
            None => Ok(parameters),
        }
    }

    /// A value as it is.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.knows(name);
        let at = self.left.iter().position(|(given, _)| given == name)?;
        Some(self.left.remove(at).1)
    }

    /// A number of bytes: digits, with `KiB`, `MiB` or `GiB` where wanted.
    ///
    /// # Errors
    /// Where the value is anything else, or too large.
    pub fn size(&mut self, name: &'static str) -> Result<Option<u64>> {
        self.read(name, size, "is no size: write bytes, or as 512MiB or 2GiB")
    }

    /// A size, or `none` for no bound, which is `Some(None)` here.
    ///
    /// # Errors
    /// Where the value is anything else, or too large.
    pub fn bound(&mut self, name: &'static str) -> Result<Option<Option<u64>>> {
        let bound = |value: &str| if value == "none" { Some(None) } else { size(value).map(Some) };
        self.read(name, bound, "is no size: write bytes, or as 512MiB or 2GiB, or none")
    }

    /// Digits and `ms`, `s`, `m`, `h` or `d`; digits alone are seconds.
    ///
    /// # Errors
    /// Where the value is anything else, or too large.
    pub fn duration(&mut self, name: &'static str) -> Result<Option<Duration>> {
        self.read(name, duration, "is no duration: write seconds, or as 500ms, 10s, 15m, 12h or 30d")
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// Where the value is anything else.
    pub fn flag(&mut self, name: &'static str) -> Result<Option<bool>> {
        self.read(name, |value| value.parse().ok(), "is neither true nor false")
    }

    /// The parameter `namespace`.
    ///
    /// # Errors
    /// Where the value is no [`Namespace`].
    pub fn namespace(&mut self) -> Result<Option<Namespace>> {
        let advice = format!("is no namespace: write 1 to {} of a-z, 0-9, '_' and '-'", Namespace::MAX_LEN);
        self.read("namespace", |value| Namespace::new(value).ok(), &advice)
    }

    /// What the type's [`FromStr`] makes of a value; `what` says in an error what it should be, as `a number from 1`.
    ///
    /// # Errors
    /// Where [`FromStr`] fails. Its error is not kept: it might show the value.
    pub fn parsed<T: FromStr>(&mut self, name: &'static str, what: &str) -> Result<Option<T>> {
        self.read(name, |value| value.parse().ok(), &format!("is not {what}"))
    }

    /// Those that go on to another library as they are: names and values, decoded, in the order of the URL. A name
    /// that ends in `[…]`, as `options[…]`, stands for every name that begins as it does before the `…`.
    pub fn passed_on(&mut self, names: &[&'static str]) -> Vec<(String, String)> {
        for name in names {
            self.knows(name);
        }
        let is_named = |given: &str| {
            names.iter().any(|name| match name.strip_suffix("…]") {
                Some(start) => given.starts_with(start),
                None => *name == given,
            })
        };
        self.left.extract_if(.., |(given, _)| is_named(given)).collect()
    }

    /// That nothing is left over.
    ///
    /// # Errors
    /// Where a parameter was given that nobody asked for; the message names those that somebody did.
    pub fn finish(self) -> Result<()> {
        let Some((name, _)) = self.left.first() else { return Ok(()) };
        let known = if self.known.is_empty() { "none".to_owned() } else { self.known.join(", ") };
        Err(config(self.backend, format!("unknown {}; known are {known}", self.shown(name))))
    }

    /// Decodes `%20` and the like in a part of a URL before its `?`, where a `+` is a `+`.
    ///
    /// # Errors
    /// Where the bytes are not UTF-8; the message does not show them.
    pub fn decoded(backend: &'static str, part: &str) -> Result<String> {
        percent_decode_str(part).decode_utf8().map(Cow::into_owned).map_err(|cause| {
            config(backend, "a part of the URL is not UTF-8 when decoded".to_owned()).with_source(cause)
        })
    }

    fn read<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
        wrong: &str,
    ) -> Result<Option<T>> {
        let Some(value) = self.text(name) else { return Ok(None) };
        read(&value).map(Some).ok_or_else(|| config(self.backend, format!("the value of {name} {wrong}")))
    }

    fn knows(&mut self, name: &'static str) {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
    }

    fn shown(&self, name: &str) -> String {
        if self.plain {
            format!("parameter {name:?}")
        } else {
            "parameter (not shown, lest it be a piece of a password, in which '?' is written %3F)".to_owned()
        }
    }
}

impl fmt::Debug for Parameters {
    /// Without what was given, which may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameters")
            .field("backend", &self.backend)
            .field("known", &self.known)
            .finish_non_exhaustive()
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.[]".contains(&b))
}

fn size(value: &str) -> Option<u64> {
    let (digits, unit) = with_unit(value, &[("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("", 1)])?;
    digits.checked_mul(unit)
}

fn duration(value: &str) -> Option<Duration> {
    if let Some(digits) = value.strip_suffix("ms") {
        return digits.parse().ok().map(Duration::from_millis);
    }
    let (digits, unit) = with_unit(value, &[("s", 1), ("m", 60), ("h", 3600), ("d", 86_400), ("", 1)])?;
    digits.checked_mul(unit).map(Duration::from_secs)
}

/// The number before the first of these suffixes, and what that stands for.
fn with_unit(value: &str, units: &[(&str, u64)]) -> Option<(u64, u64)> {
    let (digits, unit) =
        units.iter().find_map(|(suffix, unit)| Some((value.strip_suffix(suffix)?, *unit)))?;
    Some((digits.parse().ok()?, unit))
}

fn config(backend: &'static str, message: String) -> Error {
    Error::new(ErrorKind::Config, "url").with_backend(backend).with_message(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Parameters {
        Parameters::new("test", query).unwrap()
    }

    #[test]
    fn sizes() {
        for (value, bytes) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("64KiB", 64 << 10),
            ("512MiB", 512 << 20),
            ("2GiB", 2 << 30),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(of(&format!("a={value}")).size("a").unwrap(), Some(bytes), "{value}");
            assert_eq!(of(&format!("a={value}")).bound("a").unwrap(), Some(Some(bytes)), "{value}");
        }
        assert_eq!(of("a=none").bound("a").unwrap(), Some(None));
        assert_eq!((of("b=1").size("a").unwrap(), of("b=1").bound("a").unwrap()), (None, None));
        for value in ["", "none", "1GB", "1mib", "1 MiB", "-1", "1.5GiB", "MiB", "99999999999999GiB", "None"]
        {
            let error = of(&format!("a={value}")).size("a").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("the value of a is no size"), "{value}: {error}");
            assert!(value == "none" || of(&format!("a={value}")).bound("a").is_err(), "{value}");
        }
    }

    #[test]
    fn durations() {
        for (value, millis) in [
            ("0", 0),
            ("10", 10_000),
            ("500ms", 500),
            ("10s", 10_000),
            ("15m", 900_000),
            ("12h", 43_200_000),
            ("30d", 2_592_000_000),
        ] {
            let duration = of(&format!("a={value}")).duration("a").unwrap();
            assert_eq!(duration, Some(Duration::from_millis(millis)), "{value}");
        }
        let longest = of(&format!("a={}", u64::MAX)).duration("a").unwrap();
        assert_eq!(longest, Some(Duration::from_secs(u64::MAX)));
        assert_eq!(of("").duration("a").unwrap(), None);
        for value in ["", "soon", "s", "ms", "5S", "5 s", "-5s", "1.5h", "1w", "18446744073709551615d"] {
            let error = of(&format!("a={value}")).duration("a").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("the value of a is no duration"), "{value}: {error}");
        }
    }

    #[test]
    fn flags_namespaces_texts_and_numbers() {
        let mut given = of("yes=true&no=false&namespace=a-b_1&n%61me=x%20y%2Bz+%26&port=7&empty=&bare");
        assert_eq!((given.flag("yes").unwrap(), given.flag("no").unwrap()), (Some(true), Some(false)));
        assert_eq!(given.flag("other").unwrap(), None);
        assert_eq!(given.namespace().unwrap().unwrap().as_str(), "a-b_1");
        assert_eq!(given.namespace().unwrap(), None, "it was taken");
        assert_eq!(given.text("name").as_deref(), Some("x y+z &"));
        assert_eq!(given.parsed::<u16>("port", "a port").unwrap(), Some(7));
        assert_eq!((given.text("empty").as_deref(), given.text("bare").as_deref()), (Some(""), Some("")));
        given.finish().unwrap();
        for value in ["", "1", "True", "yes"] {
            let error = of(&format!("a={value}")).flag("a").unwrap_err();
            assert!(error.to_string().contains("the value of a is neither true nor false"), "{error}");
        }
        let error = of("namespace=A").namespace().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("namespace is no namespace: write 1 to"), "{error}");
        let error = of("port=70000").parsed::<u16>("port", "a number up to 65535").unwrap_err();
        assert_eq!(error.to_string(), "test: url: the value of port is not a number up to 65535");
    }

    #[test]
    fn what_another_library_takes_keeps_its_order() {
        let mut given = of("sslmode=a&lazy=true&options[b]=1&host=h&options=2&options[a]=3");
        let passed_on = given.passed_on(&["host", "options", "options[…]", "sslmode"]);
        let names: Vec<&str> = passed_on.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["sslmode", "options[b]", "host", "options", "options[a]"]);
        let message = given.finish().unwrap_err().to_string();
        assert!(message.ends_with(r#""lazy"; known are host, options, options[…], sslmode"#), "{message}");
    }

    #[test]
    fn what_is_left_over_or_stands_twice_is_named() {
        of("").finish().unwrap();
        let mut given = of("a=1&name-x=hunter2&z=3");
        let _ = (given.text("a"), given.text("b"), given.text("a"));
        let error = given.finish().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(error.to_string(), r#"test: url: unknown parameter "name-x"; known are a, b"#);
        assert!(of("a=1").finish().unwrap_err().to_string().ends_with("known are none"));
        for query in ["a=1&b=2&a=1", "a&%61"] {
            let error = Parameters::new("test", query).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert_eq!(error.to_string(), r#"test: url: parameter "a" stands twice"#);
        }
    }

    #[test]
    fn no_error_shows_a_secret() {
        let secret = |error: Error| {
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2"), "{shown}");
            assert_eq!(error.backend(), Some("test"));
        };
        secret(of("a=hunter2").size("a").unwrap_err());
        secret(of("a=hunter2").bound("a").unwrap_err());
        secret(of("a=hunter2").duration("a").unwrap_err());
        secret(of("a=hunter2").flag("a").unwrap_err());
        secret(of("a=hunter2").parsed::<u16>("a", "a number").unwrap_err());
        secret(of("namespace=HUNTER2-hunter2").namespace().unwrap_err());
        secret(of("pass_word=hunter2").finish().unwrap_err());
        // What is left of `scheme://user:1?hunter2@host` and `scheme://user:1?hunter2&x@host`, and the like.
        secret(of("hunter2@host").finish().unwrap_err());
        secret(of("hunter2&x@host").finish().unwrap_err());
        secret(of("hunter2=x@host").finish().unwrap_err());
        secret(Parameters::new("test", "hunter2&hunter2&x@host").unwrap_err());
        secret(Parameters::decoded("test", "hunter2%ff").unwrap_err());
        let shown = format!("{:?}", of("password=hunter2&hunter2=1"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn parts_before_the_parameters_are_decoded() {
        assert_eq!(Parameters::decoded("test", "a%20b+%25%C3%a9%").unwrap(), "a b+%é%");
        let error = Parameters::decoded("test", "%ff").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("not UTF-8"), "{error}");
    }
}
