//! What belongs to one place is refused at any other.

use bytes::Bytes;
use cache_api::{BodyId, CacheKey, Namespace, Part, Place, VariantId};

use super::{
    Plan, cases,
    sample::{Item, small},
};
use crate::failure::{Context, Outcome};

cases!["places"; namespace, key, variant, body, frame, end, head_and_frame];

/// The same part in the place that `elsewhere` makes of its own.
async fn moved(plan: &Plan, elsewhere: impl Fn(Place) -> Place) -> Outcome {
    for (place, item) in small()? {
        let bytes = item.encode(plan, &place).await?;
        let there = elsewhere(place.clone());
        if there != place {
            Item::is_refused(plan, &there, bytes.clone()).await.context(format_args!("{there:?}"))?;
        }
        item.is_in(plan, &place, bytes).await?;
    }
    Ok(())
}

async fn namespace(plan: &Plan) -> Outcome {
    for name in ["conformance-2", "conformanc", "c", "other"] {
        let namespace = Namespace::new(name)?;
        moved(plan, |place| Place { namespace: namespace.clone(), ..place }).await?;
    }
    Ok(())
}

async fn key(plan: &Plan) -> Outcome {
    for at in [0, 15, 31] {
        moved(plan, |place| {
            let mut key = *place.key.as_bytes();
            flip(&mut key, at);
            Place { key: CacheKey::from_bytes(key), ..place }
        })
        .await?;
    }
    Ok(())
}

async fn variant(plan: &Plan) -> Outcome {
    for at in [0, 15] {
        moved(plan, |place| {
            let mut variant = *place.variant.as_bytes();
            flip(&mut variant, at);
            Place { variant: VariantId::from_bytes(variant), ..place }
        })
        .await?;
    }
    Ok(())
}

/// A head over another body, and a frame in another body.
async fn body(plan: &Plan) -> Outcome {
    for at in [0, 15] {
        moved(plan, |place| {
            let mut body = *place.body.as_bytes();
            flip(&mut body, at);
            Place { body: BodyId::from_bytes(body), ..place }
        })
        .await?;
    }
    Ok(())
}

/// Frames in another order.
async fn frame(plan: &Plan) -> Outcome {
    for index in [0, 2, 257, 1 << 24 | 1] {
        moved(plan, |place| match place.part {
            Part::Frame { last, .. } => place.frame(index, last),
            Part::Head => place,
        })
        .await?;
    }
    Ok(())
}

/// A body that is cut off after a frame, or goes on after its end.
async fn end(plan: &Plan) -> Outcome {
    moved(plan, |place| match place.part {
        Part::Frame { index, last } => place.frame(index, !last),
        Part::Head => place,
    })
    .await
}

async fn head_and_frame(plan: &Plan) -> Outcome {
    let [(at_head, head), (at_frame, frame)] = small()?;
    let head: Bytes = head.encode(plan, &at_head).await?;
    let frame = frame.encode(plan, &at_frame).await?;
    Item::is_refused(plan, &at_frame, head).await.context("a head as a frame")?;
    Item::is_refused(plan, &at_head, frame).await.context("a frame as a head")
}

fn flip(bytes: &mut [u8], at: usize) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1;
    }
}
