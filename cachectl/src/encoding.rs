//! How the cache's clients encode what they store: `--serializer` and its keys.

use std::{env, fs, path::PathBuf, sync::Arc};

use cache_api::{CborSerializer, Error, JsonSerializer, MessagePackSerializer, Serializer};
use cache_serializers::{Compressed, Encrypted, Key, Keyring, Signed};
use clap::{Args, ValueEnum};
use zeroize::Zeroizing;

use crate::failure::{Failure, Result};

/// Where the keys themselves may be, as in the file of `--key-file`.
const VARIABLE: &str = "CACHECTL_KEYS";

#[derive(Args)]
#[command(next_help_heading = "How entries are encoded")]
pub(crate) struct Encoding {
    /// How the clients encode entries, from the inside out, as cbor,zstd,encrypted
    #[arg(
        long,
        global = true,
        env = "CACHECTL_SERIALIZER",
        value_enum,
        value_delimiter = ',',
        default_value = "cbor",
        value_name = "NAME,…"
    )]
    serializer: Vec<Layer>,
    /// A file with the keys of `encrypted` and `signed`: a line a key, its number and then its 64 hexadecimal digits or base64.
    /// The first one writes. Without a file, the variable CACHECTL_KEYS has such lines
    #[arg(long, global = true, env = "CACHECTL_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
}

/// A format, or a wrapper around one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layer {
    /// The default of the clients
    Cbor,
    /// Heads as JSON
    Json,
    /// Heads as MessagePack
    #[value(name = "messagepack")]
    MessagePack,
    /// Compressed by zstd
    Zstd,
    /// Encrypted, with the keys of --key-file
    Encrypted,
    /// Signed, with the keys of --key-file
    Signed,
}

impl Encoding {
    /// The serializer of `--serializer`.
    pub(crate) fn serializer(&self) -> Result<Arc<dyn Serializer>> {
        self.serializer_of(&self.serializer)
    }

    /// A serializer of other layers, with the same keys.
    pub(crate) fn serializer_of(&self, layers: &[Layer]) -> Result<Arc<dyn Serializer>> {
        let mut made: Arc<dyn Serializer> = Arc::new(CborSerializer::new());
        for (place, layer) in layers.iter().enumerate() {
            made = match layer {
                Layer::Cbor | Layer::Json | Layer::MessagePack if place > 0 => {
                    return Err(Failure::usage(
                        "a serializer has one format, and that comes first: json,encrypted",
                    ));
                }
                Layer::Cbor => made,
                Layer::Json => Arc::new(JsonSerializer::new()),
                Layer::MessagePack => Arc::new(MessagePackSerializer::new()),
                Layer::Zstd => Arc::new(Compressed::new(made)),
                Layer::Encrypted => Arc::new(Encrypted::new(made, &self.keyring()?)),
                Layer::Signed => Arc::new(Signed::new(made, &self.keyring()?)),
            };
        }
        Ok(made)
    }

    fn keyring(&self) -> Result<Keyring> {
        if let Some(path) = &self.key_file {
            let shown = path.display();
            let text = fs::read_to_string(path).map_err(|error| {
                Failure::Usage(anyhow::Error::new(error).context(format!("{shown} cannot be read")))
            })?;
            return keyring(&Zeroizing::new(text), &shown.to_string());
        }
        match env::var(VARIABLE) {
            Ok(text) => keyring(&Zeroizing::new(text), VARIABLE),
            Err(_) => Err(Failure::usage(format!(
                "there are no keys: name their file by --key-file, or set {VARIABLE}"
            ))),
        }
    }
}

/// Reads lines of a number and a key. What is wrong is told by the line's number, and nothing of the line.
fn keyring(text: &str, source: &str) -> Result<Keyring> {
    let mut ring: Option<Keyring> = None;
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let wrong = |error: Error| {
            Failure::Usage(anyhow::Error::new(error).context(format!("line {number} of {source}")))
        };
        let (id, key) = line
            .split_once(char::is_whitespace)
            .and_then(|(id, key)| Some((id.parse().ok()?, key)))
            .ok_or_else(|| {
                Failure::usage(format!("line {number} of {source} is no number with a key behind it"))
            })?;
        let key: Key = key.parse().map_err(wrong)?;
        ring = Some(match ring {
            None => Keyring::new(id, key),
            Some(ring) => ring.with_key(id, key).map_err(wrong)?,
        });
    }
    ring.ok_or_else(|| Failure::usage(format!("there is no key in {source}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    const BASE64: &str = "ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8=";

    fn read(text: &str) -> Result<Vec<u32>, String> {
        let read = keyring(text, "the file").map(|ring| ring.ids().collect());
        read.map_err(|failure| format!("{failure:?}"))
    }

    #[test]
    fn keys_by_line() {
        assert_eq!(read(&format!("# ours\n\n 2  {HEX}\n1\t{BASE64}\r\n")), Ok(vec![2, 1]));
    }

    #[test]
    fn what_is_wrong_with_keys_shows_none_of_them() {
        let secret = "hunter2";
        for text in [
            String::new(),
            "# 1 nothing".to_owned(),
            secret.to_owned(),
            format!("x {secret}"),
            format!("1 {secret}"),
            format!("1 {HEX}{secret}"),
            format!("1 {HEX}\n1 {BASE64}"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains("the file"), "{error}");
            for part in [secret, HEX, BASE64] {
                assert!(!error.contains(part), "{error}");
            }
        }
    }

    #[test]
    fn layers_from_the_inside_out() {
        let encoding = Encoding { serializer: Vec::new(), key_file: None };
        let made = |layers: &[Layer]| encoding.serializer_of(layers).map(|made| format!("{made:?}"));
        assert_eq!(made(&[]).unwrap(), made(&[Layer::Cbor]).unwrap());
        assert!(made(&[Layer::Json, Layer::Zstd]).unwrap().contains("JsonSerializer"));
        assert!(made(&[Layer::Zstd]).unwrap().contains("CborSerializer"));
        for layers in [&[Layer::Zstd, Layer::Json][..], &[Layer::Cbor, Layer::Cbor]] {
            assert!(matches!(made(layers), Err(Failure::Usage(_))), "{layers:?}");
        }
    }
}
