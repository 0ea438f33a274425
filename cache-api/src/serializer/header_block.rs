//! Header fields and selectors as one byte string each: decoding them field by field through CBOR costs
//! about three times as much.

use bytes::{Buf, BufMut, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{Error, ErrorKind, Result, Selector, SelectorDigest};

/// `count: u16`, then for each field `name length: u16, value length: u32, name, value`; little-endian.
pub(super) fn encode_headers(headers: &HeaderMap) -> Result<Vec<u8>> {
    let too_long = || Error::new(ErrorKind::Other, "encode").with_message("a header field too long to store");
    let size: usize = headers.iter().map(|(name, value)| 6 + name.as_str().len() + value.len()).sum();
    let mut out = Vec::with_capacity(2 + size);
    out.put_u16_le(u16::try_from(headers.len()).map_err(|_| too_long())?);
    for (name, value) in headers {
        out.put_u16_le(u16::try_from(name.as_str().len()).map_err(|_| too_long())?);
        out.put_u32_le(u32::try_from(value.len()).map_err(|_| too_long())?);
        out.put_slice(name.as_str().as_bytes());
        out.put_slice(value.as_bytes());
    }
    Ok(out)
}

pub(super) fn decode_headers(mut block: Bytes) -> Result<HeaderMap> {
    let count = block.try_get_u16_le().map_err(|_| corrupt())?;
    // A field takes at least 6 bytes: the claimed count allocates no more than the block is long.
    let mut headers = HeaderMap::with_capacity(usize::from(count).min(block.len() / 6));
    for _ in 0..count {
        let name_len = usize::from(block.try_get_u16_le().map_err(|_| corrupt())?);
        let value_len = block.try_get_u32_le().map_err(|_| corrupt())? as usize;
        if block.len() < name_len.saturating_add(value_len) {
            return Err(corrupt());
        }
        let name = HeaderName::from_bytes(&block.split_to(name_len)).map_err(|_| corrupt())?;
        let value = HeaderValue::from_maybe_shared(block.split_to(value_len)).map_err(|_| corrupt())?;
        headers.try_append(name, value).map_err(|_| corrupt())?;
    }
    if block.is_empty() { Ok(headers) } else { Err(corrupt()) }
}

/// For each selector `name length: u16, name, 0` or `…, 1, digest`.
pub(super) fn encode_selectors(selectors: &[Selector]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for Selector { name, value } in selectors {
        let len = u16::try_from(name.as_str().len()).map_err(|_| {
            Error::new(ErrorKind::Other, "encode").with_message("a field name too long to store")
        })?;
        out.put_u16_le(len);
        out.put_slice(name.as_str().as_bytes());
        match value {
            None => out.put_u8(0),
            Some(SelectorDigest(digest)) => {
                out.put_u8(1);
                out.put_slice(digest);
            }
        }
    }
    Ok(out)
}

pub(super) fn decode_selectors(mut block: &[u8]) -> Result<Vec<Selector>> {
    let mut selectors = Vec::new();
    while !block.is_empty() {
        let len = usize::from(block.try_get_u16_le().map_err(|_| corrupt())?);
        let (name, rest) = block.split_at_checked(len).ok_or_else(corrupt)?;
        let name = HeaderName::from_bytes(name).map_err(|_| corrupt())?;
        let value = match rest.split_first() {
            Some((0, rest)) => {
                block = rest;
                None
            }
            Some((1, rest)) => {
                let (digest, rest) = rest.split_first_chunk().ok_or_else(corrupt)?;
                block = rest;
                Some(SelectorDigest(*digest))
            }
            _ => return Err(corrupt()),
        };
        selectors.push(Selector { name, value });
    }
    Ok(selectors)
}

fn corrupt() -> Error {
    Error::new(ErrorKind::Corrupt, "decode").with_message("not a header block")
}
