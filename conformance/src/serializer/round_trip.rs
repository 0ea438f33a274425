//! What was encoded comes back as it was.

use super::{
    Plan, cases,
    sample::{Item, frames, head, place},
};
use crate::failure::{Context, Outcome};

cases!["round_trip"; heads, every_frame, every_place, in_part_of_a_buffer];

async fn heads(plan: &Plan) -> Outcome {
    let place = place("conformance", 1, 2, 3)?;
    for seed in 0..400 {
        let item = Item::Head(Box::new(head(seed)?));
        let bytes = item.encode(plan, &place).await.context(format_args!("head {seed}"))?;
        item.is_in(plan, &place, bytes).await.context(format_args!("head {seed}"))?;
    }
    Ok(())
}

async fn every_frame(plan: &Plan) -> Outcome {
    let place = place("conformance", 1, 2, 3)?.frame(0, true);
    for frame in frames() {
        let len = frame.len();
        let item = Item::Frame(frame);
        let bytes = item.encode(plan, &place).await.context(format_args!("a frame of {len} bytes"))?;
        item.is_in(plan, &place, bytes).await?;
    }
    Ok(())
}

async fn every_place(plan: &Plan) -> Outcome {
    for namespace in ["a", "conformance-2"] {
        let first = place(namespace, 0, 0, 0)?;
        for place in [first.frame(0, false), first.frame(1, true), first.frame(u32::MAX, true), first] {
            let item = match place.part {
                cache_api::Part::Head => Item::Head(Box::new(head(1)?)),
                cache_api::Part::Frame { .. } => Item::Frame("frame".into()),
            };
            let bytes = item.encode(plan, &place).await?;
            item.is_in(plan, &place, bytes).await.context(format_args!("{place:?}"))?;
        }
    }
    Ok(())
}

/// A store may hand out a slice of a larger buffer.
async fn in_part_of_a_buffer(plan: &Plan) -> Outcome {
    let place = place("conformance", 1, 2, 3)?.frame(0, true);
    let item = Item::Frame("a frame in the middle".into());
    let bytes = item.encode(plan, &place).await?;
    let (start, end) = (3, 3 + bytes.len());
    let buffer = bytes::Bytes::from([b"xyz", &bytes[..], b"uvw"].concat());
    item.is_in(plan, &place, buffer.slice(start..end)).await
}
