//! Who has no key cannot read.

use bytes::Bytes;
use http::HeaderValue;
use memchr::memmem;

use super::{
    Plan, cases,
    sample::{Item, Random, head, place, small},
};
use crate::failure::{Failure, Outcome, ensure};

cases!["secrecy"; no_plaintext, never_the_same_twice];

/// So long a piece of the content comes about by chance once in 2^64.
const PIECE: usize = 8;

async fn no_plaintext(plan: &Plan) -> Outcome {
    let place = place("conformance", 1, 2, 3)?;
    let secret: String = Random::new(5).bytes(400).iter().map(|byte| char::from(b'0' + byte % 75)).collect();
    let mut secret_head = head(2)?;
    let value = HeaderValue::from_str(&secret).map_err(|e| Failure::of(&e))?;
    secret_head.headers.append("x-secret", value);
    secret_head.url = format!("https://host/{secret}").into();
    let items = [
        (place.frame(0, true), Item::Frame(Bytes::from(secret.clone()))),
        (place, Item::Head(Box::new(secret_head))),
    ];
    for (place, item) in items {
        let bytes = item.encode(plan, &place).await?;
        for piece in secret.as_bytes().windows(PIECE) {
            let found = memmem::find(&bytes, piece);
            ensure!(found.is_none(), "{:?}: a part of the content stands in what is stored", place.part);
        }
    }
    Ok(())
}

/// A stream under one key and nonce twice gives both contents away.
async fn never_the_same_twice(plan: &Plan) -> Outcome {
    for (place, item) in small()? {
        let first = item.encode(plan, &place).await?;
        let second = item.encode(plan, &place).await?;
        let blocks = first.rchunks(16).zip(second.rchunks(16)).take(4);
        let same = blocks.filter(|(first, second)| first == second).count();
        ensure!(same == 0, "{:?}: encoded twice, {same} of the last 4 blocks are the same", place.part);
    }
    Ok(())
}
