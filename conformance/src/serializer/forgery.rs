//! Who has no key cannot write: neither by a change whose checksum he puts right, nor without the wrapper.

use bytes::Bytes;
use cache_api::{
    BodyId, CacheKey, CborSerializer, Codec, Envelope, Namespace, Part, Place, Serializer, VariantId,
};

use super::{
    Plan, cases,
    damage::flip,
    sample::{Item, head, place, small},
};
use crate::failure::{Context, Outcome};

cases!["forgery"; altered, shortened, moved, other_codec, stripped, never_wrapped];

/// The same envelope for place `to` with its content (header and payload) changed and its checksum right. `None` where
/// `bytes` are no envelope.
pub(super) fn resealed(
    bytes: &Bytes,
    from: &Place,
    to: &Place,
    change: impl FnOnce(&mut Bytes),
) -> Outcome<Option<Bytes>> {
    let Some(codec) = Envelope::codec_of(bytes) else { return Ok(None) };
    let Ok(Envelope { header, payload, .. }) = Envelope::open(bytes.clone(), codec, from) else {
        return Ok(None);
    };
    let mut content = Bytes::from([&header[..], &payload].concat());
    change(&mut content);
    let header = content.split_to(header.len().min(content.len()));
    Ok(Some(Envelope::new(codec, content).with_header(header).seal(to)?))
}

/// What lies in the envelope, each bit of it.
async fn altered(plan: &Plan) -> Outcome {
    for (place, item) in small()? {
        let bytes = item.encode(plan, &place).await?;
        alter_all(plan, &place, &item, &bytes).await?;
    }
    Ok(())
}

async fn alter_all(plan: &Plan, place: &Place, item: &Item, bytes: &Bytes) -> Outcome {
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let change = |content: &mut Bytes| *content = flip(content, at, bit);
            if let Some(forged) = resealed(bytes, place, place, change)? {
                item.is_never_another(plan, place, forged)
                    .await
                    .context(format_args!("{:?}, bit {bit} of byte {at}", place.part))?;
            }
        }
    }
    Ok(())
}

async fn shortened(plan: &Plan) -> Outcome {
    for (place, item) in small()? {
        let bytes = item.encode(plan, &place).await?;
        for len in 0..bytes.len() {
            if let Some(forged) = resealed(&bytes, &place, &place, |content| content.truncate(len))? {
                item.is_never_another(plan, &place, forged)
                    .await
                    .context(format_args!("{:?}, {len} bytes of content", place.part))?;
            }
        }
    }
    Ok(())
}

/// Each component of the place.
async fn moved(plan: &Plan) -> Outcome {
    for (place, item) in small()? {
        let bytes = item.encode(plan, &place).await?;
        let mut elsewhere = vec![
            Place { namespace: Namespace::new("other")?, ..place.clone() },
            Place { key: CacheKey::from_bytes([9; 32]), ..place.clone() },
            Place { variant: VariantId::from_bytes([9; 16]), ..place.clone() },
            Place { body: BodyId::from_bytes([9; 16]), ..place.clone() },
        ];
        match place.part {
            Part::Frame { index, last } => elsewhere.extend([
                place.frame(index.wrapping_add(1), last),
                place.frame(index, !last),
                Place { part: Part::Head, ..place.clone() },
            ]),
            Part::Head => elsewhere.push(place.frame(0, true)),
        }
        for there in elsewhere {
            if let Some(forged) = resealed(&bytes, &place, &there, |_| ())? {
                Item::is_refused(plan, &there, forged).await.context(format_args!("{there:?}"))?;
            }
        }
    }
    Ok(())
}

/// The same content under the name of another codec.
async fn other_codec(plan: &Plan) -> Outcome {
    let codecs = [
        Codec::RAW,
        Codec::CBOR,
        Codec::ZSTD,
        Codec::XCHACHA20_POLY1305,
        Codec::KEYED_BLAKE3,
        Codec::MESSAGEPACK,
    ];
    for (place, item) in small()? {
        let bytes = item.encode(plan, &place).await?;
        let Some(own) = Envelope::codec_of(&bytes) else { continue };
        let Ok(envelope) = Envelope::open(bytes, own, &place) else { continue };
        for codec in codecs.into_iter().filter(|codec| *codec != own) {
            let forged = Envelope { codec, ..envelope.clone() }.seal(&place)?;
            item.is_never_another(plan, &place, forged).await.context(format_args!(
                "{:?}, codec {}",
                place.part,
                codec.number()
            ))?;
        }
    }
    Ok(())
}

/// What lies in the envelope, taken out of it and changed.
async fn stripped(plan: &Plan) -> Outcome {
    for (place, item) in small()? {
        let bytes = item.encode(plan, &place).await?;
        let Some(codec) = Envelope::codec_of(&bytes) else { continue };
        let Ok(envelope) = Envelope::open(bytes, codec, &place) else { continue };
        alter_all(plan, &place, &item, &envelope.payload).await?;
    }
    Ok(())
}

/// What the default serializer writes: an entry from before, or one of who has no key.
async fn never_wrapped(plan: &Plan) -> Outcome {
    let cbor = CborSerializer::new();
    let place = place("conformance", 1, 2, 3)?;
    let bytes = cbor.encode_head(&place, &head(3)?).await?;
    Item::is_refused(plan, &place, bytes).await.context("a head")?;
    let place = place.frame(0, true);
    let bytes = cbor.encode_frame(&place, "a frame of somebody's own".into()).await?;
    Item::is_refused(plan, &place, bytes).await.context("a frame")
}
