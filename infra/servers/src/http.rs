//! HTTP clients of tests and benchmarks.

use reqwest::{Client, ClientBuilder};
use rustls::{ClientConfig, RootCertStore};

/// Begins a client that knows no proxy. `skictl` has its TLS from ring and hands it over by itself, so that reqwest is built
/// without one of its own; and here everybody speaks plain HTTP.
///
/// # Panics
/// When ring has no TLS version that is safe.
pub fn http_builder() -> ClientBuilder {
    let ring = rustls::crypto::ring::default_provider();
    let tls = ClientConfig::builder_with_provider(ring.into())
        .with_safe_default_protocol_versions()
        .expect("ring has safe versions of TLS")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Client::builder().tls_backend_preconfigured(tls).no_proxy()
}

/// A client as [`http_builder`] begins it.
///
/// # Panics
/// When it cannot be built, for which there is no reason.
#[must_use]
pub fn http() -> Client {
    http_builder()
        .build()
        .expect("a client without settings is built")
}
