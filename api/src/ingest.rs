//! Who may post rides: everybody, or who shows an ingest key that covers the ride's resort, as the console says.
//!
//! Keys are checked in memory. What is not known is refused: keys that the console named and that cannot be read, keys where
//! there are none, and where strangers come, everything until the console could be asked once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER_PERMISSIVE;
use sha2::{Digest, Sha256};
use skilift_core::control::{Ingest, IngestKey, Orders};
use skilift_core::ride::ResortId;
use subtle::ConstantTimeEq;
use tokio::sync::watch;

use crate::error::ApiError;
use crate::state::Api;

/// When it is worth trying again while it is not known which keys count: the console is asked twice a second.
const UNTIL_KNOWN: Duration = Duration::from_secs(1);

/// What the flags say of who may come in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Doors {
    /// Who may post rides, where no console has said it.
    pub ingest: Ingest,
    /// Whether questions about rides need an ingest key, of whatever resort.
    pub read_keys: bool,
    /// Whether rides need a key also where the console says `open`. Strangers reach this API, no catalogue bounds what they
    /// may write, and who started it did not say that it be so: it may start only because it asks for keys, and what a
    /// console said, perhaps long ago and for another address, must not take that back.
    pub never_open: bool,
    /// Whether strangers reach this API, and who started it did not say that everybody shall post. Then nobody may until it is
    /// known what the console says: it may have closed the doors that these flags leave open.
    pub is_exposed: bool,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// It shows no key.
    #[error(
        "this needs an ingest key: send it as `Authorization: Bearer ski_ingest_...`; operators make one with `skictl keys`"
    )]
    NoKey,
    /// It shows one that does not count.
    #[error(
        "this ingest key does not count, or not any more; operators see with `skictl keys` which do"
    )]
    WrongKey,
    /// Nobody can tell.
    #[error("it is not known at the moment which ingest keys count, or whether it needs one")]
    NotKnown,
}

impl Refused {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::NoKey | Self::WrongKey => StatusCode::UNAUTHORIZED,
            Self::NotKnown => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(crate) fn retry_after(self) -> Option<Duration> {
        (self == Self::NotKnown).then_some(UNTIL_KNOWN)
    }

    /// What `WWW-Authenticate` says: <https://www.rfc-editor.org/rfc/rfc6750#section-3>.
    pub(crate) fn challenge(self) -> Option<&'static str> {
        match self {
            Self::NoKey => Some(r#"Bearer realm="skilift""#),
            Self::WrongKey => Some(r#"Bearer realm="skilift", error="invalid_token""#),
            Self::NotKnown => None,
        }
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
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

/// A key counts, but not for this resort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this ingest key does not count for resort {0}; operators see with `skictl keys` for which it does"
)]
pub(crate) struct NotCovered(ResortId);

impl From<NotCovered> for ApiError {
    fn from(error: NotCovered) -> Self {
        let challenge = r#"Bearer realm="skilift", error="insufficient_scope""#;
        Self::Forbidden(error.to_string(), challenge)
    }
}

/// For which resorts somebody may post.
#[derive(Debug, Clone)]
pub(crate) enum Scope {
    All,
    Of(Arc<HashSet<ResortId>>),
}

impl Scope {
    pub(crate) fn check(&self, resort: ResortId) -> Result<(), NotCovered> {
        match self {
            Self::Of(resorts) if !resorts.contains(&resort) => Err(NotCovered(resort)),
            _ => Ok(()),
        }
    }
}

/// Who wants to post: the digest of the key that is shown, where one is. The extractor lets in who may post at all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller(Option<[u8; 32]>);

impl Caller {
    fn new(headers: &HeaderMap) -> Self {
        let shown = headers.get(header::AUTHORIZATION);
        let shown = shown.and_then(|value| {
            let (scheme, key) = value.as_bytes().split_at_checked("Bearer ".len())?;
            // https://www.rfc-editor.org/rfc/rfc9110#section-11.1: the scheme's case says nothing.
            scheme.eq_ignore_ascii_case(b"Bearer ").then_some(key)
        });
        Self(shown.map(|key| Sha256::digest(key.trim_ascii()).into()))
    }
}

impl FromRequestParts<Api> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let caller = Self::new(&parts.headers);
        api.guard.scope(caller)?;
        Ok(caller)
    }
}

/// Asks for a key whatever is asked about rides.
pub(crate) async fn guard_reads(State(api): State<Api>, request: Request, next: Next) -> Response {
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    if is_read && let Err(refused) = api.guard.admitted().find(Caller::new(request.headers())) {
        return ApiError::from(refused).into_response();
    }
    next.run(request).await
}

/// Lets in who may come in.
pub(crate) struct Guard {
    doors: Doors,
    admitted: RwLock<Arc<Admitted>>,
}

/// Who may come in now.
struct Admitted {
    /// Who may post rides; `None` while that is not known.
    ingest: Option<Ingest>,
    /// Whether the console says `open`, and these doors do not open.
    is_overruled: bool,
    /// The keys that count, by the first bytes of their digests; `None` while that is not known.
    keys: Option<HashMap<[u8; 8], Vec<Admission>>>,
    serial: u64,
}

struct Admission {
    digest: [u8; 32],
    scope: Scope,
}

impl Guard {
    pub(crate) fn new(doors: Doors) -> Self {
        let admitted = Admitted::new(doors, &Orders::default());
        Self {
            doors,
            admitted: RwLock::new(Arc::new(admitted)),
        }
    }

    pub(crate) fn asks_readers(&self) -> bool {
        self.doors.read_keys
    }

    /// Lets in whom the console says, from the first request on, and logs who that is.
    pub(crate) fn begin(&self, told: &Orders) {
        self.admit(told).1.announce(None);
    }

    /// From now on lets in whom the console says.
    pub(crate) fn follow(&self, told: &Orders) {
        let (before, admitted) = self.admit(told);
        admitted.announce(Some(&before));
    }

    /// Who was let in, and who is.
    fn admit(&self, told: &Orders) -> (Arc<Admitted>, Arc<Admitted>) {
        let admitted = Arc::new(Admitted::new(self.doors, told));
        let mut slot = self
            .admitted
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *slot, Arc::clone(&admitted));
        (before, admitted)
    }

    /// Follows orders for as long as it is awaited.
    pub(crate) async fn follow_all(&self, mut orders: watch::Receiver<Orders>) {
        loop {
            let told = orders.borrow_and_update().clone();
            self.follow(&told);
            if orders.changed().await.is_err() {
                // Nobody gives orders any more: the last ones stand.
                return std::future::pending().await;
            }
        }
    }

    /// For which resorts the caller may post now.
    pub(crate) fn scope(&self, caller: Caller) -> Result<Scope, Refused> {
        let admitted = self.admitted();
        match admitted.ingest {
            Some(Ingest::Open) => Ok(Scope::All),
            Some(Ingest::Keys) => admitted.find(caller),
            None => Err(Refused::NotKnown),
        }
    }

    /// Why nobody may post rides, while it is not known who may.
    pub(crate) fn why_closed(&self) -> Option<String> {
        let admitted = self.admitted();
        admitted.ingest.is_none().then(|| admitted.says())
    }

    /// Whether the caller may post for this resort now: since he was let in, his key may have been revoked.
    pub(crate) fn check(&self, caller: Caller, resort: ResortId) -> Result<(), ApiError> {
        Ok(self.scope(caller)?.check(resort)?)
    }

    /// The serial of the keys by which callers are checked; 0 while there are none.
    pub(crate) fn keys_serial(&self) -> u64 {
        self.admitted().serial
    }

    fn admitted(&self) -> Arc<Admitted> {
        let slot = self.admitted.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&slot)
    }
}

impl Admitted {
    fn new(doors: Doors, told: &Orders) -> Self {
        let document = told.document.as_deref();
        let said = document.and_then(|document| document.ingest);
        let named = document.map_or(0, |document| document.keys_serial);
        let known = told.keys_serial();
        let mut keys: HashMap<[u8; 8], Vec<Admission>> = HashMap::new();
        for key in told.keys.iter().flat_map(|told| &told.keys) {
            match Admission::new(key) {
                Some(admission) => keys
                    .entry(first(&admission.digest))
                    .or_default()
                    .push(admission),
                None => tracing::warn!(
                    "the ingest key {} has no readable digest, and does not count",
                    key.id
                ),
            }
        }
        let said = said.map(|said| said.value);
        Self {
            ingest: match said.unwrap_or(doors.ingest) {
                Ingest::Open if doors.never_open => Some(Ingest::Keys),
                Ingest::Open if doors.is_exposed && !told.is_known => None,
                said => Some(said),
            },
            is_overruled: doors.never_open && said == Some(Ingest::Open),
            keys: (told.is_known && known >= named).then_some(keys),
            serial: known,
        }
    }

    /// For which resorts the key that the caller shows counts.
    fn find(&self, caller: Caller) -> Result<Scope, Refused> {
        let shown = caller.0.ok_or(Refused::NoKey)?;
        let keys = self.keys.as_ref().ok_or(Refused::NotKnown)?;
        // Whoever could learn from the look-up how the digest of a key begins would know nothing of the key.
        let mut found = keys.get(&first(&shown)).into_iter().flatten();
        let found = found.find(|key| key.digest.ct_eq(&shown).into());
        found.map(|key| key.scope.clone()).ok_or(Refused::WrongKey)
    }

    /// Logs who is let in, as far as that is news.
    fn announce(&self, before: Option<&Self>) {
        if self.is_overruled && before.is_none_or(|before| !before.is_overruled) {
            tracing::warn!(
                "the console says `ingest: open`, and this API asks for ingest keys all the same: strangers reach it, and no \
                 catalogue bounds what they may write; give it --catalogue, or say --open where everybody shall post"
            );
        }
        if before.is_some_and(|before| before.says() == self.says()) {
            return;
        }
        match self.ingest {
            None => tracing::warn!("{}", self.says()),
            Some(_) => tracing::info!("{}", self.says()),
        }
    }

    fn says(&self) -> String {
        let count = self
            .keys
            .as_ref()
            .map(|keys| keys.values().map(Vec::len).sum::<usize>());
        match (self.ingest, count) {
            (None, _) => "strangers reach this API, and it could not ask yet whether the console wants ingest keys: all rides \
                          are refused until it can"
                .to_owned(),
            (Some(Ingest::Open), _) => "everybody who reaches the API may post rides".to_owned(),
            (Some(Ingest::Keys), None) => {
                "rides need an ingest key, and the newest keys cannot be read: all are refused"
                    .to_owned()
            }
            (Some(Ingest::Keys), Some(0)) => {
                "rides need an ingest key, and there is none: all are refused".to_owned()
            }
            (Some(Ingest::Keys), Some(count)) => {
                format!(
                    "rides need one of {count} ingest keys (serial {})",
                    self.serial
                )
            }
        }
    }
}

impl Admission {
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
