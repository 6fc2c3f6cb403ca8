//! EC2's instance metadata service, by `IMDSv2`: a token first, then what it is asked for.
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>

use std::time::Duration;

use reqwest::header::{HeaderValue, InvalidHeaderValue};
use reqwest::{Client, RequestBuilder, StatusCode};

use super::InstanceId;
use crate::client::tls;

/// The address at which every instance, and nobody else, reaches the service.
const ADDRESS: &str = "http://169.254.169.254";
/// How long a connection, and a whole answer, may take: the service is on the machine's own host.
const CONNECT: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_secs(2);
/// How long a token counts. It is used once, at once.
const TOKEN_TTL_S: &str = "30";
/// Longest answer that is read, in bytes. Tokens have 56.
const MOST_BYTES: usize = 1024;

/// The way to the service.
#[derive(Debug)]
pub(super) struct Metadata {
    http: Client,
    address: String,
}

/// Why the service told nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum MetadataError {
    #[error(
        "the instance metadata service cannot be reached (within a container, is its hop limit 2?)"
    )]
    Unreachable(#[from] reqwest::Error),
    #[error("the instance metadata service answers {status} when asked for {what}")]
    Refused {
        what: &'static str,
        status: StatusCode,
    },
    #[error(
        "the instance metadata service answers more than {MOST_BYTES} bytes, or no text, when asked for {0}"
    )]
    TooMuch(&'static str),
    #[error("the instance metadata service answers what is no token")]
    NoToken(#[from] InvalidHeaderValue),
    #[error("the instance metadata service answers what is no instance id")]
    NoInstanceId,
}

impl Metadata {
    /// The service of the instance that this runs on.
    pub(super) fn of_ec2() -> anyhow::Result<Self> {
        Self::at(ADDRESS)
    }

    /// One that is somewhere else.
    pub(super) fn at(address: &str) -> anyhow::Result<Self> {
        let http = Client::builder()
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            // Nobody may stand between, nor send us elsewhere.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tls_backend_preconfigured(tls(false)?)
            .build()?;
        Ok(Self {
            http,
            address: address.to_owned(),
        })
    }

    /// The id of the instance.
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
        let id = text("the instance id", asking).await?;
        let id = id.trim().parse::<InstanceId>().ok();
        id.filter(InstanceId::is_of_ec2)
            .ok_or(MetadataError::NoInstanceId)
    }
}

/// What is answered, if that is a short text.
async fn text(what: &'static str, asking: RequestBuilder) -> Result<String, MetadataError> {
    let mut answer = asking.send().await?;
    let status = answer.status();
    if status != StatusCode::OK {
        return Err(MetadataError::Refused { what, status });
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > MOST_BYTES {
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

    /// What the service of a test says.
    #[derive(Clone)]
    struct Says {
        token: (StatusCode, String),
        /// The token that it wants to see.
        wanted: String,
        id: String,
        /// Calls for a token that are answered 503 first.
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

    /// Behaves as `IMDSv2` does: a token only for a PUT with a time to live that did not come through a proxy, an answer only
    /// for that token.
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
            .tls_backend_preconfigured(tls(false).unwrap())
            .build();
        let path = format!("{}/latest/meta-data/instance-id", metadata.address);
        let bare = bare.unwrap().get(path).send().await.unwrap();
        assert_eq!(bare.status(), 401, "the test's service wants the token");
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused() {
        let endless = "i".repeat(1 << 20);
        for (says, error) in [
            (Says::id("<html>hello</html>"), "no instance id"),
            (Says::id(""), "no instance id"),
            (Says::id("i-0123456789abcdef0\nx: y"), "no instance id"),
            (Says::id("local-worker-1"), "no instance id"),
            (Says::id(endless.clone()), "more than 1024 bytes"),
            (Says::token(StatusCode::OK, endless), "more than 1024 bytes"),
            (Says::token(StatusCode::OK, "a\u{7f}\nb: c"), "no token"),
            (
                Says::token(StatusCode::OK, "another"),
                "401 Unauthorized when asked for the instance id",
            ),
            (
                Says::token(StatusCode::FORBIDDEN, ""),
                "403 Forbidden when asked for a token",
            ),
            (
                Says::token(StatusCode::FOUND, ""),
                "302 Found when asked for a token",
            ),
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
        assert!(chain(&error).contains("cannot be reached"), "{error}");
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
