//! Authentication: users by password, programs and sessions by token.
//!
//! - [`secret`]: creation and storage of secrets. [`password`]: password checks, slow and few at a time.
//! - [`rate_limiter`]: rate limit of passwords and codes, applied before any of them is checked.
//! - [`lists`]: all users, tokens and ingest keys, for operators.
//!
//! All valid tokens are kept in memory, by digest, as in the data directory.

pub(crate) mod lists;
pub(crate) mod password;
pub(crate) mod rate_limiter;
pub(crate) mod secret;
mod unauthenticated;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use skilift_core::clock::epoch_ms;
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::WriteBatch;
use subtle::ConstantTimeEq;

use self::password::Passwords;
use self::rate_limiter::RateLimiter;
use self::unauthenticated::Unauthenticated;
use crate::state::{ConsoleState, Token};
use crate::view::access::UserRole;

/// Lifetime of a login code, in milliseconds.
const CODE_MS: u64 = 10 * 60 * 1000;
/// Maximum lifetime of a session, in milliseconds.
pub(crate) const SESSION_MS: u64 = 7 * 24 * 3600 * 1000;
/// How long a session may be unused, in milliseconds.
pub(crate) const IDLE_MS: u64 = 12 * 3600 * 1000;
/// Maximum number of tokens, including sessions.
pub(crate) const MAX_TOKENS: usize = 10_000;
/// Precision of the last use of a token, in milliseconds.
const USED_STEP_MS: u64 = 60_000;
/// A time that is never reached, in milliseconds since 1970, and that JSON parsers represent exactly.
const FAR_MS: u64 = (1 << 53) - 1;
/// The token of this process. It cannot be revoked and expires with the process.
pub(crate) const LOCAL: &str = "local";

/// The authenticated caller of a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The user, or the token's name.
    pub(crate) name: String,
    pub(crate) role: UserRole,
    /// The id of the caller's token.
    pub(crate) token: String,
    pub(crate) from: Origin,
}

/// The source of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    pub(crate) address: Option<IpAddr>,
    /// The user agent, shortened.
    pub(crate) agent: Option<String>,
}

/// Users, tokens and login codes.
pub(crate) struct Access {
    /// Rate limit of login attempts.
    pub(crate) login_limiter: RateLimiter,
    /// Rate limit of audited refusals, per token.
    pub(crate) refusal_limiter: RateLimiter,
    /// Refusals of callers who are not logged in.
    pub(crate) unauthenticated: Unauthenticated,
    pub(crate) passwords: Passwords,
    known: Mutex<Known>,
}

/// State in memory.
#[derive(Default)]
struct Known {
    /// By digest: id and token.
    tokens: HashMap<[u8; 32], (String, Token)>,
    /// The token of this process. It is not written to disk.
    local: Option<([u8; 32], Token)>,
    codes: Vec<LoginCode>,
    /// Ids of tokens used since the last write, and when.
    shown: HashMap<String, u64>,
}

/// A code for one login.
#[derive(Debug)]
pub(crate) struct LoginCode {
    digest: [u8; 32],
    pub(crate) expires_at_ms: u64,
}

impl Known {
    /// When a token was last used, in milliseconds since 1970.
    fn last_used(&self, id: &str, token: &Token) -> Option<u64> {
        self.shown.get(id).copied().or(token.last_used_ms)
    }
}

impl Access {
    /// Loads the tokens from the data directory.
    pub(crate) fn open(state: &ConsoleState) -> Result<Self, DiskError> {
        let access = Self {
            login_limiter: RateLimiter::default(),
            refusal_limiter: RateLimiter::default(),
            unauthenticated: Unauthenticated::default(),
            passwords: Passwords::default(),
            known: Mutex::default(),
        };
        access.reload(state)?;
        Ok(access)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reloads the tokens after a change.
    pub(crate) fn reload(&self, state: &ConsoleState) -> Result<(), DiskError> {
        let found = state.tokens.range(.., MAX_TOKENS)?;
        let by_digest = |(id, token): (Vec<u8>, Token)| {
            let digest = secret::read_digest(&token.sha256)?;
            Some((digest, (String::from_utf8_lossy(&id).into_owned(), token)))
        };
        self.known().tokens = found.into_iter().filter_map(by_digest).collect();
        Ok(())
    }

    /// The owner of a token and its role; `None` if the token is invalid or expired.
    pub(crate) fn authenticate(&self, text: &str) -> Option<(String, UserRole, String)> {
        let digest = secret::digest(text);
        let mut known = self.known();
        let now = epoch_ms();
        if let Some((local, token)) = &mut known.local
            && bool::from(local.ct_eq(&digest))
        {
            token.last_used_ms = Some(now);
            return Some((token.name.clone(), token.role, LOCAL.to_owned()));
        }
        let (found, (id, token)) = known.tokens.get_key_value(&digest)?;
        let last_used = known.last_used(id, token);
        if !bool::from(found.ct_eq(&digest)) || token.ends_at_ms(last_used) <= now {
            return None;
        }
        let (name, role, id) = (token.name.clone(), token.role, id.clone());
        if now.saturating_sub(last_used.unwrap_or(0)) >= USED_STEP_MS {
            known.shown.insert(id.clone(), now);
        }
        Some((name, role, id))
    }

    /// Whether the token with this id is still valid. This does not count as a use.
    pub(crate) fn is_valid(&self, id: &str) -> bool {
        let known = self.known();
        let now = epoch_ms();
        let mut all = known.tokens.values();
        let is_it = |(of, token): &(String, Token)| {
            of == id && token.ends_at_ms(known.last_used(of, token)) > now
        };
        id == LOCAL || all.any(is_it)
    }

    /// Creates the token of this process, with all rights until the process ends.
    pub(crate) fn make_local_token(&self) -> String {
        let text = secret::token();
        let token = Token {
            name: LOCAL.to_owned(),
            role: UserRole::Admin,
            by: "console".to_owned(),
            login_of: None,
            sha256: String::new(),
            made_at_ms: epoch_ms(),
            expires_at_ms: FAR_MS,
            last_used_ms: None,
        };
        self.known().local = Some((secret::digest(&text), token));
        text
    }

    /// Creates a code for one login as admin.
    pub(crate) fn make_login_code(&self) -> String {
        let code = secret::login_code();
        let mut known = self.known();
        let now = epoch_ms();
        known.codes.retain(|code| now < code.expires_at_ms);
        known.codes.push(LoginCode {
            digest: secret::digest(&secret::plain_code(&code)),
            expires_at_ms: now + CODE_MS,
        });
        code
    }

    /// Consumes a login code; `None` if it is invalid or expired.
    pub(crate) fn take_login_code(&self, text: &str) -> Option<LoginCode> {
        let digest = secret::digest(&secret::plain_code(text));
        let now = epoch_ms();
        let mut known = self.known();
        let is_it =
            |code: &LoginCode| bool::from(code.digest.ct_eq(&digest)) && now < code.expires_at_ms;
        let at = known.codes.iter().position(is_it)?;
        Some(known.codes.swap_remove(at))
    }

    /// Makes a login code valid again that was consumed, but let no one in. It expires when it would have.
    pub(crate) fn give_back_login_code(&self, code: LoginCode) {
        self.known().codes.push(code);
    }

    /// Adds to `changes` the last use of tokens, and the removal of expired ones. Returns whether there is anything to
    /// write.
    pub(crate) fn put_last_used(&self, state: &ConsoleState, changes: &mut WriteBatch) -> bool {
        let mut known = self.known();
        let (now, shown) = (epoch_ms(), std::mem::take(&mut known.shown));
        known.tokens.retain(|_, (id, token)| {
            if let Some(&at) = shown.get(id) {
                token.last_used_ms = Some(at / USED_STEP_MS * USED_STEP_MS);
                state.tokens.put(changes, id.as_bytes(), token);
            }
            let is_valid = token.ends_at_ms(token.last_used_ms) > now;
            if !is_valid {
                state.tokens.remove(changes, id.as_bytes());
            }
            is_valid
        });
        !changes.is_empty()
    }

    /// Every token by its id, with its last use, including the one of this process.
    pub(crate) fn tokens(&self) -> Vec<(String, Token)> {
        let known = self.known();
        let local = known.local.iter();
        let local = local.map(|(_, token)| (LOCAL.to_owned(), token.clone()));
        let used = known.tokens.values().map(|(id, token)| {
            let last_used_ms = known.last_used(id, token);
            let token = Token {
                last_used_ms,
                ..token.clone()
            };
            (id.clone(), token)
        });
        used.chain(local).collect()
    }
}
