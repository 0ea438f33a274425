//! Accidental damage is found: it is an error of kind `Corrupt`, never a panic, and never another value.

use bytes::Bytes;

use super::{
    Plan, cases,
    sample::{Item, Random, place, small},
};
use crate::failure::{Context, Outcome};

cases!["damage"; truncated, flipped, trailing, garbage];

/// After each of its bytes.
async fn truncated(plan: &Plan) -> Outcome {
    for (place, item) in small()? {
        let bytes = item.encode(plan, &place).await?;
        for len in 0..bytes.len() {
            let cut = bytes.slice(..len);
            Item::is_refused(plan, &place, cut).await.context(format_args!(
                "{:?}, {len} of {} bytes",
                place.part,
                bytes.len()
            ))?;
        }
    }
    Ok(())
}

async fn flipped(plan: &Plan) -> Outcome {
    for (place, item) in small()? {
        let bytes = item.encode(plan, &place).await?;
        for at in 0..bytes.len() {
            for bit in 0..8 {
                item.is_never_another(plan, &place, flip(&bytes, at, bit))
                    .await
                    .context(format_args!("{:?}, bit {bit} of byte {at}", place.part))?;
            }
        }
    }
    Ok(())
}

pub(super) fn flip(bytes: &[u8], at: usize, bit: u8) -> Bytes {
    let mut bytes = bytes.to_vec();
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << bit;
    }
    bytes.into()
}

async fn trailing(plan: &Plan) -> Outcome {
    for (place, item) in small()? {
        let bytes = item.encode(plan, &place).await?;
        for more in [&b"\0"[..], b"\xff", b" ", b"\n", b"}", &[0; 16], &bytes] {
            let longer = Bytes::from([&bytes, more].concat());
            item.is_never_another(plan, &place, longer).await.context(format_args!(
                "{:?} and {} bytes more",
                place.part,
                more.len()
            ))?;
        }
    }
    Ok(())
}

async fn garbage(plan: &Plan) -> Outcome {
    let head = place("conformance", 1, 2, 3)?;
    for place in [head.frame(0, true), head] {
        for seed in 0..2000 {
            let random = &mut Random::new(seed);
            let len = random.below(300);
            let mut bytes = random.bytes(len);
            match seed % 4 {
                0 => bytes.fill(0),
                1 => bytes.fill(0xff),
                // As if it were an envelope.
                2 => bytes
                    .iter_mut()
                    .zip([b'H', b'C', 1, seed.to_le_bytes()[0]])
                    .for_each(|(to, from)| *to = from),
                _ => {}
            }
            Item::is_refused(plan, &place, bytes.into())
                .await
                .context(format_args!("{:?}, garbage {seed}", place.part))?;
        }
    }
    Ok(())
}
