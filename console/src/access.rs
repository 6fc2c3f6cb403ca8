//! Who may do what: users by password, programs and logins by token.
//!
//! - [`secret`]: how secrets are made and kept. [`password`]: how they are checked, slowly and few at a time.
//! - [`attempts`]: how many passwords and codes may be tried, which is asked before any of them is looked at.
//!
//! All tokens that count stand in memory, by their digests, as they stand in the folder.

pub(crate) mod attempts;
pub(crate) mod password;
pub(crate) mod secret;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use skilift_core::clock::epoch_ms;
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::Changes;
use subtle::ConstantTimeEq;

use self::attempts::Attempts;
use self::password::Passwords;
use crate::state::{ConsoleState, Token};
use crate::view::access::UserRole;

/// How long a login code counts, in milliseconds.
const CODE_MS: u64 = 10 * 60 * 1000;
/// How long a login counts, in milliseconds.
pub(crate) const LOGIN_MS: u64 = 12 * 3600 * 1000;
/// Most tokens at once, logins included.
pub(crate) const MOST_TOKENS: usize = 10_000;
/// How exactly it is known when a token was shown last, in milliseconds.
const USED_STEP_MS: u64 = 60_000;
/// A time that no clock of ours reaches, in milliseconds since 1970, and that JSON's readers still know exactly.
const FAR_MS: u64 = (1 << 53) - 1;
/// The token of this process, which nobody can revoke: it ends with it.
pub(crate) const LOCAL: &str = "local";

/// Who asks, and from where.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The user, or the token's name.
    pub(crate) name: String,
    pub(crate) role: UserRole,
    /// The id of the token that was shown.
    pub(crate) token: String,
    pub(crate) from: Origin,
}

/// Where a request comes from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    pub(crate) address: Option<IpAddr>,
    /// The user agent, shortened.
    pub(crate) agent: Option<String>,
}

/// Everybody's way in.
pub(crate) struct Access {
    /// Attempts to log in.
    pub(crate) attempts: Attempts,
    /// Refusals that are written down, of each token.
    pub(crate) refusals: Attempts,
    pub(crate) passwords: Passwords,
    known: Mutex<Known>,
}

/// What is known in memory.
#[derive(Default)]
struct Known {
    /// By digest: id and token.
    tokens: HashMap<[u8; 32], (String, Token)>,
    /// The token of this process. It stands in no folder.
    local: Option<([u8; 32], Token)>,
    /// Digests of login codes, and when they end.
    codes: Vec<([u8; 32], u64)>,
    /// Ids of tokens that were shown since that was last written.
    shown: HashMap<String, u64>,
}

impl Access {
    /// Reads what the folder knows.
    pub(crate) fn open(state: &ConsoleState) -> Result<Self, DiskError> {
        let access = Self {
            attempts: Attempts::default(),
            refusals: Attempts::default(),
            passwords: Passwords::default(),
            known: Mutex::default(),
        };
        access.reload(state)?;
        Ok(access)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads again what the folder knows, after it changed.
    pub(crate) fn reload(&self, state: &ConsoleState) -> Result<(), DiskError> {
        let found = state.tokens.range(.., MOST_TOKENS)?;
        let by_digest = |(id, token): (Vec<u8>, Token)| {
            let digest = secret::read_digest(&token.sha256)?;
            Some((digest, (String::from_utf8_lossy(&id).into_owned(), token)))
        };
        self.known().tokens = found.into_iter().filter_map(by_digest).collect();
        Ok(())
    }

    /// Who shows this token, and with which role; `None` where it counts for nothing.
    pub(crate) fn who_shows(&self, text: &str) -> Option<(String, UserRole, String)> {
        let digest = secret::digest(text);
        let mut known = self.known();
        let now = epoch_ms();
        if let Some((local, token)) = &known.local
            && bool::from(local.ct_eq(&digest))
        {
            return Some((token.name.clone(), token.role, LOCAL.to_owned()));
        }
        let (found, (id, token)) = known.tokens.get_key_value(&digest)?;
        if !bool::from(found.ct_eq(&digest)) || token.expires_at_ms <= now {
            return None;
        }
        let (name, role, id) = (token.name.clone(), token.role, id.clone());
        let was_shown = token.last_used_ms.unwrap_or(0);
        if now.saturating_sub(was_shown) >= USED_STEP_MS {
            known.shown.insert(id.clone(), now);
        }
        Some((name, role, id))
    }

    /// Makes the token of this process, with all rights until it ends.
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

    /// Makes a code that lets somebody in once, as an admin.
    pub(crate) fn make_login_code(&self) -> String {
        let code = secret::login_code();
        let mut known = self.known();
        let now = epoch_ms();
        known.codes.retain(|(_, end)| now < *end);
        let digest = secret::digest(&secret::plain_code(&code));
        known.codes.push((digest, now + CODE_MS));
        code
    }

    /// Takes a login code, which then counts no more. Whether it counted.
    pub(crate) fn take_login_code(&self, code: &str) -> bool {
        let digest = secret::digest(&secret::plain_code(code));
        let now = epoch_ms();
        let mut known = self.known();
        let found = known
            .codes
            .iter()
            .position(|(code, end)| bool::from(code.ct_eq(&digest)) && now < *end);
        found.is_some_and(|at| {
            known.codes.swap_remove(at);
            true
        })
    }

    /// Adds to `changes` when tokens were shown last, and that those that ended are gone. Whether there is anything of it.
    pub(crate) fn put_use(&self, state: &ConsoleState, changes: &mut Changes) -> bool {
        let mut known = self.known();
        let (now, shown) = (epoch_ms(), std::mem::take(&mut known.shown));
        known.tokens.retain(|_, (id, token)| {
            if token.expires_at_ms <= now {
                state.tokens.remove(changes, id.as_bytes());
                return false;
            }
            if let Some(&at) = shown.get(id) {
                token.last_used_ms = Some(at / USED_STEP_MS * USED_STEP_MS);
                state.tokens.put(changes, id.as_bytes(), token);
            }
            true
        });
        !changes.is_empty()
    }

    /// Every token by its id, the one of this process included.
    pub(crate) fn tokens(&self) -> Vec<(String, Token)> {
        let known = self.known();
        let local = known.local.iter();
        let local = local.map(|(_, token)| (LOCAL.to_owned(), token.clone()));
        known.tokens.values().cloned().chain(local).collect()
    }
}
