//! A serializer with a switch for each fault.

use async_trait::async_trait;
use bytes::Bytes;
use cache_api::{
    BodyId, CacheKey, CborSerializer, Codec, Envelope, Error, ErrorKind, Head, Namespace, Part, Place,
    Result, Serializer, VariantId,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Frames as they are.
    NoEnvelope,
    LosesRepeats,
    RefusesEmptyFrames,
    KeepsLargeFramesShort,
    IgnoresNamespace,
    IgnoresKey,
    IgnoresVariant,
    IgnoresBody,
    IgnoresIndex,
    IgnoresLast,
    IgnoresPart,
    Panics,
    /// Damage is an error of another kind.
    SaysOther,
    /// Allocates by the first four bytes.
    BelievesLengths,
    /// What does not decode is a frame from before.
    FallsBack,
    /// Takes what comes after an entry for a part of it.
    AppendsTrailing,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Broken(pub(crate) Fault);

impl Broken {
    /// The place as far as it is looked at.
    fn place(self, place: &Place) -> Place {
        let mut place = place.clone();
        match (self.0, place.part) {
            (Fault::IgnoresNamespace, _) => place.namespace = Namespace::default(),
            (Fault::IgnoresKey, _) => place.key = CacheKey::from_bytes([0; 32]),
            (Fault::IgnoresVariant, _) => place.variant = VariantId::ONLY,
            (Fault::IgnoresBody, _) => place.body = BodyId::from_bytes([0; 16]),
            (Fault::IgnoresIndex, Part::Frame { last, .. }) => return place.frame(0, last),
            (Fault::IgnoresLast, Part::Frame { index, .. }) => return place.frame(index, false),
            (Fault::IgnoresPart, _) => place.part = Part::Head,
            _ => {}
        }
        place
    }

    fn seal(self, codec: Codec, place: &Place, payload: Bytes) -> Result<Bytes> {
        let sealed = Envelope::new(codec, payload).seal(&self.place(place))?;
        Ok(match self.0 {
            Fault::AppendsTrailing => {
                let len = u32::try_from(sealed.len()).unwrap_or(u32::MAX);
                [&len.to_le_bytes()[..], &sealed].concat().into()
            }
            // A length, then the envelope.
            Fault::BelievesLengths => [&0_u32.to_le_bytes()[..], &sealed].concat().into(),
            _ => sealed,
        })
    }

    fn open(self, codec: Codec, place: &Place, mut bytes: Bytes) -> Result<Bytes> {
        match self.0 {
            Fault::Panics => assert!(bytes.len() > 20, "too short"),
            Fault::AppendsTrailing | Fault::BelievesLengths => {
                let Some((len, _)) = bytes.split_first_chunk::<4>() else { return Err(corrupt()) };
                let len = u32::from_le_bytes(*len) as usize;
                bytes = bytes.slice(4..);
                if self.0 == Fault::AppendsTrailing {
                    let trailing = bytes.split_off(len.min(bytes.len()));
                    let payload = Envelope::open(bytes, codec, &self.place(place))?.payload;
                    return Ok([payload, trailing].concat().into());
                }
                // Less than the claim: the machine may have no more.
                drop(std::hint::black_box(Vec::<u8>::with_capacity(len.min(3 << 29))));
            }
            _ => {}
        }
        match Envelope::open(bytes.clone(), codec, &self.place(place)) {
            Ok(envelope) => Ok(envelope.payload),
            Err(_) if self.0 == Fault::FallsBack => Ok(bytes),
            Err(error) if self.0 == Fault::SaysOther => {
                Err(Error::new(ErrorKind::Other, "decode").with_source(error))
            }
            Err(error) => Err(error),
        }
    }
}

fn corrupt() -> Error {
    Error::new(ErrorKind::Corrupt, "decode")
}

/// The default serializer inside an envelope of this one's own, which alone knows the place.
#[async_trait]
impl Serializer for Broken {
    async fn encode_head(&self, place: &Place, head: &Head) -> Result<Bytes> {
        let mut head = head.clone();
        if self.0 == Fault::LosesRepeats {
            let names: Vec<_> = head.headers.keys().cloned().collect();
            for name in names {
                if let Some(first) = head.headers.get(&name).cloned() {
                    head.headers.insert(name, first);
                }
            }
        }
        let inner = CborSerializer::new().encode_head(&nowhere(), &head).await?;
        self.seal(self.codec(Codec::CBOR), place, inner)
    }

    async fn decode_head(&self, place: &Place, bytes: Bytes) -> Result<Head> {
        let inner = self.open(self.codec(Codec::CBOR), place, bytes)?;
        CborSerializer::new().decode_head(&nowhere(), inner).await
    }

    async fn encode_frame(&self, place: &Place, plaintext: Bytes) -> Result<Bytes> {
        match self.0 {
            Fault::NoEnvelope => return Ok(plaintext),
            Fault::RefusesEmptyFrames if plaintext.is_empty() => return Err(corrupt()),
            _ => {}
        }
        let plaintext = match self.0 {
            Fault::KeepsLargeFramesShort => plaintext.slice(..plaintext.len().min(100_000)),
            _ => plaintext,
        };
        self.seal(self.codec(Codec::RAW), place, plaintext)
    }

    async fn decode_frame(&self, place: &Place, bytes: Bytes) -> Result<Bytes> {
        match self.0 {
            Fault::NoEnvelope => Ok(bytes),
            _ => self.open(self.codec(Codec::RAW), place, bytes),
        }
    }
}

impl Broken {
    fn codec(self, codec: Codec) -> Codec {
        if self.0 == Fault::IgnoresPart { Codec::RAW } else { codec }
    }
}

fn nowhere() -> Place {
    Place::head(
        &Namespace::default(),
        CacheKey::from_bytes([0; 32]),
        VariantId::ONLY,
        BodyId::from_bytes([0; 16]),
    )
}
