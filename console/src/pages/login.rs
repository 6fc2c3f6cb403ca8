//! Login by password, by code, or by the link that `skictl up` prints; logout.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Extension, Form, Query, RawPathParams, State};
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
use crate::view::ProblemCode;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    head: Head,
    /// Whether there are users; otherwise the first one is to be created.
    has_users: bool,
    /// Why the last attempt failed.
    problem: Option<String>,
    /// The name of the last attempt.
    name: String,
    /// Whether to log in with a code.
    is_by_code: bool,
    /// The page to show then.
    next: String,
}

impl LoginPage {
    fn new(console: &Console, theme: Option<&'static str>) -> Self {
        let has_users = console.has_users().unwrap_or(true);
        Self {
            head: Head::bare(console, theme, "Log in"),
            has_users,
            problem: None,
            name: String::new(),
            is_by_code: !has_users,
            next: String::new(),
        }
    }

    fn refused(self, error: &Error, problem: &str) -> Response {
        let page = Self {
            problem: Some(sentence(problem)),
            ..self
        };
        (status_of(error.code()), render(&page)).into_response()
    }
}

/// The page to show after the login.
#[derive(Deserialize)]
pub(super) struct LoginQuery {
    next: Option<String>,
    /// Whether a form was sent after the session had ended.
    #[serde(default)]
    ended: bool,
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
    #[serde(default)]
    next: String,
}

/// `GET /login?next=`
pub(super) async fn page(
    State(console): State<Arc<Console>>,
    Theme(theme): Theme,
    Query(query): Query<LoginQuery>,
) -> Response {
    render(&LoginPage {
        next: query.next.unwrap_or_default(),
        problem: query.ended.then(|| {
            "Your session has ended. Nothing was changed: log in, and send it again.".to_owned()
        }),
        ..LoginPage::new(&console, theme)
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
        Ok(view) => session::start(&console, &view.token, &form.next),
        Err(error) => {
            let page = LoginPage {
                name: form.name,
                is_by_code,
                next: form.next,
                ..LoginPage::new(&console, theme)
            };
            page.refused(&error, error.message())
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
        Ok(view) => session::start(&console, &view.token, "/"),
        Err(error) => {
            let page = LoginPage {
                is_by_code: true,
                ..LoginPage::new(&console, theme)
            };
            let problem = match error.code() {
                ProblemCode::Unauthenticated => {
                    "this link is invalid, expired or already used; a restarted console prints another"
                }
                _ => error.message(),
            };
            page.refused(&error, problem)
        }
    };
    // The code in the URL stays here.
    let policy = HeaderValue::from_static("no-referrer");
    response
        .headers_mut()
        .insert(header::REFERRER_POLICY, policy);
    response
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
