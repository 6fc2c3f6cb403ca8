//! The HTTP side: reads a request, has it decided, and answers it or ends its connection.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::query::Query;
use super::service::{Answer, Service};

const MOST_BYTES: usize = 1 << 20;

/// Serves connections until `stop` is cancelled.
pub(super) fn accept(listener: TcpListener, service: Arc<Service>, stop: &CancellationToken) {
    let tracker = TaskTracker::new();
    let connections = tracker.clone();
    let stopped = stop.clone();
    tracker.spawn(stop.clone().run_until_cancelled_owned(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // For example: too many open files. The next try may do better.
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            let _ = stream.set_nodelay(true);
            let service = Arc::clone(&service);
            let service = service_fn(move |request| serve(Arc::clone(&service), request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            connections.spawn(stopped.clone().run_until_cancelled_owned(async move {
                // A client that goes away, and a connection that is cut on purpose, are as they should be.
                let _ = connection.await;
            }));
        }
    }));
}

/// Answers one request. An error ends its connection without an answer: that is how hyper takes it.
async fn serve(
    service: Arc<Service>,
    request: Request<Incoming>,
) -> anyhow::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    if head.method != Method::POST || head.uri.path() != "/" {
        return response(
            404,
            "text/plain",
            "not found: send EC2 Query requests as POST /\n".to_owned(),
        );
    }
    let body = Limited::new(body, MOST_BYTES).collect().await;
    let body = body.map_err(|error| anyhow::anyhow!("cannot read a request: {error}"))?;
    let query = Query::parse(&body.to_bytes());
    let authorization = head.headers.get(AUTHORIZATION);
    let signature = authorization.and_then(|value| value.to_str().ok());

    let reply = service.decide(&query, signature.is_some_and(is_signature));
    tokio::time::sleep(reply.delay).await;
    let Answer { status, kind, text } = reply.answer.context("this connection is to be cut")?;
    response(status, kind, text)
}

fn response(status: u16, kind: &str, text: String) -> anyhow::Result<Response<Full<Bytes>>> {
    let response = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, kind);
    Ok(response.body(Full::new(text.into()))?)
}

/// Whether it has the form of version 4 of AWS's signatures, for EC2. What it signs is not looked at.
fn is_signature(value: &str) -> bool {
    value.starts_with("AWS4-HMAC-SHA256 Credential=") && value.contains("/ec2/aws4_request")
}
