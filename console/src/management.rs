//! What RabbitMQ's management API says of the ride queue, where its URL is known. Nothing depends on it.
//!
//! API: <https://www.rabbitmq.com/docs/http-api-reference>. What it says is a few seconds old, may lack any figure, and counts
//! messages.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use skilift_core::lifecycle::{TaskError, chain};
use skilift_core::service_url::ServiceUrl;
use skilift_core::stack::StackName;
use tokio_util::sync::CancellationToken;

use crate::console::Console;
use crate::view::queue::ManagementView;

/// How often it is asked.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(4);
/// Largest answer, in bytes: it lists every consumer.
const MOST_BYTES: usize = 4 << 20;

/// Where RabbitMQ's management API is.
#[derive(Debug, Clone)]
pub struct ManagementSource {
    /// Its URL, with user and password.
    pub url: ServiceUrl,
    /// The virtual host of the queues.
    pub vhost: String,
    /// What asks it.
    pub client: reqwest::Client,
}

/// What it said last.
pub(crate) struct Management {
    client: reqwest::Client,
    /// Of the ride queue.
    url: ServiceUrl,
    said: Mutex<Option<Result<Said, String>>>,
}

#[derive(Clone)]
struct Said {
    at: Instant,
    view: ManagementView,
}

impl Management {
    /// Nothing was asked yet.
    pub(crate) fn new(source: &ManagementSource, stack: &StackName) -> Self {
        let path = ["api", "queues", &source.vhost, &stack.ride_queue()];
        Self {
            client: source.client.clone(),
            url: source.url.join(&path),
            said: Mutex::default(),
        }
    }

    /// What it said last, and how long ago.
    pub(crate) fn view(&self) -> ManagementView {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        match &*said {
            Some(Ok(said)) => ManagementView {
                age_ms: u64::try_from(said.at.elapsed().as_millis()).ok(),
                ..said.view.clone()
            },
            Some(Err(why)) => unknown(why.clone()),
            None => unknown("it was not asked yet".to_owned()),
        }
    }

    async fn ask(&self) {
        let at = Instant::now();
        let asked = tokio::time::timeout(TIMEOUT, self.answer()).await;
        let said = match asked {
            Ok(Ok(answer)) => Ok(Said {
                at,
                view: read(&answer),
            }),
            Ok(Err(why)) => Err(format!("the management API at {} {why}", self.url)),
            Err(_) => Err(format!(
                "the management API at {} did not answer within {} s",
                self.url,
                TIMEOUT.as_secs()
            )),
        };
        let mut slot = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(why) = &said
            && !matches!(&*slot, Some(Err(before)) if before == why)
        {
            tracing::warn!("{why}; trying again");
        }
        *slot = Some(said);
    }

    async fn answer(&self) -> Result<Value, String> {
        // The client takes user and password out of the URL, and says them in a header.
        let sent = self.client.get(self.url.reveal()).send().await;
        let response =
            sent.map_err(|error| format!("cannot be reached: {}", chain(&error.without_url())))?;
        match response.status().as_u16() {
            200 => {}
            401 | 403 => return Err("refuses this user, who needs the tag `monitoring`".to_owned()),
            404 => return Err("knows no such queue yet".to_owned()),
            other => return Err(format!("answers {other}")),
        }
        let body = Limited::new(reqwest::Body::from(response), MOST_BYTES);
        let body = body.collect().await;
        let body = body.map_err(|error| format!("did not finish its answer: {error}"))?;
        let parsed = serde_json::from_slice(&body.to_bytes());
        parsed.map_err(|error| format!("answers what is not JSON: {error}"))
    }
}

/// Asks every five seconds until `drain`.
pub(crate) async fn ask(console: Arc<Console>, drain: CancellationToken) -> Result<(), TaskError> {
    let asking = async {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Some(management) = &console.management {
                management.ask().await;
            }
        }
    };
    drain.run_until_cancelled(asking).await;
    Ok(())
}

/// Reads an answer. Which figures it has depends on version and settings: each may be missing.
fn read(answer: &Value) -> ManagementView {
    let count = |name: &str| answer.get(name).and_then(Value::as_u64);
    let rate = |name: &str| {
        let statistics = answer.get("message_stats")?;
        statistics.get(name)?.get("rate")?.as_f64()
    };
    ManagementView {
        age_ms: None,
        unknown: None,
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
        unknown: Some(why),
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
        management.ask().await;
        management.view()
    }

    #[tokio::test]
    async fn figures_are_what_it_says_and_those_that_it_lacks_are_unknown() {
        let whole = r#"{"messages_ready":5,"messages_unacknowledged":2,"consumers":3,"message_bytes":700,"message_stats":
            {"publish_details":{"rate":8.5},"deliver_get_details":{"rate":4.0},"ack_details":{"rate":3},"redeliver_details":{"rate":0.0}}}"#;
        let seen = view(served(whole, 200).await).await;
        assert!(
            seen.age_ms.unwrap() < 4000 && seen.unknown.is_none(),
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
            ("{}", 404, "no such queue"),
            ("{}", 500, "answers 500"),
            ("<html>", 200, "not JSON"),
        ] {
            let seen = view(served(answer, status).await).await;
            let unknown = seen.unknown.unwrap();
            assert!(
                unknown.contains(says) && !unknown.contains("s3cret"),
                "{unknown}"
            );
            assert_eq!((seen.ready_messages, seen.age_ms), (None, None));
        }
        let absent = at("http://ops:s3cret@127.0.0.1:9");
        assert!(absent.view().unknown.unwrap().contains("not asked"));
        let unknown = view(absent).await.unknown.unwrap();
        assert!(
            unknown.contains("cannot be reached") && !unknown.contains("s3cret"),
            "{unknown}"
        );
    }
}
