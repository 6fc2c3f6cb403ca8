//! A page for what failed.

use askama::Template;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::head::Head;
use super::session::{self, set_security_headers};
use super::visitor::Visitor;
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
    /// The page to return to.
    back: Option<String>,
}

/// The same for a user who is logged in: the navigation and the alarms stay.
#[derive(Template)]
#[template(path = "error-inside.html")]
struct ErrorInside {
    head: Head,
    status: String,
    message: String,
    back: Option<String>,
}

/// An error of a page. The router shows it as a page of its own; see [`show`].
#[derive(Debug, Clone)]
pub(crate) struct PageError(Error);

impl<E: Into<Error>> From<E> for PageError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let mut response = status_of(self.0.code()).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Replaces the error of a page by a page that shows it.
pub(super) fn show(
    console: &Console,
    theme: Option<&'static str>,
    back: Option<String>,
    response: Response,
) -> Response {
    match response.extensions().get::<PageError>() {
        Some(PageError(error)) => page(console, theme, back, error),
        None => response,
    }
}

/// The same for a user who is logged in.
pub(super) fn show_to(
    console: &Console,
    visitor: &Visitor,
    back: Option<String>,
    response: Response,
) -> Response {
    let Some(PageError(error)) = response.extensions().get::<PageError>() else {
        return response;
    };
    let status = status_of(error.code());
    let page = ErrorInside {
        head: Head::of_failed(console, visitor),
        status: status.to_string(),
        message: super::html::sentence(error.message()),
        back,
    };
    with_retry((status, render(&page)).into_response(), error)
}

/// The page of an unknown URL.
pub(crate) fn not_found(console: &Console, headers: &HeaderMap) -> Response {
    let error = Error::not_found("there is no page at this address");
    let mut response = page(console, session::theme(headers), None, &error);
    // It passes no layer of the pages.
    set_security_headers(response.headers_mut());
    response
}

fn page(
    console: &Console,
    theme: Option<&'static str>,
    back: Option<String>,
    error: &Error,
) -> Response {
    let status = status_of(error.code());
    let page = ErrorPage {
        head: Head::bare(console, theme, "Error"),
        status: status.to_string(),
        message: super::html::sentence(error.message()),
        back,
    };
    with_retry((status, render(&page)).into_response(), error)
}

fn with_retry(mut response: Response, error: &Error) -> Response {
    if let Some(retry) = error.retry_after_s() {
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from(retry));
    }
    response
}

/// The error of a page whose data was not collected yet.
pub(super) fn just_started() -> PageError {
    Error::unavailable("the console has just started; reload in a moment").into()
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
