//! A page for what failed.

use askama::Template;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};

use super::head::Head;
use super::session::set_security_headers;
use crate::admin::status_of;
use crate::console::Console;
use crate::error::Error;

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    head: Head,
    /// Code and reason.
    status: String,
    message: String,
}

/// The page of an error.
pub(crate) struct PageError {
    head: Head,
    error: Error,
}

impl PageError {
    pub(crate) fn new(console: &Console, error: Error) -> Self {
        Self {
            head: Head::bare(console, &HeaderMap::new(), "Error"),
            error,
        }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let status = status_of(self.error.code());
        let page = ErrorPage {
            head: self.head,
            status: status.to_string(),
            message: self.error.message().to_owned(),
        };
        let mut response = (status, render(&page)).into_response();
        // The page of an unknown URL passes no layer of the pages.
        set_security_headers(response.headers_mut());
        response
    }
}

/// A page as a response.
pub(super) fn render(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!("cannot render a page: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
