//! Users, tokens and ingest keys. These contain no secrets, except for one that was just created.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Role of a user or token.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum UserRole {
    /// May see everything except secrets.
    Viewer,
    /// May also create plans, and apply those of moderate danger.
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
    /// The code printed by `skictl up`.
    Code {
        /// The code.
        code: String,
    },
}

/// Result of a login.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct LoginView {
    /// The token to send as `Authorization: Bearer`.
    pub token: String,
    /// When it expires, in milliseconds since 1970.
    pub expires_at_ms: u64,
    /// The user or token that logged in.
    pub user: WhoView,
}

/// `GET /admin/v1/whoami`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WhoView {
    /// The user or token.
    pub name: String,
    /// The role.
    pub role: UserRole,
    /// Whether this console is read-only.
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
    /// The role.
    pub role: UserRole,
    /// When the user was added, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// Time of the last login, in milliseconds since 1970.
    pub last_login_at_ms: Option<u64>,
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
    /// Its id, needed to revoke it.
    pub id: String,
    /// A label: what it is for.
    pub name: String,
    /// Its role.
    pub role: UserRole,
    /// The user or token that created it.
    pub created_by: String,
    /// When it was created, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// When it expires, in milliseconds since 1970.
    pub expires_at_ms: u64,
    /// When it was last used, in milliseconds since 1970, to the minute.
    pub last_used_at_ms: Option<u64>,
}

/// `GET /admin/v1/keys`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeysView {
    /// The ingest policy: "open" or "keys"; "unset" while the flags of each API node apply.
    pub ingest: String,
    /// Newest first.
    pub keys: Vec<KeyView>,
}

/// An ingest key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyView {
    /// Its id, needed to revoke it.
    pub id: String,
    /// A label: what it is for.
    pub name: String,
    /// The resorts for which it is valid; null for all.
    pub resorts: Option<Vec<u64>>,
    /// The user or token that created it.
    pub created_by: String,
    /// When it was created, in milliseconds since 1970.
    pub created_at_ms: u64,
}
