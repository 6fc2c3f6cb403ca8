//! One keep-alive connection to a target, which reconnects when it is lost.
//!
//! It never retries a request: the caller decides whether a request without a response is sent again.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Body;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use skilift_core::ride::Ride;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_util::either::Either;

use crate::path;
use crate::target::Target;

/// Maximum bytes of a response body; the list of a skier's fullest day has 40 KiB.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// User agent.
const AGENT: HeaderValue = HeaderValue::from_static("skictl-load");

/// A connection to a target; the first request opens it.
#[derive(Debug)]
pub struct Connection {
    target: Target,
    authority: Option<HeaderValue>,
    headers: HeaderMap,
    tls: Option<Arc<ClientConfig>>,
    timeout: Duration,
    wire: Option<Wire>,
}

/// Plain, or encrypted.
type Stream = Either<TcpStream, TlsStream<TcpStream>>;

/// A response.
#[derive(Debug, Clone)]
pub struct HttpResponse {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After` in seconds; `None` if it is absent or a date.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Bytes,
}

impl HttpResponse {
    /// The body as text. A web page is only named: its markup says nothing.
    #[must_use]
    pub fn message(&self) -> String {
        match self.body.trim_ascii_start().first() {
            Some(b'<') => "an HTML page; is the target the public API?".to_owned(),
            _ => String::from_utf8_lossy(&self.body).into_owned(),
        }
    }
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The connection failed, so no request was sent.
    #[error("cannot connect to {target}")]
    Connect {
        /// The target.
        target: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The connection timed out, so no request was sent.
    #[error("cannot connect to {target} within {after:?}")]
    ConnectTimeout {
        /// The target.
        target: String,
        /// The limit.
        after: Duration,
    },
    /// The connection was lost before the response was complete.
    #[error("the connection was lost before the response was complete")]
    Lost(#[source] hyper::Error),
    /// The response timed out.
    #[error("no complete response within {0:?}")]
    Timeout(Duration),
    /// The received bytes are not HTTP.
    #[error("the response is not HTTP")]
    NotHttp(#[source] hyper::Error),
    /// The response is larger than any response of the API.
    #[error("the response has more than {MAX_ANSWER_BYTES} bytes")]
    TooLarge,
    /// The request cannot be built.
    #[error("cannot build a request for this URL")]
    Request(#[source] hyper::http::Error),
}

impl CallError {
    /// Whether the server may have received the request.
    #[must_use]
    pub fn may_have_arrived(&self) -> bool {
        !matches!(
            self,
            Self::Connect { .. } | Self::ConnectTimeout { .. } | Self::Request(_)
        )
    }

    /// Whether a retry may succeed: the connection failed, not the content of the response.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        !matches!(self, Self::NotHttp(_) | Self::TooLarge | Self::Request(_))
    }
}

/// An open connection; `driver` moves the bytes and is polled only while a request is in flight.
#[derive(Debug)]
struct Wire {
    sender: SendRequest<Full<Bytes>>,
    driver: Pin<Box<http1::Connection<TokioIo<Stream>, Full<Bytes>>>>,
}

impl Connection {
    /// A connection that is not open yet; `timeout` limits each request, including the connect.
    #[must_use]
    pub fn new(target: Target, timeout: Duration) -> Self {
        Self {
            authority: HeaderValue::from_str(target.authority()).ok(),
            headers: HeaderMap::new(),
            tls: None,
            target,
            timeout,
            wire: None,
        }
    }

    /// The same with further headers in each request.
    #[must_use]
    pub fn with_headers(self, headers: HeaderMap) -> Self {
        Self { headers, ..self }
    }

    /// The same with TLS, which an https target needs.
    #[must_use]
    pub fn with_tls(self, tls: Option<Arc<ClientConfig>>) -> Self {
        Self { tls, ..self }
    }

    /// Another connection to the same target, not open yet.
    #[must_use]
    pub fn another(&self) -> Self {
        Self::new(self.target.clone(), self.timeout)
            .with_headers(self.headers.clone())
            .with_tls(self.tls.clone())
    }

    /// The target.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Opens the connection if it is not open.
    ///
    /// # Errors
    /// If the server cannot be reached in time.
    pub async fn open(&mut self) -> Result<(), CallError> {
        self.open_until(Instant::now() + self.timeout).await
    }

    async fn open_until(&mut self, deadline: Instant) -> Result<(), CallError> {
        if self.is_alive().await {
            return Ok(());
        }
        match timeout_at(deadline, connect(&self.target, self.tls.as_ref())).await {
            Ok(wire) => {
                self.wire = Some(wire?);
                Ok(())
            }
            Err(_) => Err(CallError::ConnectTimeout {
                target: self.target.to_string(),
                after: self.timeout,
            }),
        }
    }

    /// Posts a ride; 201 means that it is durable.
    ///
    /// # Errors
    /// If there is no complete response in time.
    pub async fn post_ride(&mut self, ride: &Ride) -> Result<HttpResponse, CallError> {
        let path = path::skier_day(ride.resort_day(), ride.skier);
        self.post(&path, "application/json", path::ride_body(ride))
            .await
    }

    /// Gets a path of the API, without the target's prefix.
    ///
    /// # Errors
    /// If there is no complete response in time.
    pub async fn get(&mut self, path: &str) -> Result<HttpResponse, CallError> {
        self.call(Method::GET, path, None, Bytes::new()).await
    }

    /// Posts a body to a path of the API, without the target's prefix.
    ///
    /// # Errors
    /// If there is no complete response in time.
    pub async fn post(
        &mut self,
        path: &str,
        content_type: &'static str,
        body: Bytes,
    ) -> Result<HttpResponse, CallError> {
        let kind = HeaderValue::from_static(content_type);
        self.call(Method::POST, path, Some(kind), body).await
    }

    async fn call(
        &mut self,
        method: Method,
        path: &str,
        content_type: Option<HeaderValue>,
        body: Bytes,
    ) -> Result<HttpResponse, CallError> {
        let mut request = self.request(method, path, content_type, body)?;
        let mut fresh = self.wire.is_none();
        let deadline = Instant::now() + self.timeout;
        loop {
            self.open_until(deadline).await?;
            // Taken out, so that an aborted request or a dropped future leaves no partially read response behind.
            let Some(mut wire) = self.wire.take() else {
                return Err(CallError::Timeout(self.timeout));
            };
            let answered = timeout_at(deadline, wire.call(request)).await;
            match answered.map_err(|_| CallError::Timeout(self.timeout))? {
                Ok(answer) => {
                    self.wire = Some(wire);
                    return Ok(answer);
                }
                // The server closed the idle connection before the request was sent, which is not a failed attempt.
                Err(Failure::Unsent(back, _)) if !fresh => request = *back,
                Err(Failure::Unsent(_, error)) => {
                    return Err(CallError::Connect {
                        target: self.target.to_string(),
                        source: std::io::Error::other(error),
                    });
                }
                Err(Failure::Call(error)) => return Err(error),
            }
            fresh = true;
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        content_type: Option<HeaderValue>,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, CallError> {
        let uri: Uri = match self.target.prefix() {
            "" => path.parse(),
            prefix => [prefix, path].concat().parse(),
        }
        .map_err(|error: hyper::http::uri::InvalidUri| CallError::Request(error.into()))?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.extend(self.authority.clone().map(|authority| (HOST, authority)));
        headers.insert(USER_AGENT, AGENT);
        headers.extend(content_type.map(|kind| (CONTENT_TYPE, kind)));
        headers.extend(self.headers.clone());
        Ok(request)
    }

    /// Whether the connection is open; detects before a request that the server has closed the idle connection.
    async fn is_alive(&mut self) -> bool {
        let Some(wire) = &mut self.wire else {
            return false;
        };
        let rests = poll_fn(|context| Poll::Ready(wire.driver.as_mut().poll(context).is_pending()));
        let alive = rests.await && !wire.sender.is_closed();
        if !alive {
            self.wire = None;
        }
        alive
    }
}

async fn connect(target: &Target, tls: Option<&Arc<ClientConfig>>) -> Result<Wire, CallError> {
    let refuse = |source| CallError::Connect {
        target: target.to_string(),
        source,
    };
    let stream = TcpStream::connect(target.address()).await.map_err(refuse)?;
    stream.set_nodelay(true).map_err(refuse)?;
    let stream = if target.is_https() {
        let tls = tls.ok_or_else(|| refuse(std::io::Error::other("no TLS is configured")))?;
        let name = ServerName::try_from(target.address().0.to_owned());
        let name = name.map_err(|error| refuse(std::io::Error::other(error)))?;
        let encrypting = TlsConnector::from(Arc::clone(tls)).connect(name, stream);
        Either::Right(encrypting.await.map_err(refuse)?)
    } else {
        Either::Left(stream)
    };
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (sender, driver) = handshake.map_err(|error| refuse(std::io::Error::other(error)))?;
    Ok(Wire {
        sender,
        driver: Box::pin(driver),
    })
}

/// Why an open connection gave no response.
enum Failure {
    /// It was closed before the request was sent; returns the request.
    Unsent(Box<Request<Full<Bytes>>>, hyper::Error),
    /// Any other error.
    Call(CallError),
}

impl Wire {
    async fn call(&mut self, request: Request<Full<Bytes>>) -> Result<HttpResponse, Failure> {
        let sender = &mut self.sender;
        let mut answering = std::pin::pin!(async {
            let sent = sender.try_send_request(request).await;
            let response = sent.map_err(|mut error| match error.take_message() {
                Some(request) => Failure::Unsent(Box::new(request), error.into_error()),
                None => Failure::Call(describe(error.into_error())),
            })?;
            let (head, body) = response.into_parts();
            if body.size_hint().lower() > MAX_ANSWER_BYTES as u64 {
                return Err(Failure::Call(CallError::TooLarge));
            }
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
            let body = body.map_err(|error| {
                Failure::Call(match error.downcast::<hyper::Error>() {
                    Ok(error) => describe(*error),
                    Err(other) if other.is::<LengthLimitError>() => CallError::TooLarge,
                    // `Limited` has no third kind of error.
                    Err(_) => CallError::TooLarge,
                })
            })?;
            Ok(HttpResponse {
                status: head.status.as_u16(),
                retry_after: retry_after(&head.headers),
                body: body.to_bytes(),
            })
        });
        let mut driving = true;
        let driver = &mut self.driver;
        poll_fn(|context| {
            // The driver ends when the server closes the connection, possibly after a complete response.
            driving = driving && driver.as_mut().poll(context).is_pending();
            let polled = answering.as_mut().poll(context);
            if polled.is_pending() && driving {
                // The driver handles the request in the same poll.
                driving = driver.as_mut().poll(context).is_pending();
                if !driving {
                    return answering.as_mut().poll(context);
                }
            }
            polled
        })
        .await
    }
}

fn describe(error: hyper::Error) -> CallError {
    if error.is_parse() || error.is_parse_too_large() {
        CallError::NotHttp(error)
    } else {
        CallError::Lost(error)
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}
