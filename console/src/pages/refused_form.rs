//! A form that was refused: its page is shown again, with the reason and with what was typed.

use std::fmt::Display;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::response::Response;
use tower::ServiceExt;

use super::change_form::labels::with_labels;
use super::html::sentence;
use super::session::path_here;
use super::visitor::Visitor;
use crate::admin::status_of;
use crate::console::Console;
use crate::error::Error;
use crate::view::ProblemCode;

/// A form that was refused.
pub(super) struct RefusedForm {
    /// Which form of its page it is.
    form: String,
    /// What was sent, without passwords.
    fields: Vec<(String, String)>,
    problem: String,
}

impl RefusedForm {
    /// The form `form` of a page, with the fields that were sent.
    pub(super) fn new(form: &str, mut fields: Vec<(String, String)>, error: &Error) -> Self {
        let change = find(&fields, "change").unwrap_or_default();
        let problem = sentence(&with_labels(change, error.message()));
        fields.retain(|(name, _)| name != "password");
        Self {
            form: form.to_owned(),
            fields,
            problem,
        }
    }

    /// Why it was refused, if it is this form.
    pub(super) fn problem(&self, form: &str) -> Option<&str> {
        (self.form == form).then_some(self.problem.as_str())
    }

    /// What was typed into a field, if it is this form.
    pub(super) fn typed(&self, form: &str, name: &str) -> Option<&str> {
        let fields = (self.form == form).then_some(&self.fields)?;
        find(fields, name)
    }

    /// Whether a field was sent with this value, if it is this form.
    pub(super) fn has(&self, form: &str, name: &str, value: &(impl Display + ?Sized)) -> bool {
        let value = value.to_string();
        let mut fields = self.fields.iter();
        self.form == form && fields.any(|(of, sent)| of == name && *sent == value)
    }
}

fn find<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = fields.iter().find(|(of, _)| of == name);
    found.map(|(_, value)| value.as_str())
}

/// The pages whose forms plan changes.
pub(super) struct FormPages {
    pub(super) console: Arc<Console>,
    router: Router,
}

impl FormPages {
    /// The pages of `router`.
    pub(super) fn new(console: Arc<Console>, router: Router) -> Arc<Self> {
        Arc::new(Self { console, router })
    }

    /// Shows the page of a refused form again. `None` if the form does not name its page, or the page does not have it for this user.
    pub(super) async fn show_again(
        &self,
        visitor: &Visitor,
        headers: &HeaderMap,
        fields: Vec<(String, String)>,
        error: &Error,
    ) -> Option<Response> {
        let page = find(&fields, "page")?.to_owned();
        let is_hidden = self.console.config.read_only || error.code() == ProblemCode::Forbidden;
        if is_hidden || path_here(&page) != page {
            return None;
        }
        let form = find(&fields, "form")?.to_owned();
        let mut request = Request::get(page)
            .extension(visitor.caller.clone())
            .extension(Arc::new(RefusedForm::new(&form, fields, error)));
        // It contains the theme.
        if let Some(cookie) = headers.get(header::COOKIE) {
            request = request.header(header::COOKIE, cookie);
        }
        let request = request.body(Body::empty()).ok()?;
        let Ok(mut response) = self.router.clone().oneshot(request).await;
        if response.status() != StatusCode::OK {
            return None;
        }
        *response.status_mut() = status_of(error.code());
        if let Some(retry) = error.retry_after_s() {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(retry));
        }
        Some(response)
    }
}
