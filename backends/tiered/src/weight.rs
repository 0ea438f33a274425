use cache_api::{Body, Resource, Result, StoredHead};

/// What a resource costs beside its variants, and a variant beside head and body: nodes of map and eviction
/// list, cells, identifiers.
const OVERHEAD: u64 = 1024;

/// What a header field costs beside its name and value.
const FIELD: usize = 96;

/// How much more than its bytes an encoded head takes, once it was decoded: a field of 32 bytes takes about 100.
const DECODED: u64 = 4;

/// The bytes that a resource takes in memory, estimated.
pub(crate) async fn of(found: &Resource) -> Result<u64> {
    let mut weight = OVERHEAD;
    for variant in found.variants() {
        let tags = u64::try_from(variant.tags.len()).unwrap_or(u64::MAX).saturating_mul(16);
        let body = match &variant.body {
            Body::Inline(inline) => match inline.frame.value() {
                Some(_) => inline.len,
                None => length(inline.frame.bytes().await?.len()),
            },
            Body::Stored(_) => 0,
        };
        for part in [OVERHEAD, of_head(&variant.head).await?, tags, body] {
            weight = weight.saturating_add(part);
        }
    }
    Ok(weight)
}

async fn of_head(head: &StoredHead) -> Result<u64> {
    let Some(head) = head.value() else {
        // They are there: nothing is encoded. Whoever looks up decodes them, and the copy keeps both.
        return Ok(length(head.bytes().await?.len()).saturating_mul(1 + DECODED));
    };
    let fields = head.headers.iter().map(|(name, value)| FIELD + name.as_str().len() + value.len());
    let selectors = head.selectors.iter().map(|selector| FIELD + selector.name.as_str().len());
    Ok(length(head.url.len() + fields.chain(selectors).sum::<usize>()))
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
