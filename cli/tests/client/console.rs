//! A console that gives canned answers and remembers what it was asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::sample;

/// A question that came.
#[derive(Debug, Clone)]
pub(crate) struct ReceivedRequest {
    /// As `GET /admin/v1/queue`.
    pub(crate) line: String,
    pub(crate) token: Option<String>,
    pub(crate) body: Value,
}

/// What to answer to a question.
#[derive(Debug, Clone)]
pub(crate) enum ScriptedResponse {
    /// A status with a body.
    With(u16, String),
    /// That it was asked too often, and for how many seconds it wants to be left alone.
    TooMany(u64),
    /// Nothing, ever.
    Never,
    /// The connection ends in the middle of the answer.
    Cut,
}

type Script = dyn Fn(&ReceivedRequest) -> Option<ScriptedResponse> + Send + Sync;

/// A canned console. It ends when this is dropped.
pub(crate) struct Console {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<ReceivedRequest>>>,
    _serving: JoinSet<()>,
}

impl Console {
    /// One that answers with the samples.
    pub(crate) async fn start() -> Self {
        Self::with(|_| None).await
    }

    /// One that answers with the samples where the script says nothing else.
    pub(crate) async fn with(
        script: impl Fn(&ReceivedRequest) -> Option<ScriptedResponse> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<ReceivedRequest>>>::default();
        let script: Arc<Script> = Arc::new(script);
        let app = Router::new().fallback({
            let asked = Arc::clone(&asked);
            move |request| respond(request, Arc::clone(&asked), Arc::clone(&script))
        });
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            url,
            asked,
            _serving: serving,
        }
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<ReceivedRequest> {
        self.asked.lock().unwrap().clone()
    }

    /// Whether a plan was applied.
    pub(crate) fn has_applied(&self) -> bool {
        self.asked()
            .iter()
            .any(|asked| asked.line.ends_with("/apply"))
    }
}

async fn respond(
    request: Request,
    all: Arc<Mutex<Vec<ReceivedRequest>>>,
    script: Arc<Script>,
) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let token = head.headers.get(AUTHORIZATION);
    let asked = ReceivedRequest {
        line: format!("{} {}", head.method, head.uri),
        token: token.map(|token| token.to_str().unwrap().to_owned()),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    all.lock().unwrap().push(asked.clone());
    let answer = script(&asked).unwrap_or_else(|| sample::answer(&asked));
    let respond = |status: u16, body: Body| {
        let builder = Response::builder().status(status);
        let builder = builder.header(CONTENT_TYPE, "application/json");
        builder.body(body).unwrap()
    };
    match answer {
        ScriptedResponse::With(status, text) => respond(status, text.into()),
        ScriptedResponse::TooMany(wait_s) => {
            let body =
                json!({ "message": "too many attempts; try again later", "code": "too_many" });
            let mut response = respond(429, body.to_string().into());
            response.headers_mut().insert(RETRY_AFTER, wait_s.into());
            response
        }
        ScriptedResponse::Never => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            respond(500, Body::empty())
        }
        ScriptedResponse::Cut => {
            let broken = futures_util::stream::iter([
                Ok("{\"result\":"),
                Err(std::io::Error::other("cut by the test")),
            ]);
            respond(200, Body::from_stream(broken))
        }
    }
}

/// A refusal with its code.
pub(crate) fn problem(status: u16, code: &str, message: &str) -> ScriptedResponse {
    let body = serde_json::json!({ "message": message, "code": code });
    ScriptedResponse::With(status, body.to_string())
}
