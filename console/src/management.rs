//! Figures of RabbitMQ's management API for the ride queue, if its URL is configured. Nothing depends on them.
//!
//! API: <https://www.rabbitmq.com/docs/http-api-reference>. Its figures are a few seconds old, any of them may be missing,
//! and they count messages.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use skilift_core::lifecycle::{TaskError, chain};
use skilift_core::service_url::ServiceUrl;
use skilift_core::stack::StackName;
use tokio_util::sync::CancellationToken;

use crate::view::queue::ManagementView;

/// Polling interval.
const INTERVAL: Duration = Duration::from_secs(5);
/// Timeout of a response.
const TIMEOUT: Duration = Duration::from_secs(4);
/// Maximum response size, in bytes: it lists every consumer.
const MAX_BYTES: usize = 4 << 20;

/// Connection to RabbitMQ's management API.
#[derive(Debug, Clone)]
pub struct ManagementSource {
    /// Its URL, with user and password.
    pub url: ServiceUrl,
    /// The virtual host of the queues.
    pub vhost: String,
    /// The HTTP client.
    pub client: reqwest::Client,
}

/// The latest figures.
pub(crate) struct Management {
    client: reqwest::Client,
    /// URL of the ride queue.
    url: ServiceUrl,
    latest: Mutex<Option<Result<ManagementResponse, String>>>,
}

#[derive(Clone)]
struct ManagementResponse {
    at: Instant,
    view: ManagementView,
}

impl Management {
    /// A state without any response yet.
    pub(crate) fn new(source: &ManagementSource, stack: &StackName) -> Self {
        let path = ["api", "queues", &source.vhost, &stack.ride_queue()];
        Self {
            client: source.client.clone(),
            url: source.url.join(&path),
            latest: Mutex::default(),
        }
    }

    /// The latest figures and their age.
    pub(crate) fn view(&self) -> ManagementView {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*latest {
            Some(Ok(latest)) => ManagementView {
                age_ms: u64::try_from(latest.at.elapsed().as_millis()).ok(),
                ..latest.view.clone()
            },
            Some(Err(why)) => unknown(why.clone()),
            None => unknown("not queried yet".to_owned()),
        }
    }

    async fn poll(&self) {
        let at = Instant::now();
        let polled = tokio::time::timeout(TIMEOUT, self.answer()).await;
        let latest = match polled {
            Ok(Ok(answer)) => Ok(ManagementResponse {
                at,
                view: read(&answer),
            }),
            Ok(Err(why)) => Err(format!("the management API at {} {why}", self.url)),
            Err(_) => Err(format!(
                "the management API at {} did not respond within {} s",
                self.url,
                TIMEOUT.as_secs()
            )),
        };
        let mut slot = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(why) = &latest
            && !matches!(&*slot, Some(Err(before)) if before == why)
        {
            tracing::warn!("{why}; retrying");
        }
        *slot = Some(latest);
    }

    async fn answer(&self) -> Result<Value, String> {
        // The client moves user and password from the URL to a header.
        let sent = self.client.get(self.url.reveal()).send().await;
        let response =
            sent.map_err(|error| format!("cannot be reached: {}", chain(&error.without_url())))?;
        match response.status().as_u16() {
            200 => {}
            401 | 403 => {
                return Err("denies access to this user; it needs the tag `monitoring`".to_owned());
            }
            404 => return Err("does not know the queue yet".to_owned()),
            other => return Err(format!("returns {other}")),
        }
        let body = Limited::new(reqwest::Body::from(response), MAX_BYTES);
        let body = body.collect().await;
        let body = body.map_err(|error| format!("did not complete its response: {error}"))?;
        let parsed = serde_json::from_slice(&body.to_bytes());
        parsed.map_err(|error| format!("returned invalid JSON: {error}"))
    }
}

/// Polls every five seconds until `drain`.
pub(crate) async fn poll(
    management: Arc<Management>,
    drain: CancellationToken,
) -> Result<(), TaskError> {
    let polling = async {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            management.poll().await;
        }
    };
    drain.run_until_cancelled(polling).await;
    Ok(())
}

/// Parses a response. Its figures depend on version and settings: each may be missing.
fn read(answer: &Value) -> ManagementView {
    let count = |name: &str| answer.get(name).and_then(Value::as_u64);
    let rate = |name: &str| {
        let statistics = answer.get("message_stats")?;
        statistics.get(name)?.get("rate")?.as_f64()
    };
    ManagementView {
        age_ms: None,
        error: None,
        ready_messages: count("messages_ready"),
        unacked_messages: count("messages_unacknowledged"),
        publish_per_s: rate("publish_details"),
        deliver_per_s: rate("deliver_get_details"),
        ack_per_s: rate("ack_details"),
        redeliver_per_s: rate("redeliver_details"),
        consumers: count("consumers"),
        message_bytes: count("message_bytes"),
    }
}

fn unknown(why: String) -> ManagementView {
    ManagementView {
        error: Some(why),
        ..read(&Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::http::{HeaderMap, Uri};

    #[expect(
        clippy::disallowed_methods,
        reason = "a server of the test, which ends with its runtime"
    )]
    async fn served(answer: &'static str, status: u16) -> Management {
        let handle = move |uri: Uri, headers: HeaderMap| async move {
            let is_right = uri.path() == "/mq/api/queues/%2Fski/alps.rides"
                && headers["authorization"] == "Basic b3BzOnMzY3JldA==";
            let status = if is_right { status } else { 418 };
            (axum::http::StatusCode::from_u16(status).unwrap(), answer)
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handle)).await });
        at(&format!("http://ops:s3cret@{address}/mq/"))
    }

    fn at(url: &str) -> Management {
        let ring = rustls::crypto::ring::default_provider();
        let tls = rustls::ClientConfig::builder_with_provider(ring.into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls);
        let source = ManagementSource {
            url: ServiceUrl::management(url).unwrap(),
            vhost: "/ski".to_owned(),
            client: client.no_proxy().build().unwrap(),
        };
        Management::new(&source, &"alps".parse().unwrap())
    }

    async fn view(management: Management) -> ManagementView {
        management.poll().await;
        management.view()
    }

    #[tokio::test]
    async fn figures_are_what_it_says_and_those_that_it_lacks_are_unknown() {
        let whole = r#"{"messages_ready":5,"messages_unacknowledged":2,"consumers":3,"message_bytes":700,"message_stats":
            {"publish_details":{"rate":8.5},"deliver_get_details":{"rate":4.0},"ack_details":{"rate":3},"redeliver_details":{"rate":0.0}}}"#;
        let seen = view(served(whole, 200).await).await;
        assert!(
            seen.age_ms.unwrap() < 4000 && seen.error.is_none(),
            "{seen:?}"
        );
        assert_eq!(
            (seen.ready_messages, seen.unacked_messages, seen.consumers),
            (Some(5), Some(2), Some(3))
        );
        assert_eq!(
            (seen.publish_per_s, seen.deliver_per_s, seen.ack_per_s),
            (Some(8.5), Some(4.0), Some(3.0))
        );
        assert_eq!(
            (seen.redeliver_per_s, seen.message_bytes),
            (Some(0.0), Some(700))
        );
        let poor = r#"{"messages_ready":5,"consumers":"many","message_stats":{"publish":9}}"#;
        let seen = view(served(poor, 200).await).await;
        assert_eq!((seen.ready_messages, seen.consumers), (Some(5), None));
        assert_eq!(seen.publish_per_s, None);
    }

    #[tokio::test]
    async fn without_an_answer_all_is_unknown_and_no_password_is_shown() {
        for (answer, status, says) in [
            ("{}", 401, "monitoring"),
            ("{}", 404, "does not know the queue"),
            ("{}", 500, "returns 500"),
            ("<html>", 200, "invalid JSON"),
        ] {
            let seen = view(served(answer, status).await).await;
            let unknown = seen.error.unwrap();
            assert!(
                unknown.contains(says) && !unknown.contains("s3cret"),
                "{unknown}"
            );
            assert_eq!((seen.ready_messages, seen.age_ms), (None, None));
        }
        let absent = at("http://ops:s3cret@127.0.0.1:9");
        assert!(absent.view().error.unwrap().contains("not queried"));
        let unknown = view(absent).await.error.unwrap();
        assert!(
            unknown.contains("cannot be reached") && !unknown.contains("s3cret"),
            "{unknown}"
        );
    }
}
