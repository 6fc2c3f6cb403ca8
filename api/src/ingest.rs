//! Authorisation of posted rides by the console's ingest policy: open, or an ingest key that is valid for the ride's resort.
//!
//! Keys are checked in memory. It fails closed: if the key set cannot be read, or there are no keys, all requests are rejected;
//! an API that other hosts can reach rejects all requests until it has received the policy once.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER_PERMISSIVE;
use sha2::{Digest, Sha256};
use skilift_core::control::{DesiredState, Ingest, IngestKey};
use skilift_core::ride::ResortId;
use subtle::ConstantTimeEq;
use tokio::sync::watch;

use crate::error::ApiError;
use crate::state::Api;

/// `Retry-After` while the valid keys are unknown; the policy is polled twice a second.
const UNTIL_KNOWN: Duration = Duration::from_secs(1);

/// The ingest policy from flags.
#[derive(Debug, Clone, Copy, Default)]
pub struct IngestPolicy {
    /// The policy until a console sets one.
    pub ingest: Ingest,
    /// Whether reads require an ingest key of any resort.
    pub read_keys: bool,
    /// Whether rides require a key even if the console's policy is `open`: other hosts can reach this API, no catalogue limits
    /// the rides, and `--open` is not set. The API was allowed to start only because it requires keys, so a policy from the
    /// console, possibly old and for another address, must not revert that.
    pub always_require_keys: bool,
    /// Whether other hosts can reach this API without `--open`; all rides are then rejected until the console's policy is known,
    /// which may be stricter than these flags.
    pub is_exposed: bool,
}

/// Why a request is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AuthError {
    /// The request has no key.
    #[error(
        "ingest key required: send `Authorization: Bearer ski_ingest_...`; operators create keys with `skictl keys add`"
    )]
    NoKey,
    /// The key is not valid.
    #[error("invalid or revoked ingest key; operators list the valid keys with `skictl keys`")]
    WrongKey,
    /// The valid keys are unknown.
    #[error("cannot verify ingest keys at the moment; retry later")]
    NotKnown,
}

impl AuthError {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::NoKey | Self::WrongKey => StatusCode::UNAUTHORIZED,
            Self::NotKnown => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(crate) fn retry_after(self) -> Option<Duration> {
        (self == Self::NotKnown).then_some(UNTIL_KNOWN)
    }

    /// The `WWW-Authenticate` header: <https://www.rfc-editor.org/rfc/rfc6750#section-3>.
    pub(crate) fn challenge(self) -> Option<&'static str> {
        match self {
            Self::NoKey => Some(r#"Bearer realm="skilift""#),
            Self::WrongKey => Some(r#"Bearer realm="skilift", error="invalid_token""#),
            Self::NotKnown => None,
        }
    }
}

impl From<AuthError> for ApiError {
    fn from(refused: AuthError) -> Self {
        let message = refused.to_string();
        match refused.challenge() {
            Some(challenge) => Self::Unauthorized(message, challenge),
            None => Self::Unavailable {
                message,
                retry_after: UNTIL_KNOWN,
            },
        }
    }
}

/// The key is valid, but not for this resort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this ingest key is not valid for resort {0}; operators list the resorts of each key with `skictl keys`"
)]
pub(crate) struct InsufficientScope(ResortId);

impl From<InsufficientScope> for ApiError {
    fn from(error: InsufficientScope) -> Self {
        let challenge = r#"Bearer realm="skilift", error="insufficient_scope""#;
        Self::Forbidden(error.to_string(), challenge)
    }
}

/// The resorts that a caller may post to.
#[derive(Debug, Clone)]
pub(crate) enum Scope {
    All,
    Of(Arc<HashSet<ResortId>>),
}

impl Scope {
    pub(crate) fn check(&self, resort: ResortId) -> Result<(), InsufficientScope> {
        match self {
            Self::Of(resorts) if !resorts.contains(&resort) => Err(InsufficientScope(resort)),
            _ => Ok(()),
        }
    }
}

/// The caller, identified by the digest of its key, if any; the extractor rejects callers that may not post at all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller(Option<[u8; 32]>);

impl Caller {
    fn new(headers: &HeaderMap) -> Self {
        let shown = headers.get(header::AUTHORIZATION);
        let shown = shown.and_then(|value| {
            let (scheme, key) = value.as_bytes().split_at_checked("Bearer ".len())?;
            // https://www.rfc-editor.org/rfc/rfc9110#section-11.1: the scheme is case-insensitive.
            scheme.eq_ignore_ascii_case(b"Bearer ").then_some(key)
        });
        Self(shown.map(|key| Sha256::digest(key.trim_ascii()).into()))
    }
}

impl FromRequestParts<Api> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let caller = Self::new(&parts.headers);
        api.authorizer.scope(caller)?;
        api.authorizer.count(caller);
        Ok(caller)
    }
}

/// Requires a key for reads.
pub(crate) async fn authorize_reads(
    State(api): State<Api>,
    request: Request,
    next: Next,
) -> Response {
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    if is_read
        && let Err(refused) = api
            .authorizer
            .effective_policy()
            .find(Caller::new(request.headers()))
    {
        return ApiError::from(refused).into_response();
    }
    next.run(request).await
}

/// Enforces the ingest policy.
pub(crate) struct Authorizer {
    ingest_policy: IngestPolicy,
    effective_policy: RwLock<Arc<EffectivePolicy>>,
    /// Requests without a valid key that were let in.
    unkeyed: AtomicU64,
}

/// The current policy.
struct EffectivePolicy {
    /// The ingest policy; `None` while unknown.
    ingest: Option<Ingest>,
    /// Whether the console's policy is `open`, but a key is still required.
    is_overruled: bool,
    /// The valid keys by the first bytes of their digests; `None` while unknown.
    keys: Option<HashMap<[u8; 8], Vec<ValidKey>>>,
    serial: u64,
}

struct ValidKey {
    digest: [u8; 32],
    scope: Scope,
}

impl Authorizer {
    pub(crate) fn new(ingest_policy: IngestPolicy) -> Self {
        let effective_policy = EffectivePolicy::new(ingest_policy, &DesiredState::default());
        Self {
            ingest_policy,
            effective_policy: RwLock::new(Arc::new(effective_policy)),
            unkeyed: AtomicU64::new(0),
        }
    }

    pub(crate) fn requires_read_keys(&self) -> bool {
        self.ingest_policy.read_keys
    }

    /// Enforces the console's policy from the first request on, and logs it.
    pub(crate) fn begin(&self, desired: &DesiredState) {
        self.set_policy(desired).1.announce(None);
    }

    /// Replaces the policy.
    pub(crate) fn apply(&self, desired: &DesiredState) {
        let (before, effective_policy) = self.set_policy(desired);
        effective_policy.announce(Some(&before));
    }

    /// The previous and the current policy.
    fn set_policy(&self, desired: &DesiredState) -> (Arc<EffectivePolicy>, Arc<EffectivePolicy>) {
        let effective_policy = Arc::new(EffectivePolicy::new(self.ingest_policy, desired));
        let mut slot = self
            .effective_policy
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *slot, Arc::clone(&effective_policy));
        (before, effective_policy)
    }

    /// Applies the desired state for as long as it is polled.
    pub(crate) async fn reconcile(&self, mut desired_state: watch::Receiver<DesiredState>) {
        loop {
            let desired = desired_state.borrow_and_update().clone();
            self.apply(&desired);
            if desired_state.changed().await.is_err() {
                // No further updates: the last state remains in force.
                return std::future::pending().await;
            }
        }
    }

    /// The resorts that the caller may post to now.
    pub(crate) fn scope(&self, caller: Caller) -> Result<Scope, AuthError> {
        let effective_policy = self.effective_policy();
        match effective_policy.ingest {
            Some(Ingest::Open) => Ok(Scope::All),
            Some(Ingest::Keys) => effective_policy.find(caller),
            None => Err(AuthError::NotKnown),
        }
    }

    /// Counts a request that was let in although its key would not do if one were required.
    fn count(&self, caller: Caller) {
        let effective_policy = self.effective_policy();
        let is_open = effective_policy.ingest == Some(Ingest::Open);
        let has_key = || match effective_policy.find(caller) {
            Ok(_) | Err(AuthError::NotKnown) => true,
            Err(AuthError::NoKey | AuthError::WrongKey) => false,
        };
        if is_open && !has_key() {
            self.unkeyed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Requests without a valid key that were let in.
    pub(crate) fn unkeyed(&self) -> u64 {
        self.unkeyed.load(Ordering::Relaxed)
    }

    /// The error for all callers while the policy is unknown.
    pub(crate) fn why_closed(&self) -> Option<String> {
        let effective_policy = self.effective_policy();
        effective_policy
            .ingest
            .is_none()
            .then(|| effective_policy.describe())
    }

    /// Whether the caller may still post to this resort; its key may have been revoked in the meantime.
    pub(crate) fn check(&self, caller: Caller, resort: ResortId) -> Result<(), ApiError> {
        Ok(self.scope(caller)?.check(resort)?)
    }

    /// Serial of the key set in use; 0 if there is none.
    pub(crate) fn keys_serial(&self) -> u64 {
        self.effective_policy().serial
    }

    fn effective_policy(&self) -> Arc<EffectivePolicy> {
        let slot = self
            .effective_policy
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&slot)
    }
}

impl EffectivePolicy {
    fn new(ingest_policy: IngestPolicy, desired: &DesiredState) -> Self {
        let document = desired.document.as_deref();
        let said = document.and_then(|document| document.ingest);
        let named = document.map_or(0, |document| document.keys_serial);
        let known = desired.keys_serial();
        let mut keys: HashMap<[u8; 8], Vec<ValidKey>> = HashMap::new();
        for key in desired.keys.iter().flat_map(|desired| &desired.keys) {
            match ValidKey::new(key) {
                Some(valid_key) => keys
                    .entry(first(&valid_key.digest))
                    .or_default()
                    .push(valid_key),
                None => tracing::warn!(
                    "the ingest key {} has an invalid digest and is ignored",
                    key.id
                ),
            }
        }
        let said = said.map(|said| said.value);
        Self {
            ingest: match said.unwrap_or(ingest_policy.ingest) {
                Ingest::Open if ingest_policy.always_require_keys => Some(Ingest::Keys),
                Ingest::Open if ingest_policy.is_exposed && !desired.is_known => None,
                said => Some(said),
            },
            is_overruled: ingest_policy.always_require_keys && said == Some(Ingest::Open),
            keys: (desired.is_known && known >= named).then_some(keys),
            serial: known,
        }
    }

    /// The resorts that the caller's key is valid for.
    fn find(&self, caller: Caller) -> Result<Scope, AuthError> {
        let shown = caller.0.ok_or(AuthError::NoKey)?;
        let keys = self.keys.as_ref().ok_or(AuthError::NotKnown)?;
        // The timing of the lookup could reveal only the start of the digest, which reveals nothing about the key.
        let mut found = keys.get(&first(&shown)).into_iter().flatten();
        let found = found.find(|key| key.digest.ct_eq(&shown).into());
        found
            .map(|key| key.scope.clone())
            .ok_or(AuthError::WrongKey)
    }

    /// Logs the policy if it has changed.
    fn announce(&self, before: Option<&Self>) {
        if self.is_overruled && before.is_none_or(|before| !before.is_overruled) {
            tracing::warn!(
                "the console's policy is `ingest: open`, but this API still requires ingest keys: it is reachable from other hosts \
                and has no catalogue; set --catalogue, or --open to allow any client to post rides"
            );
        }
        if before.is_some_and(|before| before.describe() == self.describe()) {
            return;
        }
        match self.ingest {
            None => tracing::warn!("{}", self.describe()),
            Some(_) => tracing::info!("{}", self.describe()),
        }
    }

    fn describe(&self) -> String {
        let count = self
            .keys
            .as_ref()
            .map(|keys| keys.values().map(Vec::len).sum::<usize>());
        match (self.ingest, count) {
            (None, _) => "this API is reachable from other hosts and has not received the ingest policy from the console yet: all rides \
            are rejected until then"
                .to_owned(),
            (Some(Ingest::Open), _) => "ingest is open: no key required".to_owned(),
            (Some(Ingest::Keys), None) => {
                "ingest requires a key, but the newest key set cannot be read: all rides are rejected"
                    .to_owned()
            }
            (Some(Ingest::Keys), Some(0)) => {
                "ingest requires a key, but there are no keys: all rides are rejected".to_owned()
            }
            (Some(Ingest::Keys), Some(count)) => {
                format!(
                    "ingest requires one of {count} ingest keys (serial {})",
                    self.serial
                )
            }
        }
    }
}

impl ValidKey {
    fn new(key: &IngestKey) -> Option<Self> {
        let digest = HEXLOWER_PERMISSIVE.decode(key.sha256.as_bytes()).ok()?;
        let of = |resorts: &Vec<ResortId>| Scope::Of(Arc::new(resorts.iter().copied().collect()));
        Some(Self {
            digest: digest.try_into().ok()?,
            scope: key.resorts.as_ref().map_or(Scope::All, of),
        })
    }
}

fn first(digest: &[u8; 32]) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    first
}

#[cfg(test)]
mod tests {
    use skilift_core::control::{Document, IngestKeys, Versioned};

    use super::*;

    #[test]
    fn what_is_let_in_without_a_key_is_counted_while_none_is_required() {
        let authorizer = Authorizer::new(IngestPolicy {
            ingest: Ingest::Open,
            read_keys: false,
            always_require_keys: false,
            is_exposed: false,
        });
        let key = IngestKey {
            id: "k1".to_owned(),
            sha256: data_encoding::HEXLOWER.encode(&Sha256::digest("right")),
            resorts: None,
        };
        let desired = |ingest| DesiredState {
            is_known: true,
            document: Some(Arc::new(Document {
                ingest: Some(Versioned::new(1, ingest)),
                ..Document::default()
            })),
            keys: Some(Arc::new(IngestKeys {
                serial: 1,
                keys: vec![key.clone()],
            })),
            ..DesiredState::default()
        };
        authorizer.apply(&desired(Ingest::Open));
        let caller = |key: Option<&str>| Caller(key.map(|key| Sha256::digest(key).into()));
        for (key, unkeyed) in [(None, 1), (Some("right"), 1), (Some("wrong"), 2)] {
            authorizer.count(caller(key));
            assert_eq!(authorizer.unkeyed(), unkeyed, "{key:?}");
        }
        authorizer.apply(&desired(Ingest::Keys));
        authorizer.count(caller(None));
        assert_eq!(authorizer.unkeyed(), 2);
    }
}
