//! One console, asked over HTTP.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Method, Response, StatusCode};
use rustls::{ClientConfig, RootCertStore};
use serde::Serialize;
use serde::de::DeserializeOwned;
use skilift_console::view::{Problem, ProblemCode};
use url::Url;

use super::error::ClientError;
use super::look::printable;
use super::server::{Server, read_token};

/// How long opening a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take.
pub(super) const ANSWER: Duration = Duration::from_secs(30);
/// Who asks.
const AGENT: &str = concat!("skictl/", env!("CARGO_PKG_VERSION"));

/// A console.
#[derive(Debug)]
pub(crate) struct Console {
    http: reqwest::Client,
    url: Url,
    token: RwLock<Option<HeaderValue>>,
    /// Where the token is read again when it counts no more: a console that starts anew writes another one for this machine.
    token_file: Option<PathBuf>,
}

/// A question: a path below `/admin/v1`, in parts, and its parameters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Question {
    path: Vec<String>,
    parameters: Vec<(&'static str, String)>,
}

impl Question {
    /// The question of this path.
    pub(crate) fn new<const N: usize>(path: [&str; N]) -> Self {
        Self {
            path: path.map(str::to_owned).into(),
            parameters: Vec::new(),
        }
    }

    /// With more parts of the path.
    pub(crate) fn below<const N: usize>(mut self, path: [&str; N]) -> Self {
        self.path.extend(path.map(str::to_owned));
        self
    }

    /// With a parameter.
    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.parameters.push((name, value.to_string()));
        self
    }

    /// With a parameter, where it has a value.
    pub(crate) fn with_some(self, name: &'static str, value: Option<&impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value.to_string()),
            None => self,
        }
    }

    fn url(&self, server: &Url) -> Url {
        let mut url = server.clone();
        // An http URL has a path, always.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty()
                .extend(["admin", "v1"])
                .extend(&self.path);
        }
        if !self.parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.parameters);
        }
        url
    }
}

impl Console {
    /// The console at a server. Nothing is connected yet.
    pub(crate) fn new(server: &Server) -> anyhow::Result<Self> {
        let token = server.token.as_deref().map(bearer).transpose()?;
        let is_encrypted = server.url.scheme() == "https";
        let mut http = reqwest::Client::builder()
            .user_agent(AGENT)
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            // A token is for the server that was named, and for no other.
            .redirect(Policy::none())
            .tls_backend_preconfigured(tls(is_encrypted)?);
        if !is_encrypted {
            // Loopback is not reached through somebody else, who would see the token.
            http = http.no_proxy();
        }
        Ok(Self {
            http: http.build()?,
            url: server.url.clone(),
            token: RwLock::new(token),
            token_file: server.token_file.clone(),
        })
    }

    /// Asks, and gives back the JSON as it came.
    pub(crate) async fn get(&self, question: &Question) -> Result<String, ClientError> {
        self.call(Method::GET, question, None::<&()>).await
    }

    /// Asks for a view.
    pub(crate) async fn view<T: DeserializeOwned>(
        &self,
        question: &Question,
    ) -> Result<T, ClientError> {
        parse(&self.get(question).await?)
    }

    /// Posts a body, and reads the answer.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        question: &Question,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        parse(&self.call(Method::POST, question, Some(body)).await?)
    }

    /// Posts, and reads nothing but whether it was done.
    pub(crate) async fn tell(&self, question: &Question) -> Result<(), ClientError> {
        self.call(Method::POST, question, None::<&()>).await?;
        Ok(())
    }

    async fn call(
        &self,
        method: Method,
        question: &Question,
        body: Option<&impl Serialize>,
    ) -> Result<String, ClientError> {
        let mut response = self.send(&method, question, body).await?;
        // Nothing was done by it, so that it may be asked again.
        if response.status() == StatusCode::UNAUTHORIZED && self.has_another_token() {
            response = self.send(&method, question, body).await?;
        }
        let wait_s = retry_after_s(&response);
        let refusal = match self.read(response).await {
            Err(ClientError::Problem(problem)) => problem,
            other => return other,
        };
        let is_login = question.path == ["login"];
        let mut message = printable(&refusal.message);
        match (refusal.code, wait_s) {
            (ProblemCode::Unauthenticated, _) if !is_login => message
                .push_str(" (log in with skictl login, or name a token with --token-file FILE)"),
            (ProblemCode::TooMany, Some(wait_s)) => {
                // The console's own words say no more than "later".
                let kept = message.strip_suffix("; try again later");
                let kept = kept.unwrap_or(&message);
                message = format!("{kept}; try again in {wait_s} s");
            }
            _ => {}
        }
        Err(ClientError::Problem(Problem { message, ..refusal }))
    }

    async fn send(
        &self,
        method: &Method,
        question: &Question,
        body: Option<&impl Serialize>,
    ) -> Result<Response, ClientError> {
        let mut request = self.http.request(method.clone(), question.url(&self.url));
        if let Some(token) = self.shown_token() {
            request = request.header(AUTHORIZATION, token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await.map_err(|error| self.no_answer(error))
    }

    fn shown_token(&self) -> Option<HeaderValue> {
        let token = self.token.read();
        token.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the token again. Whether it is another one.
    fn has_another_token(&self) -> bool {
        let read = self.token_file.as_deref().map(read_token);
        let Some(Ok(Ok(token))) = read.map(|read| read.map(|token| bearer(&token))) else {
            return false;
        };
        let mut shown = self.token.write().unwrap_or_else(PoisonError::into_inner);
        shown.replace(token.clone()) != Some(token)
    }

    async fn read(&self, response: Response) -> Result<String, ClientError> {
        let status = response.status();
        let text = response
            .text()
            .await
            .map_err(|error| self.no_answer(error))?;
        if status == StatusCode::NO_CONTENT || status.is_success() && text.starts_with('{') {
            return Ok(text);
        }
        match serde_json::from_str::<Problem>(&text) {
            Ok(problem) if !status.is_success() => Err(ClientError::Problem(problem)),
            _ => Err(ClientError::NotAConsole {
                server: self.place(),
                status: status.as_u16(),
            }),
        }
    }

    /// The server as people write it.
    fn place(&self) -> String {
        self.url.as_str().trim_end_matches('/').to_owned()
    }

    fn no_answer(&self, error: reqwest::Error) -> ClientError {
        let server = self.place();
        // The server is named once.
        let source = error.without_url();
        if let Some(why) = tls_error(&source) {
            return ClientError::Untrusted { server, why };
        }
        if source.is_connect() {
            ClientError::Unreachable { server, source }
        } else {
            ClientError::NoAnswer { server, source }
        }
    }
}

/// A token as it is shown.
fn bearer(token: &str) -> Result<HeaderValue, ClientError> {
    let mut shown = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
        ClientError::Usage("the token file holds characters that no token has".to_owned())
    })?;
    shown.set_sensitive(true);
    Ok(shown)
}

/// How long the console wants to be left alone.
fn retry_after_s(response: &Response) -> Option<u64> {
    let said = response.headers().get(RETRY_AFTER)?;
    said.to_str().ok()?.parse().ok()
}

/// What TLS had against the server, where it was that.
fn tls_error(error: &reqwest::Error) -> Option<rustls::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        if let Some(found) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Some(found.clone());
        }
        cause = error.source();
    }
    None
}

/// Reads a view.
pub(crate) fn parse<T: DeserializeOwned>(json: &str) -> Result<T, ClientError> {
    serde_json::from_str(json).map_err(ClientError::Unreadable)
}

/// TLS with the roots that this machine trusts (`SSL_CERT_FILE` names others). Reading them takes time, so that nobody
/// does who does not need them.
pub(crate) fn tls(is_needed: bool) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    if is_needed {
        let found = rustls_native_certs::load_native_certs();
        let (added, _unusable) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            let why = found.errors.first().map_or_else(
                || "this machine has no trusted certificates".to_owned(),
                |error| format!("the trusted certificates cannot be read: {error}"),
            );
            return Err(ClientError::Usage(format!(
                "{why}; SSL_CERT_FILE names a file that holds them"
            ))
            .into());
        }
    }
    let ring = rustls::crypto::ring::default_provider();
    let config = ClientConfig::builder_with_provider(ring.into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_type_stays_in_its_part_of_the_path() {
        let server = Url::parse("https://example.com/ski/").unwrap();
        let question = Question::new(["nodes", "../a b?c"]).with("who", "x&y=z");
        assert_eq!(
            question.url(&server).as_str(),
            "https://example.com/ski/admin/v1/nodes/..%2Fa%20b%3Fc?who=x%26y%3Dz"
        );
        let plain = Url::parse("http://127.0.0.1:8081").unwrap();
        assert_eq!(
            Question::new(["queue"]).url(&plain).as_str(),
            "http://127.0.0.1:8081/admin/v1/queue"
        );
    }
}
