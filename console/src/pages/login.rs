//! Login by password, by code, or by the link that `skictl up` prints; logout.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Extension, Form, RawPathParams, State};
use axum::http::header::{self, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::error::{PageError, render};
use super::head::Head;
use super::html::sentence;
use super::session;
use super::visitor::Theme;
use crate::access::{Caller, Origin};
use crate::admin::status_of;
use crate::console::Console;
use crate::error::Error;
use crate::login;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    head: Head,
    /// Why the last attempt failed.
    problem: Option<String>,
    /// The name of the last attempt.
    name: String,
    /// Whether the last attempt was with a code.
    is_by_code: bool,
}

/// The form: name and password, or a code.
#[derive(Deserialize)]
pub(super) struct LoginForm {
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    code: String,
}

/// `GET /login`
pub(super) async fn page(State(console): State<Arc<Console>>, Theme(theme): Theme) -> Response {
    render(&LoginPage {
        head: Head::bare(&console, theme, "Log in"),
        problem: None,
        name: String::new(),
        is_by_code: false,
    })
}

/// `POST /login`
pub(super) async fn log_in(
    State(console): State<Arc<Console>>,
    Extension(from): Extension<Origin>,
    Theme(theme): Theme,
    Form(form): Form<LoginForm>,
) -> Response {
    let is_by_code = !form.code.is_empty();
    let logged_in = if is_by_code {
        login::by_code(&console, from, &form.code).await
    } else {
        login::by_password(&console, from, &form.name, form.password).await
    };
    match logged_in {
        Ok(view) => session::start(&console, &view.token),
        Err(error) => {
            let head = Head::bare(&console, theme, "Log in");
            failed(head, form.name, is_by_code, &error)
        }
    }
}

/// `GET /login/{code}`: the single-use link.
pub(super) async fn by_link(
    State(console): State<Arc<Console>>,
    Extension(from): Extension<Origin>,
    Theme(theme): Theme,
    parts: RawPathParams,
) -> Response {
    let code = parts.iter().next().map_or("", |(_, code)| code);
    let mut response = match login::by_code(&console, from, code).await {
        Ok(view) => session::start(&console, &view.token),
        Err(error) => {
            let head = Head::bare(&console, theme, "Log in");
            failed(head, String::new(), true, &error)
        }
    };
    // The code in the URL stays here.
    let policy = HeaderValue::from_static("no-referrer");
    response
        .headers_mut()
        .insert(header::REFERRER_POLICY, policy);
    response
}

fn failed(head: Head, name: String, is_by_code: bool, error: &Error) -> Response {
    let page = LoginPage {
        head,
        problem: Some(sentence(error.message())),
        name,
        is_by_code,
    };
    (status_of(error.code()), render(&page)).into_response()
}

/// `POST /logout`
pub(super) async fn log_out(
    State(console): State<Arc<Console>>,
    Extension(caller): Extension<Caller>,
) -> Response {
    match login::log_out(&console, &caller).await {
        Ok(()) => session::end(&console),
        Err(error) => PageError::from(error).into_response(),
    }
}
