//! Who may do what: users, tokens and ingest keys. No secret stands in any of these but the one that was just made.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UserRole {
    /// See everything but secrets.
    Viewer,
    /// Besides, make plans, and apply those of moderate danger.
    Operator,
    /// Everything.
    Admin,
}

impl fmt::Display for UserRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        })
    }
}

/// `POST /admin/v1/login`: a name with its password, or a single-use code.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum LoginRequest {
    /// A name with its password.
    Password {
        /// The name.
        name: String,
        /// The password.
        password: String,
    },
    /// What `skictl up` printed.
    Code {
        /// The code.
        code: String,
    },
}

/// What a login gives.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct LoginView {
    /// The token to show from now on, as `Authorization: Bearer`.
    pub token: String,
    /// When it ends, in milliseconds since 1970.
    pub expires_at_ms: u64,
    /// Who logged in.
    pub who: WhoView,
}

/// `GET /admin/v1/whoami`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WhoView {
    /// The user or token.
    pub name: String,
    /// What he may do.
    pub role: UserRole,
    /// Whether this console changes nothing.
    pub read_only: bool,
}

/// `GET /admin/v1/users`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsersView {
    /// By name.
    pub users: Vec<UserView>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserView {
    /// The name.
    pub name: String,
    /// What he may do.
    pub role: UserRole,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// When he logged in last, in milliseconds since 1970.
    pub last_login_ms: Option<u64>,
}

/// `GET /admin/v1/tokens`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokensView {
    /// Newest first.
    pub tokens: Vec<TokenView>,
}

/// An API token, or a login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenView {
    /// By what it is revoked.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub role: UserRole,
    /// Who made it.
    pub by: String,
    /// When, in milliseconds since 1970.
    pub made_at_ms: u64,
    /// When it ends, in milliseconds since 1970.
    pub expires_at_ms: u64,
    /// When it was shown last, in milliseconds since 1970, to the minute.
    pub last_used_ms: Option<u64>,
}

/// `GET /admin/v1/keys`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeysView {
    /// Whether keys are asked for: "open" or "keys"; "unset" while each API node's flags say.
    pub ingest: String,
    /// Newest first.
    pub keys: Vec<KeyView>,
}

/// An ingest key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyView {
    /// By what it is revoked.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// The resorts for which it counts; null for all.
    pub resorts: Option<Vec<u64>>,
    /// Who made it.
    pub by: String,
    /// When, in milliseconds since 1970.
    pub made_at_ms: u64,
}
