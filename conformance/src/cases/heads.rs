//! Heads come back as they were: field values are bytes, and order and multiplicity count.

use cache_api::{Selector, SelectorDigest};
use http::{HeaderName, HeaderValue, Method, StatusCode, Version};

use crate::{
    bench::{Bench, tag},
    case::cases,
    draft::Draft,
    failure::{Failure, Outcome, ensure, ensure_eq},
    store::find,
};

cases!["heads";
    obs_text, repeated_fields, empty_values, many_fields, large_value, every_part, tags_come_back,
];

pub(super) async fn survives(bench: Bench, change: impl FnOnce(Draft) -> Draft) -> Outcome {
    let store = bench.open().await?;
    let draft = change(bench.draft(bench.key(1)));
    store.put(&draft).await?;
    store.check(&draft).await?;
    // A replaced head takes another way into the store.
    let version = find(&store.lookup(&draft.key).await?, draft.variant)?.version;
    store.replace_head(&draft, version).await?;
    store.check(&draft).await?;
    Ok(())
}

fn value(bytes: &[u8]) -> Outcome<HeaderValue> {
    HeaderValue::from_bytes(bytes).map_err(|e| Failure::new(e.to_string()))
}

/// All bytes that a field value may have (RFC 9110 §5.5), among them such as are no UTF-8.
async fn obs_text(bench: Bench) -> Outcome {
    let bytes: Vec<u8> = (0..=u8::MAX).filter(|b| *b == b'\t' || (*b >= 0x20 && *b != 0x7f)).collect();
    let value = value(&bytes)?;
    survives(bench, |draft| draft.header("x-bytes", value)).await
}

async fn repeated_fields(bench: Bench) -> Outcome {
    let cookies = ["b=2; Path=/", "a=1", "b=2; Path=/", "", "c=3"];
    survives(bench, |draft| {
        let draft = cookies
            .into_iter()
            .fold(draft, |draft, cookie| draft.header("set-cookie", HeaderValue::from_static(cookie)));
        draft
            .header("via", HeaderValue::from_static("1.1 a"))
            .header("via", HeaderValue::from_static("1.1 b"))
    })
    .await
}

async fn empty_values(bench: Bench) -> Outcome {
    survives(bench, |draft| draft.header("x-empty", HeaderValue::from_static(""))).await
}

async fn many_fields(bench: Bench) -> Outcome {
    let names = (0..300).map(|n| HeaderName::from_bytes(format!("x-field-{n}").as_bytes()));
    let names = names.collect::<Result<Vec<_>, _>>().map_err(|e| Failure::new(e.to_string()))?;
    survives(bench, |mut draft| {
        for (name, n) in names.into_iter().zip(0_u32..) {
            draft.head.headers.append(name, HeaderValue::from(n));
        }
        draft
    })
    .await
}

async fn large_value(bench: Bench) -> Outcome {
    let value = value("x".repeat(60 * 1024).as_bytes())?;
    survives(bench, |draft| draft.header("x-large", value)).await
}

async fn every_part(bench: Bench) -> Outcome {
    let status = StatusCode::from_u16(999).map_err(|e| Failure::new(e.to_string()))?;
    survives(bench, |mut draft| {
        draft.head.method = Method::HEAD;
        draft.head.status = status;
        draft.head.version = Version::HTTP_2;
        draft.head.url = format!("https://origin.example/{}?q=%00%ff", "p".repeat(4000)).into();
        draft.head.selectors = vec![
            Selector { name: http::header::ACCEPT, value: Some(SelectorDigest([0xff; 16])) },
            Selector { name: http::header::COOKIE, value: None },
        ];
        draft
    })
    .await
}

async fn tags_come_back(bench: Bench) -> Outcome {
    let store = bench.open().await?;
    let draft = bench.draft(bench.key(1)).tags(&[tag("a"), tag("b")]);
    store.put(&draft).await?;
    let found = store.check(&draft).await?;
    // A storage whose lookup does not read tags returns none at all.
    if !found.tags.is_empty() {
        let mut tags = found.tags.to_vec();
        let mut expected = draft.tags.to_vec();
        tags.sort_unstable();
        expected.sort_unstable();
        ensure_eq!(tags, expected, "the tags");
    }
    ensure!(found.tags.len() <= draft.tags.len(), "more tags than were stored");
    Ok(())
}
