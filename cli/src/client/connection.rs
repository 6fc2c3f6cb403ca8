//! HTTP connection to one console.

use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Method, Response, StatusCode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde::Serialize;
use serde::de::DeserializeOwned;
use skilift_console::view::{Problem, ProblemCode};
use url::Url;

use super::error::ClientError;
use super::server::{Server, read_token};
use skilift_console::view::figures::printable;

/// Connect timeout.
const CONNECT: Duration = Duration::from_secs(5);
/// Response timeout.
pub(super) const ANSWER: Duration = Duration::from_secs(30);
/// The same for all of a large answer.
const DOWNLOAD: Duration = Duration::from_secs(3_600);
/// User agent.
const AGENT: &str = concat!("skictl/", env!("CARGO_PKG_VERSION"));

/// A console.
#[derive(Debug)]
pub(crate) struct Console {
    http: reqwest::Client,
    url: Url,
    token: RwLock<Option<HeaderValue>>,
    /// File to read the token from again when it is no longer valid: a console that restarts writes a new local token.
    token_file: Option<PathBuf>,
}

/// A request: path segments below `/admin/v1` and query parameters.
#[derive(Debug, Clone, Default)]
pub(crate) struct ApiRequest {
    path: Vec<String>,
    parameters: Vec<(&'static str, String)>,
}

impl ApiRequest {
    /// A request with this path.
    pub(crate) fn new<const N: usize>(path: [&str; N]) -> Self {
        Self {
            path: path.map(str::to_owned).into(),
            parameters: Vec::new(),
        }
    }

    /// Appends path segments.
    pub(crate) fn below<const N: usize>(mut self, path: [&str; N]) -> Self {
        self.path.extend(path.map(str::to_owned));
        self
    }

    /// Adds a parameter.
    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.parameters.push((name, value.to_string()));
        self
    }

    /// Adds a parameter if it has a value.
    pub(crate) fn with_some(self, name: &'static str, value: Option<&impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value.to_string()),
            None => self,
        }
    }

    fn url(&self, server: &Url) -> Url {
        let mut url = server.clone();
        // An http URL always has a path.
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
    /// A console at a server; does not connect yet.
    pub(crate) fn new(server: &Server) -> anyhow::Result<Self> {
        let token = server.token.as_deref().map(bearer).transpose()?;
        let is_encrypted = server.url.scheme() == "https";
        let mut http = reqwest::Client::builder()
            .user_agent(AGENT)
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            // The token must not be sent to any other server, so redirects are not followed.
            .redirect(Policy::none())
            .tls_backend_preconfigured(tls(is_encrypted, server.ca_file.as_deref())?);
        if !is_encrypted {
            // A proxy would see the token, so loopback bypasses it.
            http = http.no_proxy();
        }
        Ok(Self {
            http: http.build()?,
            url: server.url.clone(),
            token: RwLock::new(token),
            token_file: server.token_file.clone(),
        })
    }

    /// Sends a GET request and returns the raw JSON.
    pub(crate) async fn get(&self, request: &ApiRequest) -> Result<String, ClientError> {
        self.call(Method::GET, request, None::<&()>).await
    }

    /// Gets a view.
    pub(crate) async fn view<T: DeserializeOwned>(
        &self,
        request: &ApiRequest,
    ) -> Result<T, ClientError> {
        parse(&self.get(request).await?)
    }

    /// Posts a body and reads the response.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        request: &ApiRequest,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        parse(&self.call(Method::POST, request, Some(body)).await?)
    }

    /// Gets a large answer, for up to an hour, and writes it to `to`.
    pub(crate) async fn download(
        &self,
        request: &ApiRequest,
        to: &mut impl io::Write,
    ) -> anyhow::Result<()> {
        let mut getting = self.http.get(request.url(&self.url)).timeout(DOWNLOAD);
        if let Some(token) = self.shown_token() {
            getting = getting.header(AUTHORIZATION, token);
        }
        let mut response = getting
            .send()
            .await
            .map_err(|error| self.no_answer(error))?;
        if !response.status().is_success() {
            self.read(response).await?;
            return Ok(());
        }
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.no_answer(error))?
        {
            to.write_all(&chunk)?;
        }
        Ok(())
    }

    /// Posts a request and reads only its status.
    pub(crate) async fn post_without_body(&self, request: &ApiRequest) -> Result<(), ClientError> {
        self.call(Method::POST, request, None::<&()>).await?;
        Ok(())
    }

    async fn call(
        &self,
        method: Method,
        request: &ApiRequest,
        body: Option<&impl Serialize>,
    ) -> Result<String, ClientError> {
        let mut response = self.send(&method, request, body).await?;
        // The request had no effect, so it can be repeated.
        if response.status() == StatusCode::UNAUTHORIZED && self.has_another_token() {
            response = self.send(&method, request, body).await?;
        }
        let wait_s = retry_after_s(&response);
        let refusal = match self.read(response).await {
            Err(ClientError::Problem(problem)) => problem,
            other => return other,
        };
        let is_login = request.path == ["login"];
        let mut message = printable(&refusal.message);
        match (refusal.code, wait_s) {
            (ProblemCode::Unauthenticated, _) if !is_login && !message.contains("skictl login") => {
                message.push_str(" (run `skictl login`, or set --token-file FILE)")
            }
            (ProblemCode::TooMany, Some(wait_s)) => {
                // The console's message says only "later".
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
        request: &ApiRequest,
        body: Option<&impl Serialize>,
    ) -> Result<Response, ClientError> {
        let mut request = self.http.request(method.clone(), request.url(&self.url));
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

    /// Reads the token again; returns whether it changed.
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

    /// The URL of the server for messages.
    fn place(&self) -> String {
        self.url.as_str().trim_end_matches('/').to_owned()
    }

    fn no_answer(&self, error: reqwest::Error) -> ClientError {
        let server = self.place();
        // The message names the server once.
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

/// The `Authorization` header of a token.
fn bearer(token: &str) -> Result<HeaderValue, ClientError> {
    let mut shown = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| ClientError::Usage("the token file contains invalid characters".to_owned()))?;
    shown.set_sensitive(true);
    Ok(shown)
}

/// The `Retry-After` time of a response.
fn retry_after_s(response: &Response) -> Option<u64> {
    let said = response.headers().get(RETRY_AFTER)?;
    said.to_str().ok()?.parse().ok()
}

/// The TLS error, if the connection failed because of TLS.
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

/// Parses a view.
pub(crate) fn parse<T: DeserializeOwned>(json: &str) -> Result<T, ClientError> {
    serde_json::from_str(json).map_err(ClientError::Unreadable)
}

/// TLS with the certificates in a file, else with those that this host trusts (`SSL_CERT_FILE` overrides them), read only if needed
/// because reading takes time.
pub(crate) fn tls(is_needed: bool, ca_file: Option<&Path>) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = ca_file.filter(|_| is_needed) {
        let unusable = |why: String| {
            let file = file.display();
            ClientError::Usage(format!("cannot use the certificates in {file}: {why}"))
        };
        let found = CertificateDer::pem_file_iter(file);
        for certificate in found.map_err(|error| unusable(error.to_string()))? {
            let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
            let added = roots.add(certificate);
            added.map_err(|error| unusable(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(unusable("it contains none in PEM form".to_owned()).into());
        }
    } else if is_needed {
        let found = rustls_native_certs::load_native_certs();
        let (added, _unusable) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            let why = found.errors.first().map_or_else(
                || "this host has no trusted certificates".to_owned(),
                |error| format!("cannot read the trusted certificates: {error}"),
            );
            return Err(ClientError::Usage(format!(
                "{why}; set SSL_CERT_FILE to a file with trusted certificates"
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
        let request = ApiRequest::new(["nodes", "../a b?c"]).with("who", "x&y=z");
        assert_eq!(
            request.url(&server).as_str(),
            "https://example.com/ski/admin/v1/nodes/..%2Fa%20b%3Fc?who=x%26y%3Dz"
        );
        let plain = Url::parse("http://127.0.0.1:8081").unwrap();
        assert_eq!(
            ApiRequest::new(["queue"]).url(&plain).as_str(),
            "http://127.0.0.1:8081/admin/v1/queue"
        );
    }
}
