//! Heads and frames to encode, places to put them, and what decoding must come to.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use cache_api::{
    BodyId, CacheKey, FRAME_SIZE, Head, Namespace, Part, Place, Selector, SelectorDigest, VariantId,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};

use super::Plan;
use crate::failure::{Context, Failure, Outcome, ensure, ensure_eq};

/// What a place holds.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Head(Box<Head>),
    Frame(Bytes),
}

/// The same pseudo-random numbers at every run.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).unwrap_or(0)
    }

    pub(super) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_le_bytes()[7]).collect()
    }
}

/// A place for a head.
pub(super) fn place(namespace: &str, key: u8, variant: u8, body: u8) -> Outcome<Place> {
    Ok(Place::head(
        &Namespace::new(namespace)?,
        CacheKey::from_bytes([key; 32]),
        VariantId::from_bytes([variant; 16]),
        BodyId::from_bytes([body; 16]),
    ))
}

/// A head that is in the middle of all that a head may be, and its frame.
pub(super) fn small() -> Outcome<[(Place, Item); 2]> {
    let place = place("conformance", 1, 2, 3)?;
    let mut headers = HeaderMap::new();
    headers.append(http::header::ETAG, HeaderValue::from_static("\"x\""));
    headers.append(http::header::SET_COOKIE, HeaderValue::from_static("a=1"));
    headers.append(http::header::SET_COOKIE, HeaderValue::from_static("b=2"));
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let mut head = Head::new(Method::GET, "http://host/", StatusCode::OK, headers, time, time);
    head.selectors = vec![Selector { name: http::header::ACCEPT, value: Some(SelectorDigest([7; 16])) }];
    let frame = Bytes::from("a frame that is a frame that is a frame. ".repeat(4));
    Ok([(place.clone(), Item::Head(Box::new(head))), (place.frame(1, false), Item::Frame(frame))])
}

/// A head of that seed: every part of it may have any value.
pub(super) fn head(seed: u64) -> Outcome<Head> {
    fn invalid(e: &(dyn std::error::Error + 'static)) -> Failure {
        Failure::of(e)
    }
    let random = &mut Random::new(seed);
    let mut headers = HeaderMap::new();
    for _ in 0..random.below(if seed.is_multiple_of(50) { 200 } else { 20 }) {
        let len = random.below(if seed.is_multiple_of(20) { 5000 } else { 60 });
        let value: Vec<u8> =
            random.bytes(len).into_iter().filter(|b| *b == b'\t' || (*b >= 0x20 && *b != 0x7f)).collect();
        headers.append(name(random)?, HeaderValue::from_bytes(&value).map_err(|e| invalid(&e))?);
    }
    let methods: [&[u8]; 4] = [b"GET", b"HEAD", b"POST", b"QUERY"];
    let method = methods.get(random.below(4)).copied().unwrap_or(b"GET");
    let versions = [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2, Version::HTTP_3];
    let url = format!("https://host/{}", "\u{e9}%2f/?&\0".repeat(random.below(20)));
    let status = u16::try_from(100 + random.below(900)).unwrap_or(200);
    let mut time = || SystemTime::UNIX_EPOCH + Duration::from_micros(random.next() >> 13);
    let times = (time(), time());
    let method = Method::from_bytes(method).map_err(|e| invalid(&e))?;
    let status = StatusCode::from_u16(status).map_err(|e| invalid(&e))?;
    let mut head = Head::new(method, url, status, headers, times.0, times.1);
    head.version = versions.get(random.below(4)).copied().unwrap_or(Version::HTTP_11);
    for _ in 0..random.below(4) {
        let digest = SelectorDigest([random.bytes(1).first().copied().unwrap_or(0); 16]);
        head.selectors.push(Selector { name: name(random)?, value: (random.below(3) > 0).then_some(digest) });
    }
    Ok(head)
}

fn name(random: &mut Random) -> Outcome<HeaderName> {
    // Few names, so that some come twice.
    let name = format!("x-{}", random.below(30));
    HeaderName::from_bytes(name.as_bytes()).map_err(|e| Failure::of(&e))
}

/// Frames of all sizes: of one byte alone, of text, and of what does not compress.
pub(super) fn frames() -> impl Iterator<Item = Bytes> {
    let sizes =
        [0, 1, 2, 15, 16, 17, 63, 64, 65, 255, 256, 1000, 65_535, 65_536, 65_537, FRAME_SIZE - 1, FRAME_SIZE];
    sizes.into_iter().flat_map(|len| {
        let text: String = "It is what it is, and what it is it is. ".chars().cycle().take(len).collect();
        [Bytes::from(vec![0; len]), text.into(), Random::new(len as u64).bytes(len).into()]
    })
}

impl Item {
    pub(super) async fn encode(&self, plan: &Plan, place: &Place) -> Outcome<Bytes> {
        Ok(match self {
            Self::Head(head) => plan.serializer.encode_head(place, head).await?,
            Self::Frame(frame) => plan.serializer.encode_frame(place, frame.clone()).await?,
        })
    }

    /// These bytes are refused at that place, whatever the place is of.
    pub(super) async fn is_refused(plan: &Plan, place: &Place, bytes: Bytes) -> Outcome {
        let decoded = match place.part {
            Part::Head => plan.serializer.decode_head(place, bytes).await.map(drop),
            Part::Frame { .. } => plan.serializer.decode_frame(place, bytes).await.map(drop),
        };
        match decoded {
            Ok(()) => Err(Failure::new("it was decoded")),
            Err(error) if error.is_corrupt() => Ok(()),
            Err(error) => Err(Failure::of(&error).while_doing("an error that is not `Corrupt`")),
        }
    }

    /// These bytes are this, in every detail.
    pub(super) async fn is_in(&self, plan: &Plan, place: &Place, bytes: Bytes) -> Outcome {
        match self {
            Self::Head(head) => {
                let found = plan.serializer.decode_head(place, bytes).await.context("decoding")?;
                ensure_eq!(found, **head, "the head");
                let order = |head: &Head| -> Vec<_> {
                    head.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
                };
                ensure_eq!(order(&found), order(head), "the order of the fields");
            }
            Self::Frame(frame) => {
                let found = plan.serializer.decode_frame(place, bytes).await.context("decoding")?;
                ensure!(found == *frame, "a frame of {} bytes came back as {}", frame.len(), found.len());
            }
        }
        Ok(())
    }

    /// These bytes are refused, or are another way to write the very same.
    pub(super) async fn is_never_another(&self, plan: &Plan, place: &Place, bytes: Bytes) -> Outcome {
        let same = match self {
            Self::Head(head) => plan.serializer.decode_head(place, bytes).await.map(|found| found == **head),
            Self::Frame(frame) => {
                plan.serializer.decode_frame(place, bytes).await.map(|found| found == *frame)
            }
        };
        match same {
            Ok(same) => {
                ensure!(same, "it was decoded as something else");
                Ok(())
            }
            Err(error) if error.is_corrupt() => Ok(()),
            Err(error) => Err(Failure::of(&error).while_doing("an error that is not `Corrupt`")),
        }
    }

    /// These bytes may be refused or be any value of that kind.
    pub(super) async fn is_anything(&self, plan: &Plan, place: &Place, bytes: Bytes) -> Outcome {
        let decoded = match self {
            Self::Head(_) => plan.serializer.decode_head(place, bytes).await.map(drop),
            Self::Frame(_) => plan.serializer.decode_frame(place, bytes).await.map(drop),
        };
        match decoded {
            Err(error) if !error.is_corrupt() => {
                Err(Failure::of(&error).while_doing("an error that is not `Corrupt`"))
            }
            _ => Ok(()),
        }
    }
}
