//! The scripts, and how one is called.

use std::sync::LazyLock;

use bytes::Bytes;
use cache_api::Result;
use redis::{Cmd, ErrorKind, ServerErrorKind, Value};

use crate::{error::failed, link::Link};

/// One Lua script. The server runs it as a whole: nothing comes between.
pub(crate) struct Script {
    text: &'static str,
    hash: LazyLock<String>,
}

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident = $($file:literal)+;)+) => {$(
        $(#[$doc])*
        pub(crate) static $name: Script = {
            const TEXT: &str = concat!($(include_str!(concat!("scripts/", $file)), "\n"),+);
            Script { text: TEXT, hash: LazyLock::new(|| redis::Script::new(TEXT).get_hash().to_owned()) }
        };
    )+};
}

scripts! {
    LOOKUP = "common.lua" "lookup.lua";
    COMMIT = "common.lua" "tidy.lua" "commit.lua";
    REMOVE = "common.lua" "remove.lua";
    WRITE = "common.lua" "write.lua";
    READ = "common.lua" "read.lua";
    PURGE = "common.lua" "purge.lua";
    CLEAR = "common.lua" "clear.lua";
    LIST = "common.lua" "page.lua" "list.lua";
    COUNT = "common.lua" "page.lua" "count.lua";
    SWEEP = "common.lua" "page.lua" "sweep.lua";
    TOUCH = "common.lua" "touch.lua";
    ACQUIRE = "common.lua" "acquire.lua";
    EXTEND = "extend.lua";
    RELEASE = "release.lua";
    PROBE = "probe.lua";
}

/// A call of a script, with its keys and arguments.
#[must_use]
pub(crate) struct Call {
    script: &'static Script,
    keys: Vec<String>,
    args: Vec<Arg>,
}

/// An argument of a script.
pub(crate) enum Arg {
    Text(String),
    Word(&'static str),
    Number(u64),
    Bytes(Bytes),
}

impl From<String> for Arg {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&'static str> for Arg {
    fn from(word: &'static str) -> Self {
        Self::Word(word)
    }
}

impl From<u64> for Arg {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<Bytes> for Arg {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl Call {
    pub(crate) fn new(script: &'static Script, keys: impl Into<Vec<String>>) -> Self {
        Self { script, keys: keys.into(), args: Vec::with_capacity(24) }
    }

    pub(crate) fn arg(mut self, arg: impl Into<Arg>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Runs the script: one round trip, and one more where the server does not know it yet.
    pub(crate) async fn run(self, link: &dyn Link, operation: &'static str) -> Result<Value> {
        let reply = match link.call(&self.command("EVALSHA", &self.script.hash)).await {
            Err(cause) if cause.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                link.call(&self.command("EVAL", self.script.text)).await
            }
            reply => reply,
        };
        reply.map_err(|cause| failed(operation, cause))
    }

    fn command(&self, name: &'static str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len()).arg(&self.keys);
        for arg in &self.args {
            match arg {
                Arg::Text(text) => command.arg(text),
                Arg::Word(word) => command.arg(word),
                Arg::Number(number) => command.arg(number),
                Arg::Bytes(bytes) => command.arg(&bytes[..]),
            };
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use crate::storage::{HEAD_MAX, INLINE_ENCODED_MAX};

    #[test]
    fn the_bounds_are_those_of_the_scripts() {
        let line = format!("local HEAD_MAX, INLINE_MAX = {HEAD_MAX}, {INLINE_ENCODED_MAX}\n");
        assert!(super::LOOKUP.text.contains(&line), "{line}");
    }
}
