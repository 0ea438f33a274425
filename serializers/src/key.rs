use std::{fmt, str::FromStr};

use base64ct::{Base64Unpadded, Base64UrlUnpadded, Encoding};
use blake3::Hasher;
use cache_api::{Error, ErrorKind, Result};
use zeroize::{Zeroize, Zeroizing};

const LEN: usize = 32;

/// A secret of 32 random bytes. Its memory is overwritten when it is dropped, and `Debug` does not show it.
///
/// No cipher and no hash sees these bytes: each wrapper derives a key of its own from them, so that one secret may serve
/// encryption and signing. A password is no key: it can be guessed, however it is hashed here.
///
/// ```
/// use cache_serializers::Key;
///
/// let hex: Key = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff".parse()?;
/// let base64: Key = "ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8=".parse()?;
/// assert_eq!(format!("{hex:?}, {base64:?}"), "Key(..), Key(..)");
/// # Ok::<(), cache_api::Error>(())
/// ```
pub struct Key(
    // Boxed, so that moving it leaves no copy behind.
    Box<Zeroizing<[u8; LEN]>>,
);

impl Key {
    /// The key of these bytes. What they were read from is the caller's to overwrite.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; LEN]) -> Self {
        let mut key = Self::zeros();
        key.0.copy_from_slice(bytes);
        key
    }

    /// A new key, from the operating system.
    ///
    /// # Errors
    /// [`ErrorKind::Other`] when the operating system has no random bytes.
    pub fn random() -> Result<Self> {
        let mut key = Self::zeros();
        getrandom::fill(&mut key.0[..]).map_err(|e| Error::new(ErrorKind::Other, "random").with_source(e))?;
        Ok(key)
    }

    /// A key for one purpose: those of two purposes have nothing in common, and neither tells of the secret.
    pub(crate) fn derive(&self, purpose: &str) -> Zeroizing<[u8; LEN]> {
        let mut hasher = Hasher::new_derive_key(purpose);
        hasher.update(&self.0[..]);
        let mut output = hasher.finalize_xof();
        hasher.zeroize();
        let mut derived = Zeroizing::new([0; LEN]);
        output.fill(&mut derived[..]);
        output.zeroize();
        derived
    }

    fn zeros() -> Self {
        Self(Box::new(Zeroizing::new([0; LEN])))
    }
}

/// Reads 64 hexadecimal digits, or base64 in the usual or the URL-safe alphabet (43 digits, with or without `=`). Blanks
/// around it are passed over.
///
/// # Errors
/// [`ErrorKind::Config`]; the message says what is expected, and nothing of the text.
impl FromStr for Key {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let mut key = Self::zeros();
        if text.len() == 2 * LEN {
            read_hex(text, &mut key.0[..])?;
            return Ok(key);
        }
        let digits = text.strip_suffix('=').unwrap_or(text);
        if digits.len() != 43 {
            let len = text.len();
            return Err(wrong(format!(
                "a key is 32 bytes, as 64 hexadecimal digits or 43 of base64; this one has {len}"
            )));
        }
        let whole = Base64Unpadded::decode(digits, &mut key.0[..]).is_ok_and(|bytes| bytes.len() == LEN)
            || Base64UrlUnpadded::decode(digits, &mut key.0[..]).is_ok_and(|bytes| bytes.len() == LEN);
        if whole { Ok(key) } else { Err(wrong("a key of 43 digits that is not base64 of 32 bytes")) }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

fn read_hex(text: &str, key: &mut [u8]) -> Result<()> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let (pairs, _) = text.as_bytes().as_chunks::<2>();
    for (to, [high, low]) in key.iter_mut().zip(pairs) {
        let (Some(high), Some(low)) = (digit(*high), digit(*low)) else {
            return Err(wrong("a key of 64 characters that is not hexadecimal"));
        };
        *to = high << 4 | low;
    }
    Ok(())
}

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Config, "key").with_message(message)
}
