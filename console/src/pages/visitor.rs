//! Who asks for a page, and how it is shown to them.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};

use super::error::PageError;
use super::refused_form::RefusedForm;
use super::session;
use crate::access::Caller;
use crate::error::Error;

/// A user who asks for a page.
pub(super) struct Visitor {
    pub(super) caller: Caller,
    pub(super) theme: Option<&'static str>,
    /// Path and query of the page.
    pub(super) url: String,
    /// The form of the page that was refused.
    pub(super) refused: Option<Arc<RefusedForm>>,
}

impl Visitor {
    pub(super) fn new(caller: Caller, uri: &Uri, headers: &HeaderMap) -> Self {
        let url = uri.path_and_query();
        Self {
            caller,
            theme: session::theme(headers),
            url: url.map_or_else(|| "/".to_owned(), ToString::to_string),
            refused: None,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PageError> {
        let caller = parts.extensions.get::<Caller>().cloned();
        let caller = caller.ok_or_else(|| Error::unauthenticated("you are not logged in"))?;
        Ok(Self {
            refused: parts.extensions.get().cloned(),
            ..Self::new(caller, &parts.uri, &parts.headers)
        })
    }
}

/// The theme of someone who need not be logged in.
pub(super) struct Theme(pub(super) Option<&'static str>);

impl<S: Sync> FromRequestParts<S> for Theme {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(session::theme(&parts.headers)))
    }
}

/// A parameter of the path; empty if there is none of this name.
pub(super) fn path<'a>(parts: &'a RawPathParams, name: &str) -> &'a str {
    let mut found = parts.iter().filter(|(of, _)| *of == name);
    found.next().map_or("", |(_, value)| value)
}
