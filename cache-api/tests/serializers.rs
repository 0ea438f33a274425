//! What every serializer must hold, over arbitrary heads and bodies.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use cache_api::{
    BodyId, CacheKey, CborSerializer, Coded, Head, Namespace, Place, Selector, SelectorDigest, Serializer,
    SetBy, Terms, VariantId,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use proptest::prelude::*;

fn serializers() -> Vec<Arc<dyn Serializer>> {
    vec![
        Arc::new(CborSerializer::new()),
        #[cfg(feature = "json")]
        Arc::new(cache_api::JsonSerializer::new()),
        #[cfg(feature = "messagepack")]
        Arc::new(cache_api::MessagePackSerializer::new()),
    ]
}

fn place() -> Place {
    let body = BodyId::from_bytes([3; 16]);
    Place::head(&Namespace::default(), CacheKey::from_bytes([1; 32]), VariantId::ONLY, body)
}

fn field() -> impl Strategy<Value = (HeaderName, HeaderValue)> {
    let name = "[a-z][a-z0-9-]{0,20}".prop_map(|name| HeaderName::from_bytes(name.as_bytes()).unwrap());
    let byte = prop_oneof![0x20_u8..0x7f, 0x80_u8.., Just(b'\t')];
    let value = prop::collection::vec(byte, 0..60).prop_map(|value| HeaderValue::from_bytes(&value).unwrap());
    (name, value)
}

fn head() -> impl Strategy<Value = Head> {
    let time =
        (0_u64..4_000_000_000_000_000).prop_map(|us| SystemTime::UNIX_EPOCH + Duration::from_micros(us));
    let version =
        prop::sample::select(vec![Version::HTTP_10, Version::HTTP_11, Version::HTTP_2, Version::HTTP_3]);
    let method = prop::sample::select(vec![
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::from_bytes(b"QUERY").unwrap(),
    ]);
    let digest = prop::option::of(any::<[u8; 16]>().prop_map(SelectorDigest));
    let selector = (field(), digest).prop_map(|((name, _), value)| Selector { name, value });
    let by = prop::sample::select(vec![SetBy::Request, SetBy::Rule, SetBy::Client]);
    let terms = (by, prop::option::of(time.clone()), any::<bool>())
        .prop_map(|(by, until, overrides)| Terms::new(by).with_fresh_until(until).with_overrides(overrides));
    (
        (method, "\\PC{0,40}", 100_u16..1000, version, time.clone(), time),
        prop::collection::vec(field(), 0..20),
        prop::collection::vec(selector, 0..4),
        prop::option::of(terms),
    )
        .prop_map(
            |((method, url, status, version, requested_at, responded_at), fields, selectors, terms)| {
                let mut headers = HeaderMap::new();
                for (name, value) in fields {
                    headers.append(name, value);
                }
                let status = StatusCode::from_u16(status).unwrap();
                let mut head = Head::new(method, url, status, headers, requested_at, responded_at);
                head.version = version;
                head.selectors = selectors;
                head.terms = terms;
                head
            },
        )
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #[test]
    fn heads_round_trip(head in head()) {
        for serializer in serializers() {
            let bytes = block_on(serializer.encode_head(&place(), &head)).unwrap();
            let back = block_on(serializer.decode_head(&place(), bytes)).unwrap();
            prop_assert_eq!(&back, &head);
            let order = |h: &Head| h.headers.iter().map(|(n, v)| (n.clone(), v.clone())).collect::<Vec<_>>();
            prop_assert_eq!(order(&back), order(&head));
        }
    }

    #[test]
    fn frames_round_trip(body in prop::collection::vec(any::<u8>(), 0..2000), index: u32, last: bool) {
        let place = place().frame(index, last);
        for serializer in serializers() {
            let bytes = block_on(serializer.encode_frame(&place, body.clone().into())).unwrap();
            prop_assert_eq!(&block_on(serializer.decode_frame(&place, bytes)).unwrap()[..], &body[..]);
        }
    }

    #[test]
    fn garbage_is_corrupt(garbage in prop::collection::vec(any::<u8>(), 0..200)) {
        for serializer in serializers() {
            prop_assert!(block_on(serializer.decode_head(&place(), garbage.clone().into())).unwrap_err().is_corrupt());
            prop_assert!(block_on(serializer.decode_frame(&place(), garbage.clone().into())).unwrap_err().is_corrupt());
        }
    }

    #[test]
    fn damage_is_corrupt(head in head(), at: prop::sample::Index, bit in 0..8_u8) {
        for serializer in serializers() {
            let bytes = block_on(serializer.encode_head(&place(), &head)).unwrap();
            let at = at.index(bytes.len());
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1 << bit;
            // A damaged JSON document may still say the same, such as by another escape; never another head.
            match block_on(serializer.decode_head(&place(), damaged.into())) {
                Ok(back) => prop_assert_eq!(&back, &head),
                Err(error) => prop_assert!(error.is_corrupt()),
            }
            let cut = block_on(serializer.decode_head(&place(), bytes.slice(..at)));
            prop_assert!(cut.unwrap_err().is_corrupt());
        }
    }
}

fn golden() -> Head {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let mut headers = HeaderMap::new();
    headers.append("etag", HeaderValue::from_static("\"x\""));
    let mut head = Head::new(Method::GET, "http://h/", StatusCode::OK, headers, time, time);
    head.selectors = vec![Selector { name: http::header::ACCEPT, value: Some(SelectorDigest([7; 16])) }];
    head
}

fn golden_terms(head: &Head) -> Terms {
    Terms::new(SetBy::Rule).with_overrides(true).with_fresh_until(Some(head.responded_at))
}

/// The stored format: a change here makes every stored entry a miss.
#[tokio::test]
async fn golden_head() {
    let mut head = golden();
    let bytes = CborSerializer::new().encode_head(&place(), &head).await.unwrap();
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(
        hex,
        "48430101000000001dfa74838eb250278818c80b6347455469687474703a2f2f682f1b000000e8d4a510001b000000e8d4a510004f010004000300000065746167227822581906006163636570740107070707070707070707070707070707"
    );
    // What has no terms is written as before there were any; terms are one element more.
    let plain = bytes.len();
    head.terms = Some(golden_terms(&head));
    let bytes = CborSerializer::new().encode_head(&place(), &head).await.unwrap();
    let hex: String = bytes.iter().skip(plain).map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, "8302f51b000000e8d4a51000");
}

#[cfg(feature = "messagepack")]
mod messagepack {
    use cache_api::{Codec, Envelope, MessagePackSerializer};

    use super::*;

    async fn written(head: &Head) -> Vec<u8> {
        let bytes = MessagePackSerializer::new().encode_head(&place(), head).await.unwrap();
        Envelope::open(bytes, Codec::MESSAGEPACK, &place()).unwrap().payload.to_vec()
    }

    async fn read(payload: Vec<u8>) -> cache_api::Result<Head> {
        let bytes = Envelope::new(Codec::MESSAGEPACK, payload.into()).seal(&place()).unwrap();
        MessagePackSerializer::new().decode_head(&place(), bytes).await
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[tokio::test]
    async fn golden_head() {
        let mut head = golden();
        let payload = written(&head).await;
        assert_eq!(
            hex(&payload),
            "98ccc80ba3474554a9687474703a2f2f682fcf000000e8d4a51000cf000000e8d4a51000c40f0100040003000000657461672278\
             22c41906006163636570740107070707070707070707070707070707"
        );
        head.terms = Some(golden_terms(&head));
        let more = written(&head).await;
        assert_eq!((more[0], hex(&more[payload.len()..])), (0x99, "9302c3cf000000e8d4a51000".to_owned()));
        assert_eq!(&more[1..payload.len()], &payload[1..]);
    }

    /// What a later release appends is passed over, but for what is nested as nothing sane is.
    #[tokio::test]
    async fn elements_that_are_not_known() {
        let mut head = golden();
        head.terms = Some(golden_terms(&head));
        let mut payload = written(&head).await;
        payload[0] = 0x9a;
        for (nested, sane) in [(0, true), (1, true), (20, true), (32, false), (100_000, false)] {
            let appended = [&payload[..], &vec![0x91; nested], &[0xc0]].concat();
            match read(appended).await {
                Ok(back) => assert!(sane && back == head, "{nested}"),
                Err(error) => assert!(!sane && error.is_corrupt(), "{nested}: {error}"),
            }
        }
        payload.push(0xc0);
        payload.push(0xc0);
        assert!(read(payload).await.unwrap_err().is_corrupt(), "bytes after the head");
    }
}

#[tokio::test]
async fn cells_encode_and_decode_once_and_only_when_asked() {
    let serializer: Arc<dyn Serializer> = Arc::new(CborSerializer::new());
    let place = place().frame(0, true);
    let cell = Coded::new(Bytes::from_static(b"body"), Arc::clone(&serializer), place.clone());
    assert_eq!(cell.decode(&*serializer, &place).await.unwrap(), "body");
    let bytes = cell.bytes().await.unwrap().clone();
    assert_eq!(cell.clone().bytes().await.unwrap().as_ptr(), bytes.as_ptr());

    let read = Coded::<Bytes>::from_bytes(bytes);
    assert!(read.value().is_none());
    assert_eq!(read.decode(&*serializer, &place).await.unwrap(), "body");
    assert_eq!(read.clone().value().unwrap(), "body");
    assert!(!format!("{read:?}").contains("body"));
}
