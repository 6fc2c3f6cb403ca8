//! Authentication of callers, and role checks.

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
use crate::error::Error;
use crate::view::access::UserRole;

/// The scheme of the header `Authorization`.
const SCHEME: &str = "Bearer ";
/// Maximum stored length of a user agent, in characters.
const AGENT_CHARS: usize = 100;

/// The role check of a route.
#[derive(Clone)]
pub(crate) struct RoutePolicy {
    pub(crate) console: Arc<Console>,
    /// The lowest role that may pass; `None` if the route is public.
    pub(crate) role: Option<UserRole>,
    /// The method of the route.
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
}

/// Lets a request pass if the caller has the required role. Handlers receive the caller as [`Caller`] and the address as
/// [`Origin`].
pub(crate) async fn authorize(
    State(policy): State<RoutePolicy>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let from = origin(&policy.console, &request);
    if let Some(role) = policy.role {
        let caller = authenticate(&policy.console, request.headers(), from.clone())?;
        if caller.role < role {
            let why = format!(
                "this requires the role {role}; {} has the role {}",
                caller.name, caller.role
            );
            let mut line = audit::by(&caller, "request");
            line.target = Some(format!("{} {}", policy.method, policy.path));
            audit::record_refusal(&policy.console, &caller, audit::denied(line, &why)).await?;
            return Err(Error::forbidden(why).into());
        }
        request.extensions_mut().insert(caller);
    }
    request.extensions_mut().insert(from);
    Ok(next.run(request).await)
}

fn authenticate(console: &Console, headers: &HeaderMap, from: Origin) -> Result<Caller, ApiError> {
    let shown = headers.get(header::AUTHORIZATION).ok_or_else(|| {
        Error::unauthenticated(
            "missing token; send `Authorization: Bearer …` (run `skictl login` to get one)",
        )
    })?;
    let token = shown
        .to_str()
        .ok()
        .and_then(|text| text.strip_prefix(SCHEME));
    let known = token.and_then(|token| console.access.authenticate(token.trim()));
    let (name, role, token) = known
        .ok_or_else(|| Error::unauthenticated("invalid or expired token; run `skictl login`"))?;
    Ok(Caller {
        name,
        role,
        token,
        from,
    })
}

/// Source of a request, for the API and for pages: from the header of a trusted proxy, else from the connection.
pub(crate) fn origin(console: &Console, request: &Request) -> Origin {
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
        caller.ok_or_else(|| {
            Error::internal("a handler that needs the caller has no role check").into()
        })
    }
}

impl<S: Sync> FromRequestParts<S> for Origin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}
