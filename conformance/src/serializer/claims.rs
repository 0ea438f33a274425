//! Bytes claim lengths that they do not have: decoding allocates by what is there, and does not panic.

use bytes::Bytes;

use super::{
    Plan, cases, forgery,
    sample::{Item, place, small},
};
use crate::{
    failure::{Context, Failure, Outcome, ensure},
    resident,
};

cases!["claims"; lengths, refused];

/// Far more than any decoding takes and less than what four bytes can claim: other threads may allocate meanwhile.
const MUCH: u64 = 1024 * 1024 * 1024;

/// Wherever a length may stand, there is a large one, with the checksum put right and without.
async fn lengths(plan: &Plan) -> Outcome {
    let before = resident::mapped();
    for (place, item) in small()? {
        let bytes = item.encode(plan, &place).await?;
        for claim in
            [&[0xff; 2][..], &[0xff; 4], &[0xff, 0xff, 0xff, 0x7f], &[0x7f, 0xff, 0xff, 0xff], &[0x7f; 8]]
        {
            for at in 0..bytes.len() {
                let doing = || format!("{:?}, {} bytes of a length at {at}", place.part, claim.len());
                item.is_never_another(plan, &place, claiming(&bytes, at, claim)).await.with(doing)?;
                let Some(forged) = forgery::resealed(&bytes, &place, &place, |content| {
                    *content = claiming(content, at, claim);
                })?
                else {
                    continue;
                };
                if plan.authentic {
                    item.is_never_another(plan, &place, forged).await.with(doing)?;
                } else {
                    // With the checksum put right it may be another value; what it may not is fail otherwise.
                    item.is_anything(plan, &place, forged).await.with(doing)?;
                }
            }
        }
    }
    has_not_grown(before)
}

/// What the serializer's author forged.
async fn refused(plan: &Plan) -> Outcome {
    let head = place("conformance", 1, 2, 3)?;
    for (what, forge) in &plan.refuses {
        for place in [head.frame(1, false), head.clone()] {
            let before = resident::mapped();
            let forged = forge(&place).context(format_args!("forging {what}"))?;
            Item::is_refused(plan, &place, forged).await.context(format_args!("{what}, {:?}", place.part))?;
            has_not_grown(before).context(what)?;
        }
    }
    Ok(())
}

/// Where the system says how much was allocated at most (Linux).
fn has_not_grown(before: Outcome<resident::Mapped>) -> Outcome {
    let (Ok(before), Ok(after)) = (before, resident::mapped()) else { return Ok(()) };
    let grown = if after.peak > before.peak { after.peak.saturating_sub(before.now) } else { 0 };
    ensure!(grown < MUCH, "{grown} bytes were allocated for a claim");
    Ok(())
}

fn claiming(bytes: &[u8], at: usize, claim: &[u8]) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes.iter_mut().skip(at).zip(claim).for_each(|(to, from)| *to = *from);
    bytes.into()
}

/// [`Context`] that is only made where it is needed: there are thousands.
trait With {
    fn with(self, doing: impl FnOnce() -> String) -> Outcome;
}

impl With for Outcome {
    fn with(self, doing: impl FnOnce() -> String) -> Outcome {
        self.map_err(|failure: Failure| failure.while_doing(doing()))
    }
}
