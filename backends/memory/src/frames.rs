use std::{ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};
use cache_api::Frame;

/// The longest body that is put into one piece: the copy is made beside the frames, which are let go after it.
const WHOLE_MAX: usize = 8 * 1024 * 1024;

/// The frames of a body, and all of it where that lies in one piece.
#[derive(Clone, Debug)]
pub(crate) struct Frames {
    list: Arc<[Frame]>,
    whole: Option<Bytes>,
}

impl Frames {
    /// Frames as they were written, put into one piece where their values are known and not too long.
    pub(crate) fn of(list: Vec<Frame>) -> Self {
        match in_one_piece(&list) {
            Some((list, whole)) => Self { list: list.into(), whole: Some(whole) },
            None => Self { list: list.into(), whole: None },
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.list.len()
    }

    /// These frames, where they are all there.
    pub(crate) fn get(&self, range: Range<usize>) -> Option<Vec<Frame>> {
        self.list.get(range).map(<[Frame]>::to_vec)
    }

    pub(crate) fn whole(&self) -> Option<Bytes> {
        self.whole.clone()
    }
}

/// The same frames as parts of one piece, and that.
fn in_one_piece(list: &[Frame]) -> Option<(Vec<Frame>, Bytes)> {
    if let [frame] = list {
        return Some((vec![frame.clone()], frame.value()?.clone()));
    }
    let values: Vec<_> = list.iter().map(Frame::value).collect::<Option<_>>()?;
    let len = values.iter().try_fold(0_usize, |len, value| len.checked_add(value.len()))?;
    if len > WHOLE_MAX {
        return None;
    }
    let mut whole = BytesMut::with_capacity(len);
    values.iter().for_each(|value| whole.extend_from_slice(value));
    let whole = whole.freeze();
    let mut rest = whole.clone();
    let moved = list.iter().zip(&values).map(|(frame, value)| frame.moved_to(rest.split_to(value.len())));
    Some((moved.collect(), whole))
}

#[cfg(test)]
mod tests {
    use cache_api::{BodyId, CacheKey, CborSerializer, Namespace, Place, VariantId};

    use super::*;

    fn frame(index: u32, value: Bytes) -> Frame {
        let (key, variant) = (CacheKey::from_bytes([1; 32]), VariantId::from_bytes([2; 16]));
        let place = Place::head(&Namespace::default(), key, variant, BodyId::from_bytes([3; 16]));
        Frame::new(value, Arc::new(CborSerializer::new()), place.frame(index, false))
    }

    #[tokio::test]
    async fn several_frames_become_one_piece_and_stay_what_they_are() {
        let written = vec![frame(0, Bytes::from_static(b"one ")), frame(1, Bytes::from_static(b"two"))];
        let frames = Frames::of(written.clone());
        assert_eq!(frames.whole().unwrap(), "one two");
        let read = frames.get(0..2).unwrap();
        for (read, written) in read.iter().zip(&written) {
            assert_eq!(read.value(), written.value());
            assert_eq!(read.bytes().await.unwrap(), written.bytes().await.unwrap());
        }
        assert_eq!(read[1].value().unwrap().as_ptr(), frames.whole().unwrap()[4..].as_ptr());
        assert!(frames.get(1..3).is_none());
    }

    #[test]
    fn what_is_long_or_only_encoded_stays_in_frames() {
        let long = Bytes::from(vec![0; WHOLE_MAX / 2 + 1]);
        assert!(Frames::of(vec![frame(0, long.clone()), frame(1, long)]).whole().is_none());
        let encoded = Frame::from_bytes(Bytes::from_static(b"encoded"));
        assert!(Frames::of(vec![frame(0, Bytes::from_static(b"plain")), encoded.clone()]).whole().is_none());
        assert!(Frames::of(vec![encoded]).whole().is_none());
    }
}
