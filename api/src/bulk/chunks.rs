//! The bytes of an upload, decompressed if necessary.

use std::io;
use std::time::Duration;

use async_compression::tokio::bufread::GzipDecoder;
use axum::body::{Body, BodyDataStream, HttpBody};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures_util::stream::MapErr;
use futures_util::{StreamExt, TryStreamExt};
use serde::Serialize;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;
use tokio_util::io::StreamReader;
use utoipa::ToSchema;

use super::answer::Stop;
use crate::error::ApiError;
use crate::extract::essence;

/// Maximum bytes of a body after decompression.
pub(super) const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Bytes that are decompressed at a time.
const INFLATED_AT_ONCE: usize = 64 * 1024;
/// Maximum time without data.
const HALT: Duration = Duration::from_secs(20);
/// Minimum mean bytes per second of a body after its first [`HALT`].
const LEAST_RATE: usize = 16 * 1024;
/// Media types of NDJSON; only the first one is documented.
const NDJSON: [&str; 3] = [
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
];

/// Compression of a body.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Encoding {
    /// No compression.
    Identity,
    /// gzip.
    Gzip,
}

/// The bytes of an upload as they arrive.
pub(super) struct Chunks {
    source: Source,
    /// Bytes that may still be returned.
    room: usize,
    /// Whether the body is larger than allowed.
    is_too_large: bool,
    /// Total time spent waiting for chunks, without the time in which the server slows the client down.
    waited: Duration,
    /// Start of the wait for the next chunk.
    waiting_since: Option<Instant>,
}

enum Source {
    Plain(Wire),
    Gzip(Box<Gunzip>),
}

/// The bytes as received.
type Wire = MapErr<BodyDataStream, fn(axum::Error) -> io::Error>;
type Gunzip = GzipDecoder<StreamReader<Wire, Bytes>>;

impl Chunks {
    /// Checks the media type and the encoding of the body.
    pub(super) fn open(headers: &HeaderMap, body: Body) -> Result<Self, ApiError> {
        check_type(headers)?;
        let encoding = match read_encoding(headers)? {
            // An empty body is empty with any encoding.
            Encoding::Gzip if body.is_end_stream() => Encoding::Identity,
            encoding => encoding,
        };
        let cut_off: fn(axum::Error) -> io::Error = io::Error::other;
        let stream = body.into_data_stream().map_err(cut_off);
        let source = match encoding {
            Encoding::Identity => Source::Plain(stream),
            Encoding::Gzip => {
                let mut gunzip = GzipDecoder::new(StreamReader::new(stream));
                // Concatenated gzip files are one file.
                gunzip.multiple_members(true);
                Source::Gzip(Box::new(gunzip))
            }
        };
        Ok(Self {
            source,
            room: MAX_BYTES,
            is_too_large: false,
            waited: Duration::ZERO,
            waiting_since: None,
        })
    }

    /// The next bytes; `None` at the end. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Stop> {
        if self.is_too_large {
            return Err(Stop::TooLarge);
        }
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let deadline = since + patience(MAX_BYTES - self.room, self.waited);
        let reading = tokio::time::timeout_at(deadline, self.source.read()).await;
        self.waiting_since = None;
        self.waited += since.elapsed();
        let Some(mut chunk) = reading.map_err(|_| Stop::Halted)?? else {
            return Ok(None);
        };
        self.is_too_large = chunk.len() > self.room;
        chunk.truncate(self.room);
        self.room -= chunk.len();
        Ok(Some(chunk))
    }
}

/// Timeout of the next chunk after this number of bytes in this time.
fn patience(received: usize, waited: Duration) -> Duration {
    let earned = Duration::from_secs_f64(received as f64 / LEAST_RATE as f64);
    HALT.min((HALT + earned).saturating_sub(waited))
}

impl Source {
    async fn read(&mut self) -> Result<Option<Bytes>, Stop> {
        match self {
            Self::Plain(stream) => match stream.next().await {
                Some(Ok(chunk)) => Ok(Some(chunk)),
                Some(Err(error)) => Err(Stop::Broken(format!("the body was cut off: {error}"))),
                None => Ok(None),
            },
            Self::Gzip(gunzip) => {
                let mut inflated = BytesMut::with_capacity(INFLATED_AT_ONCE);
                match gunzip.read_buf(&mut inflated).await {
                    Ok(0) => Ok(None),
                    Ok(_) => Ok(Some(inflated.freeze())),
                    Err(error) => Err(Stop::Broken(format!("the body is invalid gzip: {error}"))),
                }
            }
        }
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let found = essence(headers);
    if found.is_some_and(|found| NDJSON.iter().any(|name| found.eq_ignore_ascii_case(name))) {
        return Ok(());
    }
    let send = format!("send the header Content-Type: {}", NDJSON[0]);
    Err(ApiError::UnsupportedMedia(match found {
        Some(other) => format!("unsupported body type {other:?}; {send}"),
        None => format!("missing Content-Type; {send}"),
    }))
}

fn read_encoding(headers: &HeaderMap) -> Result<Encoding, ApiError> {
    let Some(value) = headers.get(header::CONTENT_ENCODING) else {
        return Ok(Encoding::Identity);
    };
    let text = value.to_str().unwrap_or("?").trim();
    if text.eq_ignore_ascii_case("identity") {
        Ok(Encoding::Identity)
    } else if text.eq_ignore_ascii_case("gzip") || text.eq_ignore_ascii_case("x-gzip") {
        Ok(Encoding::Gzip)
    } else {
        Err(ApiError::UnsupportedMedia(format!(
            "unsupported encoding {text:?}; use gzip, or omit Content-Encoding"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trickle_is_given_up_and_a_stream_is_not() {
        let left = |kib: usize, waited| patience(kib * 1024, Duration::from_secs(waited)).as_secs();
        assert_eq!((left(0, 0), left(0, 15), left(0, 21)), (20, 5, 0));
        assert_eq!((left(160, 15), left(160, 25), left(160, 30)), (15, 5, 0));
        assert_eq!(left(64 * 1024, 60), 20);
    }
}
