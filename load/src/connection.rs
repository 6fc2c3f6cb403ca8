//! One keep-alive connection to a target, which opens itself again when it is lost.
//!
//! It never asks twice by itself: whether a request that got no answer is sent again is for the caller to say.

use std::future::poll_fn;
use std::pin::Pin;
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

use crate::path;
use crate::target::Target;

/// Most bytes of an answer's body. A skier's fullest day is listed in 40 KiB.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// Who asks.
const AGENT: HeaderValue = HeaderValue::from_static("skictl-load");

/// A connection to a target. It is opened by the first request.
#[derive(Debug)]
pub struct Connection {
    target: Target,
    authority: Option<HeaderValue>,
    timeout: Duration,
    wire: Option<Wire>,
}

/// What a server said.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// How long it asks us to wait; `None` when it does not, or names a date.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No connection, so that nothing was sent.
    #[error("cannot connect to {target}")]
    Connect {
        /// Whom.
        target: String,
        /// Why.
        source: std::io::Error,
    },
    /// No connection within the request's time, so that nothing was sent.
    #[error("{target} does not take a connection within {after:?}")]
    ConnectTimeout {
        /// Whom.
        target: String,
        /// The limit.
        after: Duration,
    },
    /// The connection broke before the answer was complete.
    #[error("the connection was lost before the answer was complete")]
    Lost(#[source] hyper::Error),
    /// No complete answer in time.
    #[error("no complete answer within {0:?}")]
    Timeout(Duration),
    /// Bytes came that are not HTTP.
    #[error("the answer is not HTTP")]
    NotHttp(#[source] hyper::Error),
    /// The answer is longer than any of the API.
    #[error("the answer has more than {MAX_ANSWER_BYTES} bytes")]
    TooLarge,
    /// A request that cannot be written down.
    #[error("a request cannot be made for this URL")]
    Request(#[source] hyper::http::Error),
}

impl CallError {
    /// Whether the server may have got the request.
    #[must_use]
    pub fn may_have_arrived(&self) -> bool {
        !matches!(
            self,
            Self::Connect { .. } | Self::ConnectTimeout { .. } | Self::Request(_)
        )
    }

    /// Whether another try may do better: the connection failed, and not what came over it.
    #[must_use]
    pub fn is_connection_trouble(&self) -> bool {
        !matches!(self, Self::NotHttp(_) | Self::TooLarge | Self::Request(_))
    }
}

/// An open connection. `driver` moves the bytes; it is polled whenever a request is under way, and by nobody else.
#[derive(Debug)]
struct Wire {
    sender: SendRequest<Full<Bytes>>,
    driver: Pin<Box<http1::Connection<TokioIo<TcpStream>, Full<Bytes>>>>,
}

impl Connection {
    /// A connection that is not open yet. `timeout` bounds each request, the opening included.
    #[must_use]
    pub fn new(target: Target, timeout: Duration) -> Self {
        Self {
            authority: HeaderValue::from_str(target.authority()).ok(),
            target,
            timeout,
            wire: None,
        }
    }

    /// Another connection to the same target, not open yet.
    #[must_use]
    pub fn another(&self) -> Self {
        Self::new(self.target.clone(), self.timeout)
    }

    /// Whom it leads to.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Opens the connection if it is not open.
    ///
    /// # Errors
    /// When the server cannot be reached in time.
    pub async fn open(&mut self) -> Result<(), CallError> {
        self.open_until(Instant::now() + self.timeout).await
    }

    async fn open_until(&mut self, deadline: Instant) -> Result<(), CallError> {
        if self.is_alive().await {
            return Ok(());
        }
        match timeout_at(deadline, connect(&self.target)).await {
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

    /// Posts a ride; 201 says that it is safe.
    ///
    /// # Errors
    /// When there is no complete answer in time.
    pub async fn post_ride(&mut self, ride: &Ride) -> Result<Answer, CallError> {
        let path = path::skier_day(ride.resort_day(), ride.skier);
        self.post(&path, "application/json", path::ride_body(ride))
            .await
    }

    /// Asks for a path of the API, the target's prefix left out.
    ///
    /// # Errors
    /// When there is no complete answer in time.
    pub async fn get(&mut self, path: &str) -> Result<Answer, CallError> {
        self.call(Method::GET, path, None, Bytes::new()).await
    }

    /// Posts a body to a path of the API, the target's prefix left out.
    ///
    /// # Errors
    /// When there is no complete answer in time.
    pub async fn post(
        &mut self,
        path: &str,
        content_type: &'static str,
        body: Bytes,
    ) -> Result<Answer, CallError> {
        let kind = HeaderValue::from_static(content_type);
        self.call(Method::POST, path, Some(kind), body).await
    }

    async fn call(
        &mut self,
        method: Method,
        path: &str,
        content_type: Option<HeaderValue>,
        body: Bytes,
    ) -> Result<Answer, CallError> {
        let mut request = self.request(method, path, content_type, body)?;
        let mut fresh = self.wire.is_none();
        let deadline = Instant::now() + self.timeout;
        loop {
            self.open_until(deadline).await?;
            // Taken out: a request that is given up, here or by whoever drops this future, leaves no half-read answer behind.
            let Some(mut wire) = self.wire.take() else {
                return Err(CallError::Timeout(self.timeout));
            };
            let answered = timeout_at(deadline, wire.call(request)).await;
            match answered.map_err(|_| CallError::Timeout(self.timeout))? {
                Ok(answer) => {
                    self.wire = Some(wire);
                    return Ok(answer);
                }
                // The server closed the resting connection just now, and nothing was sent: that is no failed try.
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
        Ok(request)
    }

    /// Whether the connection is open. A server may close one that rests; that is noticed here, before anything is sent.
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

async fn connect(target: &Target) -> Result<Wire, CallError> {
    let refuse = |source| CallError::Connect {
        target: target.to_string(),
        source,
    };
    let stream = TcpStream::connect(target.address()).await.map_err(refuse)?;
    stream.set_nodelay(true).map_err(refuse)?;
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (sender, driver) = handshake.map_err(|error| refuse(std::io::Error::other(error)))?;
    Ok(Wire {
        sender,
        driver: Box::pin(driver),
    })
}

/// Why a wire gave no answer.
enum Failure {
    /// It was closed before the request, given back here, was sent.
    Unsent(Box<Request<Full<Bytes>>>, hyper::Error),
    /// Anything else.
    Call(CallError),
}

impl Wire {
    async fn call(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
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
                    // `Limited` knows no third kind.
                    Err(_) => CallError::TooLarge,
                })
            })?;
            Ok(Answer {
                status: head.status.as_u16(),
                retry_after: retry_after(&head.headers),
                body: body.to_bytes(),
            })
        });
        let mut driving = true;
        let driver = &mut self.driver;
        poll_fn(|context| {
            // The driver ends when the server closes the connection, perhaps behind a complete answer.
            driving = driving && driver.as_mut().poll(context).is_pending();
            let polled = answering.as_mut().poll(context);
            if polled.is_pending() && driving {
                // What the request asked of the driver is done in the same turn.
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
