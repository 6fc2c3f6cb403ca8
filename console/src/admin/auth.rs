//! Who asks, and whether he may.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;

use super::error::ApiError;
use crate::access::{Caller, Origin};
use crate::audit;
use crate::console::Console;
use crate::view::access::UserRole;

/// The scheme of the header `Authorization`.
const SCHEME: &str = "Bearer ";
/// How much of a user agent is kept, in characters.
const AGENT_CHARS: usize = 100;

/// What stands before a handler.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) console: Arc<Console>,
    /// The smallest role that may pass; `None` where everybody may.
    pub(crate) role: Option<UserRole>,
    /// What is behind it.
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
}

/// Lets a request pass when who asks may. Handlers find him as [`Caller`], and where he is as [`Origin`].
pub(crate) async fn admit(
    State(door): State<Door>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let from = origin(&door.console, &request);
    if let Some(role) = door.role {
        let caller = identify(&door.console, request.headers(), from.clone())?;
        if caller.role < role {
            let why = format!(
                "this asks for the role {role}; {} is {}",
                caller.name, caller.role
            );
            let mut line = audit::by(&caller, "ask");
            line.target = Some(format!("{} {}", door.method, door.path));
            audit::note_refusal(&door.console, &caller, line, &why).await?;
            return Err(ApiError::forbidden(why));
        }
        request.extensions_mut().insert(caller);
    }
    request.extensions_mut().insert(from);
    Ok(next.run(request).await)
}

fn identify(console: &Console, headers: &HeaderMap, from: Origin) -> Result<Caller, ApiError> {
    let shown = headers.get(header::AUTHORIZATION).ok_or_else(|| {
        ApiError::unauthenticated(
            "show a token, as Authorization: Bearer ...; `skictl login` gets one",
        )
    })?;
    let token = shown
        .to_str()
        .ok()
        .and_then(|text| text.strip_prefix(SCHEME));
    let known = token.and_then(|token| console.access.who_shows(token.trim()));
    let (name, role, token) = known.ok_or_else(|| {
        ApiError::unauthenticated(
            "this token counts no more, or never did; `skictl login` gets another",
        )
    })?;
    Ok(Caller {
        name,
        role,
        token,
        from,
    })
}

/// Where a request comes from: the nearest proxy's word where one is trusted, else the connection.
fn origin(console: &Console, request: &Request) -> Origin {
    let headers = request.headers();
    let forwarded = || -> Option<IpAddr> {
        let said = headers.get_all("x-forwarded-for").iter().next_back()?;
        said.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
    };
    let connected = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let connected = connected.map(|ConnectInfo(address)| address.ip());
    let agent = headers
        .get(header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    Origin {
        address: Some(console.config.behind_proxy)
            .filter(|trusted| *trusted)
            .and_then(|_| forwarded())
            .or(connected),
        agent: agent.map(|agent| agent.chars().take(AGENT_CHARS).collect()),
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let caller = parts.extensions.get().cloned();
        caller
            .ok_or_else(|| ApiError::internal("a handler that asks who asks stands behind no door"))
    }
}

impl<S: Sync> FromRequestParts<S> for Origin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}
