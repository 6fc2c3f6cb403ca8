//! Who is logged in, and protection against requests of other sites.
//!
//! The session cookie holds the token of a login: it is revoked, listed and expires like any other.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::uri::PathAndQuery;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::error::{self, PageError};
use super::html::in_url;
use super::visitor::Visitor;
use crate::access::{Caller, SESSION_MS};
use crate::admin::origin;
use crate::console::Console;
use crate::error::Error;

/// The cookie with the token of the login.
const SESSION: &str = "skilift_session";
/// The cookie with the chosen theme.
const THEME: &str = "skilift_theme";

/// No script, style or frame of others, and none inline.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Refuses changes that another site asks for, and adds the security headers.
pub(super) async fn protect(
    State(console): State<Arc<Console>>,
    mut request: Request,
    next: Next,
) -> Response {
    let from = origin(&console, &request);
    request.extensions_mut().insert(from);
    let (theme, back) = (theme(request.headers()), back(request.headers()));
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
    let response = if is_safe || is_of_this_site(request.headers()) {
        next.run(request).await
    } else {
        let error = Error::forbidden("this request came from another site and was refused");
        PageError::from(error).into_response()
    };
    let mut response = error::show(&console, theme, back, response);
    set_security_headers(response.headers_mut());
    response
}

/// The page of this console that a request came from.
fn back(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let from: Uri = text(header::REFERER)?.parse().ok()?;
    let is_here =
        from.authority().map(ToString::to_string) == text(header::HOST).map(str::to_owned);
    is_here.then(|| from.path_and_query().map(ToString::to_string))?
}

/// Sets the security headers of a page, except those that it has already.
pub(super) fn set_security_headers(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}

/// By `Sec-Fetch-Site`, else by `Origin`: <https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site>.
fn is_of_this_site(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (text("sec-fetch-site"), text("origin"), text("host")) {
        (Some(site), _, _) => site == "same-origin",
        (None, Some(origin), Some(host)) => origin
            .split_once("://")
            .is_some_and(|(_, of)| of.eq_ignore_ascii_case(host)),
        _ => false,
    }
}

/// Lets requests of users pass; others are sent to the login page.
pub(super) async fn require(
    State(console): State<Arc<Console>>,
    mut request: Request,
    next: Next,
) -> Response {
    let token = cookie(request.headers(), SESSION);
    let Some((name, role, token)) = token.and_then(|token| console.access.authenticate(token))
    else {
        // A stream would take the login page for its end, and connect again at once.
        let is_stream = request.uri().path() == "/live";
        return if is_stream {
            StatusCode::UNAUTHORIZED.into_response()
        } else {
            Redirect::to(&login_url(&request)).into_response()
        };
    };
    let from = request.extensions().get().cloned().unwrap_or_default();
    let caller = Caller {
        name,
        role,
        token,
        from,
    };
    request.extensions_mut().insert(caller.clone());
    let (visitor, back) = (
        Visitor::new(caller, request.uri(), request.headers()),
        back(request.headers()),
    );
    let response = next.run(request).await;
    error::show_to(&console, &visitor, back, response)
}

/// The login page, which leads back to a page that was asked for.
fn login_url(request: &Request) -> String {
    let wanted = request
        .uri()
        .path_and_query()
        .map_or("/", PathAndQuery::as_str);
    if request.method() != Method::GET {
        let page = back(request.headers()).unwrap_or_else(|| "/".to_owned());
        return format!("/login?ended=true&next={}", in_url(&page));
    }
    match wanted {
        "/" => "/login".to_owned(),
        wanted => format!("/login?next={}", in_url(wanted)),
    }
}

/// A path of this site, and not `//host`; else the overview.
pub(super) fn path_here(wanted: &str) -> &str {
    let is_path = wanted.starts_with('/') && !wanted[1..].starts_with(['/', '\\']);
    if is_path { wanted } else { "/" }
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter();
    all.filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

/// The chosen theme: "light" or "dark"; `None` for that of the system.
pub(super) fn theme(headers: &HeaderMap) -> Option<&'static str> {
    let chosen = cookie(headers, THEME)?;
    ["light", "dark"].into_iter().find(|theme| *theme == chosen)
}

/// Starts a session and shows a page.
pub(super) fn start(console: &Console, token: &str, next: &str) -> Response {
    let cookie = set_cookie(console, SESSION, token, SESSION_MS / 1_000);
    (
        [(header::SET_COOKIE, cookie)],
        Redirect::to(path_here(next)),
    )
        .into_response()
}

/// Ends the session in the browser.
pub(super) fn end(console: &Console) -> Response {
    let cookie = set_cookie(console, SESSION, "", 0);
    ([(header::SET_COOKIE, cookie)], Redirect::to("/login")).into_response()
}

fn set_cookie(console: &Console, name: &str, value: &str, max_age_s: u64) -> String {
    let secure = if console.config.is_encrypted {
        "; Secure"
    } else {
        ""
    };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age_s}{secure}")
}

/// The form of the theme.
#[derive(Deserialize)]
pub(super) struct ThemeForm {
    theme: String,
    /// The page to return to.
    #[serde(default)]
    back: String,
}

/// Keeps the theme in a cookie.
pub(super) async fn set_theme(
    State(console): State<Arc<Console>>,
    Form(form): Form<ThemeForm>,
) -> Response {
    let back = path_here(&form.back);
    let (value, max_age_s) = match form.theme.as_str() {
        theme @ ("light" | "dark") => (theme, 365 * 86_400),
        "auto" => ("", 0),
        _ => return StatusCode::BAD_REQUEST.into_response(),
    };
    let cookie = set_cookie(&console, THEME, value, max_age_s);
    ([(header::SET_COOKIE, cookie)], Redirect::to(back)).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn only_this_site_may_change_anything() {
        for (pairs, expected) in [
            (&[("sec-fetch-site", "same-origin")][..], true),
            (&[("sec-fetch-site", "same-site")], false),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "http://a"),
                    ("host", "a"),
                ],
                false,
            ),
            (
                &[("origin", "https://ski.example"), ("host", "ski.example")],
                true,
            ),
            (
                &[("origin", "http://evil.example"), ("host", "ski.example")],
                false,
            ),
            (&[("origin", "null"), ("host", "ski.example")], false),
            (&[("host", "ski.example")], false),
        ] {
            assert_eq!(is_of_this_site(&headers(pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn cookies_are_found_by_name() {
        let headers = headers(&[(
            "cookie",
            "a=1; skilift_theme=dark; skilift_session=ski_token_x",
        )]);
        assert_eq!(cookie(&headers, SESSION), Some("ski_token_x"));
        assert_eq!(theme(&headers), Some("dark"));
        assert_eq!(cookie(&headers, "skilift"), None);
    }
}
