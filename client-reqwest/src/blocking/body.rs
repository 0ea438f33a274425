//! The bodies of requests.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};

use bytes::Bytes;
use futures_util::stream;
use tokio::task::spawn_blocking;

/// How much of a reader is in memory at a time.
const CHUNK: u64 = 64 * 1024;

/// The body of a request: bytes, or a reader that is read as the body is sent.
///
/// It is made as a [`reqwest::blocking::Body`] is. No more than 64 KiB of a reader are in memory; it is read on a thread in
/// the background, and is sent once: a redirect that would send it again is the answer.
///
/// ```no_run
/// # fn example(client: client_reqwest::blocking::CachedClient) -> Result<(), Box<dyn std::error::Error>> {
/// use std::fs::File;
///
/// client.put("https://example.com/backup").body(File::open("backup.tar")?).send()?;
/// # Ok(()) }
/// ```
pub struct Body(Kind);

enum Kind {
    Bytes(Bytes),
    /// A reader, and how many bytes of it are sent.
    Reader(Box<dyn Read + Send>, Option<u64>),
}

impl Body {
    /// What `reader` yields, of a length that is not known.
    pub fn new<R: Read + Send + 'static>(reader: R) -> Self {
        Self(Kind::Reader(Box::new(reader), None))
    }

    /// The first `len` bytes that `reader` yields, sent with a `Content-Length`. Where it ends before, the request fails.
    pub fn sized<R: Read + Send + 'static>(reader: R, len: u64) -> Self {
        Self(Kind::Reader(Box::new(reader.take(len)), Some(len)))
    }

    /// The body, where it is in memory.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Kind::Bytes(bytes) => Some(bytes),
            Kind::Reader(..) => None,
        }
    }

    /// The length that has to be said, since that of a stream does not show.
    pub(super) fn stream_len(&self) -> Option<u64> {
        match &self.0 {
            Kind::Bytes(_) => None,
            Kind::Reader(_, len) => *len,
        }
    }
}

impl From<Body> for reqwest::Body {
    /// Reads within the client's runtime, and nowhere else.
    fn from(body: Body) -> Self {
        match body.0 {
            Kind::Bytes(bytes) => bytes.into(),
            Kind::Reader(reader, _) => Self::wrap_stream(stream::try_unfold(reader, read_chunk)),
        }
    }
}

async fn read_chunk(mut reader: Box<dyn Read + Send>) -> io::Result<Option<(Bytes, Box<dyn Read + Send>)>> {
    let reading = spawn_blocking(move || {
        let mut chunk = Vec::new();
        reader.by_ref().take(CHUNK).read_to_end(&mut chunk).map(|_| (Bytes::from(chunk), reader))
    });
    let (chunk, reader) = reading.await.map_err(io::Error::other)??;
    Ok((!chunk.is_empty()).then_some((chunk, reader)))
}

macro_rules! from_bytes {
    ($($from:ty),*) => {$(
        impl From<$from> for Body {
            fn from(bytes: $from) -> Self {
                Self(Kind::Bytes(bytes.into()))
            }
        }
    )*};
}

from_bytes!(Bytes, Vec<u8>, String, &'static [u8], &'static str);

impl From<File> for Body {
    fn from(file: File) -> Self {
        match file.metadata() {
            Ok(metadata) if metadata.is_file() => Self::sized(file, metadata.len()),
            _ => Self::new(file),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Bytes(bytes) => f.debug_struct("Bytes").field("len", &bytes.len()).finish(),
            Kind::Reader(_, len) => f.debug_struct("Reader").field("len", len).finish_non_exhaustive(),
        }
    }
}
