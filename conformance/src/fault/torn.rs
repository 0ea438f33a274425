//! What is torn: bytes of which a part is missing.

use cache_api::{Body, Coded, Content, Frame, Resource, Result};
use futures_util::future::try_join_all;

use super::Fault;

pub(super) async fn resource(found: Resource, fault: Option<Fault>) -> Result<Resource> {
    if !matches!(fault, Some(Fault::CutHead | Fault::CutBody)) {
        return Ok(found);
    }
    let mut variants = found.variants().to_vec();
    for variant in &mut variants {
        match (&mut variant.body, fault) {
            (_, Some(Fault::CutHead)) => variant.head = cut(&variant.head).await?,
            (Body::Inline(inline), _) => inline.frame = cut(&inline.frame).await?,
            (Body::Stored(_), _) => {}
        }
    }
    let ticket = found.ticket();
    Ok(Resource::new(*ticket.key(), ticket.generation(), ticket.epoch(), variants, ticket.issued_at()))
}

pub(super) async fn frames(mut read: Vec<Frame>, fault: Option<Fault>) -> Result<Vec<Frame>> {
    match fault {
        Some(Fault::CutBody) => try_join_all(read.iter().map(cut)).await,
        Some(Fault::Short) => {
            read.pop();
            Ok(read)
        }
        _ => Ok(read),
    }
}

/// The first half of the bytes, which nobody decoded yet.
pub(super) async fn cut<T: Content>(whole: &Coded<T>) -> Result<Coded<T>> {
    let bytes = whole.bytes().await?;
    Ok(Coded::from_bytes(bytes.slice(..bytes.len() / 2)))
}
