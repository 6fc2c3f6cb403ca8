//! Gives hyper's own refusals a body: what is not HTTP, or too large to be read, is answered without one.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection on which each refusal has a JSON body.
pub(crate) struct WithRefusals<S> {
    stream: S,
    /// The refusal that is being written in place of hyper's, and how much of it was written.
    refusal: Option<(Vec<u8>, usize)>,
}

impl<S> WithRefusals<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            refusal: None,
        }
    }
}

/// The refusal with a body, if this is one of hyper without: handlers answer these statuses with a body.
fn with_body(head: &[u8]) -> Option<Vec<u8>> {
    let rest = head.strip_prefix(b"HTTP/1.1 4")?;
    let message = match rest.get(..2)? {
        b"00" => "this is not a valid HTTP/1.1 request",
        b"14" => "the URL is too long",
        b"31" => "the headers of the request are too many or too large",
        _ => return None,
    };
    let head = std::str::from_utf8(head).ok()?.strip_suffix("\r\n\r\n")?;
    let mut lines: Vec<&str> = head.split("\r\n").collect();
    let length = lines.iter().position(|line| *line == "content-length: 0")?;
    lines.remove(length);
    let (head, body) = (lines.join("\r\n"), format!("{{\"message\":\"{message}\"}}"));
    let length = body.len();
    Some(format!("{head}\r\ncontent-type: application/json\r\ncache-control: no-store\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes())
}

impl<S: AsyncWrite + Unpin> WithRefusals<S> {
    /// Writes a refusal in place of `head`; `None` if it is none.
    fn poll_refusal(
        &mut self,
        context: &mut Context<'_>,
        head: &[u8],
    ) -> Option<Poll<io::Result<usize>>> {
        if self.refusal.is_none() {
            self.refusal = Some((with_body(head)?, 0));
        }
        let (refusal, written) = self.refusal.as_mut()?;
        while *written < refusal.len() {
            match Pin::new(&mut self.stream).poll_write(context, &refusal[*written..]) {
                Poll::Ready(Ok(0)) => {
                    return Some(Poll::Ready(Err(io::ErrorKind::WriteZero.into())));
                }
                Poll::Ready(Ok(count)) => *written += count,
                Poll::Ready(Err(error)) => return Some(Poll::Ready(Err(error))),
                Poll::Pending => return Some(Poll::Pending),
            }
        }
        self.refusal = None;
        Some(Poll::Ready(Ok(head.len())))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WithRefusals<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.poll_refusal(context, bytes) {
            Some(written) => written,
            None => Pin::new(&mut self.stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A head without a body is the only part.
        if let [head] = parts
            && let Some(written) = self.poll_refusal(context, head)
        {
            return written;
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WithRefusals<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_refusal_has_a_body_also_if_it_is_written_byte_by_byte() {
        let (near, mut far) = tokio::io::duplex(1);
        let mut near = WithRefusals::new(near);
        let head = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";
        let writing = async {
            near.write_all(head).await.unwrap();
            near.shutdown().await.unwrap();
        };
        let mut found = String::new();
        let (_, read) = tokio::join!(writing, far.read_to_string(&mut found));
        read.unwrap();
        let (head, body) = found.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("\r\ncontent-length: {}", body.len())),
            "{head}"
        );
        assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
        assert_eq!(
            body,
            r#"{"message":"the headers of the request are too many or too large"}"#
        );
    }

    #[test]
    fn another_response_is_left_alone() {
        for head in [
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 17\r\n\r\n",
            "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK",
            "HTTP/1.1 4",
            "",
        ] {
            assert_eq!(with_body(head.as_bytes()), None, "{head}");
        }
    }
}
