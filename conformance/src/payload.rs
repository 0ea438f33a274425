use bytes::Bytes;
use cache_api::FRAME_SIZE;

/// A body's content, made again whenever it is needed: nothing of a large body is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    seed: u64,
    len: u64,
}

impl Payload {
    pub(crate) fn new(seed: u64, len: u64) -> Self {
        Self { seed, len }
    }

    pub(crate) fn len(self) -> u64 {
        self.len
    }

    /// How many frames it has as a stored body: one at least.
    pub(crate) fn frames(self) -> u32 {
        u32::try_from(self.len.div_ceil(FRAME_SIZE as u64)).unwrap_or(u32::MAX).max(1)
    }

    pub(crate) fn is_last(self, frame: u32) -> bool {
        frame.saturating_add(1) == self.frames()
    }

    /// The bytes of that frame: every byte value occurs, and no two frames are alike.
    pub(crate) fn frame(self, index: u32) -> Bytes {
        let start = u64::from(index).saturating_mul(FRAME_SIZE as u64);
        let len = self.len.saturating_sub(start).min(FRAME_SIZE as u64);
        let len = usize::try_from(len).unwrap_or(FRAME_SIZE);
        let mut bytes = vec![0; len];
        fastrand::Rng::with_seed(self.seed ^ (u64::from(index) << 40)).fill(&mut bytes);
        bytes.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_into_frames() {
        let size = FRAME_SIZE as u64;
        for (len, frames, last) in [(0, 1, 0), (1, 1, 1), (size, 1, size), (size + 1, 2, 1)] {
            let payload = Payload::new(7, len);
            assert_eq!(payload.frames(), frames);
            assert_eq!(payload.frame(frames - 1).len() as u64, last);
        }
        let payload = Payload::new(7, 2 * size);
        assert_ne!(payload.frame(0), payload.frame(1));
        assert_ne!(payload.frame(0), Payload::new(8, 2 * size).frame(0));
        assert!((0..=u8::MAX).all(|byte| payload.frame(0).contains(&byte)));
    }
}
