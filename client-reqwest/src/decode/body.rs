use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use bytes::Bytes;
use futures_util::TryStreamExt;
use http_body::Frame;
use http_body_util::{BodyDataStream, StreamBody};
use reqwest::Body;
use tokio::io::{AsyncBufRead, AsyncRead, BufReader, ReadBuf};
use tokio_util::io::{ReaderStream, StreamReader};

use super::Coding;

/// How much is decoded at a time, which with each decoder's own window bounds the memory used.
const CHUNK: usize = 16 * 1024;

/// The window that HTTP allows zstd (RFC 9659): 8 MiB.
const ZSTD_WINDOW_LOG: u32 = 23;

type Source = Pin<Box<dyn AsyncBufRead + Send + Sync>>;
type Coded = Pin<Box<dyn Decoder>>;

/// `body` with the codings of `plan` undone.
///
/// Input that ends early or is not what its coding says is an error of the stream.
pub(crate) fn decoded(body: Body, plan: &[Coding]) -> Body {
    let chunks = BodyDataStream::new(body).map_err(io::Error::other);
    let mut source: Source = Box::pin(StreamReader::new(chunks));
    let mut layers = plan.iter().peekable();
    while let Some(coding) = layers.next() {
        let decoder = Whole { decoder: coding.decoder(source), state: State::New };
        if layers.peek().is_none() {
            return stream(decoder);
        }
        source = Box::pin(BufReader::with_capacity(CHUNK, decoder));
    }
    stream(source)
}

fn stream(reader: impl AsyncRead + Send + Sync + 'static) -> Body {
    let chunks: ReaderStream<_> = ReaderStream::with_capacity(reader, CHUNK);
    Body::wrap(StreamBody::new(chunks.map_ok(Frame::<Bytes>::data)))
}

impl Coding {
    fn decoder(self, source: Source) -> Coded {
        match self {
            Self::Gzip => {
                let mut decoder = GzipDecoder::new(source);
                decoder.multiple_members(true);
                Box::pin(decoder)
            }
            Self::Deflate => Box::pin(ZlibDecoder::new(source)),
            Self::Brotli => Box::pin(BrotliDecoder::new(source)),
            Self::Zstd => {
                let window = [DParameter::window_log_max(ZSTD_WINDOW_LOG)];
                let mut decoder = ZstdDecoder::with_params(source, &window);
                decoder.multiple_members(true);
                Box::pin(decoder)
            }
        }
    }
}

/// A decoder whose source can be reached once it is done.
trait Decoder: AsyncRead + Send + Sync {
    fn source(self: Pin<&mut Self>) -> Pin<&mut Source>;
}

macro_rules! decoder {
    ($($name:ident),*) => {$(
        impl Decoder for $name<Source> {
            fn source(self: Pin<&mut Self>) -> Pin<&mut Source> {
                self.get_pin_mut()
            }
        }
    )*};
}

decoder!(BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder);

/// Decodes a source that is not empty, and reads it to its end after the decoder has had enough: a body that is
/// being stored is complete only then, and its connection free for the next request.
struct Whole {
    decoder: Coded,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    New,
    Decoding,
    Decoded,
}

impl AsyncRead for Whole {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.state == State::New {
            // Servers label empty bodies too, though no coding of nothing is empty.
            let empty = ready!(self.decoder.as_mut().source().poll_fill_buf(cx))?.is_empty();
            self.state = if empty { State::Decoded } else { State::Decoding };
        }
        if self.state == State::Decoding {
            let before = buf.filled().len();
            ready!(self.decoder.as_mut().poll_read(cx, buf))?;
            if buf.filled().len() > before || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            self.state = State::Decoded;
        }
        loop {
            let mut source = self.decoder.as_mut().source();
            let left = ready!(source.as_mut().poll_fill_buf(cx))?.len();
            if left == 0 {
                return Poll::Ready(Ok(()));
            }
            source.as_mut().consume(left);
        }
    }
}
