//! What the origin tells of a body beside it, so that whoever reads it can judge it.

use std::fmt::{self, Write as _};
use std::str::FromStr;

/// The field that it is told in.
pub(crate) const FIELD: &str = "x-told";

/// One body of one variant of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The path of the resource, without the slash.
    pub(crate) resource: String,
    pub(crate) variant: String,
    pub(crate) version: u64,
    pub(crate) len: usize,
    /// How many answers the origin had given when it gave this one.
    pub(crate) serial: u64,
}

impl Told {
    /// The bytes of the body: no two bodies share a run of them.
    pub(crate) fn body(&self) -> Vec<u8> {
        let mut body = String::with_capacity(self.len + 64);
        let mut line = 0_u32;
        while body.len() < self.len {
            // A `String` takes whatever is written.
            let _ = writeln!(body, "{}/{}/{}: {line:08}", self.resource, self.variant, self.version);
            line += 1;
        }
        body.truncate(self.len);
        body.into_bytes()
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource, variant, version, len, serial } = self;
        write!(f, "{resource} {variant} {version} {len} {serial}")
    }
}

impl FromStr for Told {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = text.split(' ');
        let mut word = || words.next().ok_or("too few words");
        let number = "no number";
        Ok(Self {
            resource: word()?.to_owned(),
            variant: word()?.to_owned(),
            version: word()?.parse().map_err(|_| number)?,
            len: word()?.parse().map_err(|_| number)?,
            serial: word()?.parse().map_err(|_| number)?,
        })
    }
}
