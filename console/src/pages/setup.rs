//! Set-up: the first admin of a console without users.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Extension, Form, State};
use axum::response::{IntoResponse, Redirect, Response};
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
use crate::view::access::UserRole;
use crate::view::change::Change;
use crate::view::plan::ApplyRequest;
use crate::{access, login, plan};

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage {
    head: Head,
    /// Why the last attempt failed.
    problem: Option<String>,
    code: String,
    name: String,
}

/// The form of the first admin.
#[derive(Deserialize)]
pub(super) struct SetupForm {
    #[serde(default)]
    code: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    again: String,
}

/// `GET /setup`
pub(super) async fn page(
    State(console): State<Arc<Console>>,
    Theme(theme): Theme,
) -> Result<Response, PageError> {
    if has_users(&console)? {
        return Ok(Redirect::to("/login").into_response());
    }
    Ok(render(&SetupPage {
        head: Head::bare(&console, theme, "Set-up"),
        problem: None,
        code: String::new(),
        name: String::new(),
    }))
}

/// `POST /setup`
pub(super) async fn create(
    State(console): State<Arc<Console>>,
    Extension(from): Extension<Origin>,
    Theme(theme): Theme,
    Form(form): Form<SetupForm>,
) -> Result<Response, PageError> {
    if has_users(&console)? {
        return Err(Error::conflict("this console has users already; log in").into());
    }
    match create_admin(&console, from, &form).await {
        Ok(token) => Ok(session::start(&console, &token, "/")),
        Err(error) => {
            let page = SetupPage {
                head: Head::bare(&console, theme, "Set-up"),
                problem: Some(sentence(error.message())),
                code: form.code,
                name: form.name,
            };
            Ok((status_of(error.code()), render(&page)).into_response())
        }
    }
}

fn has_users(console: &Console) -> Result<bool, Error> {
    console.has_users().map_err(Error::internal)
}

/// Creates the first admin and logs it in. The code is used last, so that a typo in another field does not spend it.
async fn create_admin(
    console: &Arc<Console>,
    from: Origin,
    form: &SetupForm,
) -> Result<String, Error> {
    if form.password != form.again {
        return Err(Error::invalid("the two passwords differ"));
    }
    access::password::check_length(&form.password)?;
    let change = Change::AddUser {
        name: form.name.trim().to_owned(),
        role: UserRole::Admin,
    };
    plan::check(console, &change)?;
    let code_login = login::by_code(console, from.clone(), &form.code).await?;
    let token = console.access.authenticate(&code_login.token);
    let (name, role, token) =
        token.ok_or_else(|| Error::unauthenticated("the session has ended"))?;
    let caller = Caller {
        name,
        role,
        token,
        from: from.clone(),
    };
    let plan = plan::make(console, &caller, change).await?;
    let request = ApplyRequest {
        confirm: plan.confirm.clone(),
        password: Some(form.password.clone()),
        override_reason: None,
    };
    plan::apply::apply(console, &caller, &plan.id, request).await?;
    login::log_out(console, &caller).await?;
    let name = form.name.trim();
    let login = login::by_password(console, from, name, form.password.clone()).await?;
    Ok(login.token)
}
