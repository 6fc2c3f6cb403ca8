//! Sends a response only after the request body has been read, and discards the rest of it if necessary: a client that is
//! still sending when the connection is closed gets a broken pipe instead of the response.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tower::Service;

/// How much of a body is discarded, in bytes, and for how long.
const MOST_BYTES: usize = 64 * 1024 * 1024;
const MOST_TIME: Duration = Duration::from_secs(5);

/// Lets the router respond, and discards the unread rest of the body.
pub(crate) async fn answer(
    mut router: Router,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    if request.body().is_end_stream() {
        return router.call(request).await;
    }
    let waits_for_leave = request.headers().contains_key(header::EXPECT);
    let (parts, incoming) = request.into_parts();
    let lent = Lent(Arc::new(Mutex::new(Rest {
        incoming,
        was_asked: false,
    })));
    let mut rest = lent.clone();
    let response = router.call(Request::from_parts(parts, lent)).await?;

    // A client with `Expect: 100-continue` sends nothing until the body is polled.
    let will_come = rest.rest().was_asked || !waits_for_leave;
    // A client that timed out will not send the rest.
    if will_come && response.status() != StatusCode::REQUEST_TIMEOUT {
        // The response is sent now, whether the body ended or not.
        let _ = tokio::time::timeout(MOST_TIME, rest.discard()).await;
    }
    Ok(response)
}

/// A body lent to a handler, so that its unread rest can be discarded.
#[derive(Clone)]
struct Lent(Arc<Mutex<Rest>>);

struct Rest {
    incoming: Incoming,
    /// Whether it was polled. hyper then sends `100 Continue`.
    was_asked: bool,
}

impl Lent {
    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn discard(&mut self) {
        let mut left = MOST_BYTES;
        while !self.is_end_stream() {
            let frame = std::future::poll_fn(|context| Pin::new(&mut *self).poll_frame(context));
            let Some(Ok(frame)) = frame.await else { return };
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(less) = left.checked_sub(length) else {
                return;
            };
            left = less;
        }
    }
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut rest = self.rest();
        rest.was_asked = true;
        Pin::new(&mut rest.incoming).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.rest().incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.rest().incoming.size_hint()
    }
}
