//! Client of EC2's instance metadata service, version 2 (`IMDSv2`): gets a token first, then the value.
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>

use std::time::Duration;

use reqwest::header::{HeaderValue, InvalidHeaderValue};
use reqwest::{Client, RequestBuilder, StatusCode};

use super::InstanceId;
use crate::client::tls;

/// Link-local address of the service.
const ADDRESS: &str = "http://169.254.169.254";
/// Connect and response timeouts; the service runs on the instance's own host.
const CONNECT: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_secs(2);
/// Lifetime of a token, which is used once and immediately.
const TOKEN_TTL_S: &str = "30";
/// Maximum response size in bytes; tokens have 56.
const MAX_BYTES: usize = 1024;

/// A client of the service.
#[derive(Debug)]
pub(super) struct Metadata {
    http: Client,
    address: String,
}

/// An error of the service.
#[derive(Debug, thiserror::Error)]
pub(super) enum MetadataError {
    #[error(
        "cannot reach the instance metadata service (in a container, check that its hop limit is 2)"
    )]
    Unreachable(#[from] reqwest::Error),
    #[error("the instance metadata service returned {status} for {what}")]
    Refused {
        what: &'static str,
        status: StatusCode,
    },
    #[error(
        "the instance metadata service returned more than {MAX_BYTES} bytes, or no text, for {0}"
    )]
    TooMuch(&'static str),
    #[error("the instance metadata service returned an invalid token")]
    NoToken(#[from] InvalidHeaderValue),
    #[error("the instance metadata service returned an invalid instance ID")]
    NoInstanceId,
}

impl Metadata {
    /// The service of the current instance.
    pub(super) fn of_ec2() -> anyhow::Result<Self> {
        Self::at(ADDRESS)
    }

    /// A service at another address.
    pub(super) fn at(address: &str) -> anyhow::Result<Self> {
        let http = Client::builder()
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            // No proxy and no redirects.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tls_backend_preconfigured(tls(false, None)?)
            .build()?;
        Ok(Self {
            http,
            address: address.to_owned(),
        })
    }

    /// Gets the ID of the instance.
    pub(super) async fn instance_id(&self) -> Result<InstanceId, MetadataError> {
        let (http, address) = (&self.http, &self.address);
        let asking = http
            .put(format!("{address}/latest/api/token"))
            .header("X-aws-ec2-metadata-token-ttl-seconds", TOKEN_TTL_S);
        let token = text("a token", asking).await?;
        let mut token = HeaderValue::from_str(token.trim())?;
        token.set_sensitive(true);
        let asking = http
            .get(format!("{address}/latest/meta-data/instance-id"))
            .header("X-aws-ec2-metadata-token", token);
        let id = text("the instance ID", asking).await?;
        let id = id.trim().parse::<InstanceId>().ok();
        id.filter(InstanceId::is_of_ec2)
            .ok_or(MetadataError::NoInstanceId)
    }
}

/// The body of a response, if it is a short text.
async fn text(what: &'static str, asking: RequestBuilder) -> Result<String, MetadataError> {
    let mut answer = asking.send().await?;
    let status = answer.status();
    if status != StatusCode::OK {
        return Err(MetadataError::Refused { what, status });
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BYTES {
            return Err(MetadataError::TooMuch(what));
        }
    }
    String::from_utf8(body).map_err(|_| MetadataError::TooMuch(what))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, OnceLock};
    use std::time::Instant;

    use axum::Router;
    use axum::http::HeaderMap;
    use axum::routing::{get, put};
    use skilift_core::lifecycle::chain;
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::*;
    use crate::instance::learn;

    const TOKEN: &str = "AQAEAHTTb-0q9bNcY3y9yTBG6oyR1kXbOdC6nI6Vt7qXcEXAMPLE0A==";
    const ID: &str = "i-0123456789abcdef0";

    /// Responses of the test service.
    #[derive(Clone)]
    struct Says {
        token: (StatusCode, String),
        /// The expected token.
        wanted: String,
        id: String,
        /// Number of token requests that are answered with 503 first.
        busy: usize,
    }

    impl Says {
        fn id(id: impl Into<String>) -> Self {
            Self {
                token: (StatusCode::OK, TOKEN.to_owned()),
                wanted: TOKEN.to_owned(),
                id: id.into(),
                busy: 0,
            }
        }

        fn token(status: StatusCode, token: impl Into<String>) -> Self {
            Self {
                token: (status, token.into()),
                ..Self::id(ID)
            }
        }
    }

    /// Behaves like `IMDSv2`: returns a token only for a PUT with a TTL that did not pass a proxy, and values only for that
    /// token.
    async fn serve(says: Says, serving: &mut JoinSet<()>) -> Metadata {
        let (asked, calls) = (says.clone(), Arc::new(AtomicUsize::new(0)));
        let token = async move |headers: HeaderMap| {
            let ttl = headers.get("X-aws-ec2-metadata-token-ttl-seconds");
            let ttl = ttl.and_then(|ttl| ttl.to_str().ok()?.parse::<u32>().ok());
            if !ttl.is_some_and(|ttl| (1..=21_600).contains(&ttl)) {
                return (StatusCode::BAD_REQUEST, String::new());
            }
            if headers.contains_key("X-Forwarded-For") {
                return (StatusCode::FORBIDDEN, String::new());
            }
            if calls.fetch_add(1, Ordering::Relaxed) < asked.busy {
                return (StatusCode::SERVICE_UNAVAILABLE, String::new());
            }
            asked.token.clone()
        };
        let id = async move |headers: HeaderMap| {
            let shown = headers.get("X-aws-ec2-metadata-token");
            if shown.is_none_or(|shown| shown != says.wanted.as_str()) {
                return (StatusCode::UNAUTHORIZED, String::new());
            }
            (StatusCode::OK, says.id.clone())
        };
        let app = Router::new()
            .route("/latest/api/token", put(token))
            .route("/latest/meta-data/instance-id", get(id));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Metadata::at(&address).unwrap()
    }

    #[tokio::test]
    async fn the_id_is_told_for_a_token() {
        let mut serving = JoinSet::new();
        let metadata = serve(Says::id(ID), &mut serving).await;
        assert_eq!(metadata.instance_id().await.unwrap().to_string(), ID);
        let bare = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(false, None).unwrap())
            .build();
        let path = format!("{}/latest/meta-data/instance-id", metadata.address);
        let bare = bare.unwrap().get(path).send().await.unwrap();
        assert_eq!(bare.status(), 401, "the test service requires the token");
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused() {
        let endless = "i".repeat(1 << 20);
        for (says, error) in [
            (Says::id("<html>hello</html>"), "invalid instance ID"),
            (Says::id(""), "invalid instance ID"),
            (Says::id("i-0123456789abcdef0\nx: y"), "invalid instance ID"),
            (Says::id("local-worker-1"), "invalid instance ID"),
            (Says::id(endless.clone()), "more than 1024 bytes"),
            (Says::token(StatusCode::OK, endless), "more than 1024 bytes"),
            (
                Says::token(StatusCode::OK, "a\u{7f}\nb: c"),
                "invalid token",
            ),
            (
                Says::token(StatusCode::OK, "another"),
                "401 Unauthorized for the instance ID",
            ),
            (
                Says::token(StatusCode::FORBIDDEN, ""),
                "403 Forbidden for a token",
            ),
            (Says::token(StatusCode::FOUND, ""), "302 Found for a token"),
        ] {
            let mut serving = JoinSet::new();
            let metadata = serve(says, &mut serving).await;
            let said = chain(&metadata.instance_id().await.unwrap_err());
            assert!(said.contains(error), "{said}");
            assert!(!said.contains(TOKEN), "{said}");
        }
    }

    #[tokio::test]
    async fn who_never_answers_is_not_waited_for_long() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", silent.local_addr().unwrap());
        let began = Instant::now();
        let metadata = Metadata::at(&address).unwrap();
        let error = metadata.instance_id().await.unwrap_err();
        assert!(chain(&error).contains("hop limit"), "{error}");
        assert!(began.elapsed() < 10 * ANSWER, "{:?}", began.elapsed());
        drop(silent);
        let error = metadata.instance_id().await.unwrap_err();
        assert!(chain(&error).contains("cannot reach"), "{error}");
    }

    #[tokio::test]
    async fn a_service_that_is_busy_is_asked_again() {
        let mut serving = JoinSet::new();
        let busy = Says {
            busy: 3,
            ..Says::id(ID)
        };
        let metadata = serve(busy, &mut serving).await;
        let found = OnceLock::new();
        let learning = tokio::time::timeout(Duration::from_secs(20), learn(&metadata, &found));
        learning.await.unwrap();
        assert_eq!(found.get().map(String::as_str), Some(ID));
    }
}
