use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use reqwest::Body;

/// A request body on its way to one origin.
#[derive(Debug)]
pub(crate) enum HopBody {
    /// In memory: it can be looked at and copied.
    Bytes(Bytes),
    /// Sent once.
    Stream(Body),
}

impl From<HopBody> for Body {
    fn from(body: HopBody) -> Self {
        match body {
            HopBody::Bytes(bytes) => bytes.into(),
            HopBody::Stream(body) => body,
        }
    }
}

/// A request body across redirects: what can be sent again is kept, what cannot is sent once.
#[derive(Debug, Default)]
pub(crate) enum Payload {
    #[default]
    Empty,
    Bytes(Bytes),
    Stream(Body),
    Spent,
}

impl Payload {
    pub(crate) fn new(body: Option<Body>) -> Self {
        let Some(mut body) = body else { return Self::Empty };
        match body.as_bytes().map(<[u8]>::is_empty) {
            Some(true) => Self::Empty,
            // A body of bytes yields them all in one frame, at once and uncopied.
            Some(false) => match body.frame().now_or_never() {
                Some(Some(Ok(frame))) => frame.into_data().map_or(Self::Empty, Self::Bytes),
                _ => Self::Empty,
            },
            None => Self::Stream(body),
        }
    }

    /// The body for the next hop; a stream is handed out once.
    pub(crate) fn take(&mut self) -> Option<HopBody> {
        match std::mem::replace(self, Self::Spent) {
            Self::Empty => {
                *self = Self::Empty;
                None
            }
            Self::Bytes(bytes) => {
                *self = Self::Bytes(bytes.clone());
                Some(HopBody::Bytes(bytes))
            }
            Self::Stream(body) => Some(HopBody::Stream(body)),
            Self::Spent => None,
        }
    }

    pub(crate) fn is_spent(&self) -> bool {
        matches!(self, Self::Spent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_kept_uncopied_and_replayed() {
        let bytes = Bytes::from_static(b"body");
        let mut payload = Payload::new(Some(Body::from(bytes.clone())));
        for _ in 0..2 {
            let body = Body::from(payload.take().unwrap());
            assert_eq!(body.as_bytes().unwrap().as_ptr(), bytes.as_ptr());
        }
        assert!(!payload.is_spent());
    }

    #[test]
    fn a_stream_is_sent_once() {
        let mut payload = Payload::new(Some(Body::wrap(String::from("stream"))));
        assert!(!payload.is_spent());
        assert!(payload.take().is_some());
        assert!(payload.is_spent());
        assert!(payload.take().is_none());
    }

    #[test]
    fn an_empty_body_is_no_body() {
        assert!(Payload::new(Some(Body::from(""))).take().is_none());
        assert!(Payload::new(None).take().is_none());
    }
}
