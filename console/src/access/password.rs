//! Passwords, by argon2id: slow on purpose, off the threads that serve, and few at a time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use argon2::{Argon2, PasswordHash, PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

/// Passwords checked at once. Each takes 19 MiB and about 20 ms of a core.
const AT_ONCE: usize = 2;
/// How long a login waits for earlier ones.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Minimum and maximum length of a password, in bytes.
pub(crate) const BYTES: std::ops::RangeInclusive<usize> = 10..=1024;

/// For unknown user names, so that they take as long as others.
static NOBODY: LazyLock<String> = LazyLock::new(|| hash("unknown user").unwrap_or_default());

/// Checks and hashes passwords.
#[derive(Debug)]
pub(crate) struct Passwords {
    places: Arc<Semaphore>,
    computed: Arc<AtomicU64>,
}

/// Why a password was not checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    /// Too many others are waiting.
    #[error("too many passwords are being checked; retry in a few seconds")]
    Busy,
    /// The library failed.
    #[error("cannot hash the password")]
    Hash,
    /// It is too short or too long.
    #[error("a password must be {} to {} bytes long, not {length}", BYTES.start(), BYTES.end())]
    Length {
        /// Its length, in bytes.
        length: usize,
    },
}

/// Checks the length of a new password.
pub(crate) fn check_length(password: &str) -> Result<(), PasswordError> {
    if BYTES.contains(&password.len()) {
        Ok(())
    } else {
        Err(PasswordError::Length {
            length: password.len(),
        })
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(AT_ONCE)),
            computed: Arc::default(),
        }
    }
}

impl Passwords {
    /// The hash of a password, for storage.
    pub(crate) async fn hash(&self, password: String) -> Result<String, PasswordError> {
        self.compute(move || hash(&password))
            .await?
            .ok_or(PasswordError::Hash)
    }

    /// Whether the password matches this hash. Without a hash it takes as long and returns false.
    pub(crate) async fn is_right(
        &self,
        password: String,
        kept: Option<String>,
    ) -> Result<bool, PasswordError> {
        self.compute(move || {
            let shown = kept.as_deref().unwrap_or(&NOBODY);
            let parsed = PasswordHash::new(shown).ok();
            let is_right = parsed.is_some_and(|kept| {
                let checked = Argon2::default().verify_password(password.as_bytes(), &kept);
                checked.is_ok()
            });
            is_right && kept.is_some()
        })
        .await
    }

    /// How many hashes were computed.
    #[cfg(test)]
    pub(crate) fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let place = Arc::clone(&self.places).acquire_owned();
        let place = tokio::time::timeout(TIMEOUT, place).await;
        let Ok(Ok(place)) = place else {
            return Err(PasswordError::Busy);
        };
        let computed = Arc::clone(&self.computed);
        let working = tokio::task::spawn_blocking(move || {
            // Kept until the work is done, even if the request was cancelled.
            let _place = place;
            computed.fetch_add(1, Ordering::Relaxed);
            work()
        });
        working.await.map_err(|_| PasswordError::Hash)
    }
}

fn hash(password: &str) -> Option<String> {
    let hashed = Argon2::default().hash_password(password.as_bytes());
    hashed.ok().map(|hash| hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_is_right() {
        let passwords = Passwords::default();
        let kept = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(
            kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{kept}"
        );
        let is_right = async |text: &str, kept: Option<&String>| {
            let kept = kept.cloned();
            passwords.is_right(text.to_owned(), kept).await.unwrap()
        };
        assert!(is_right("correct horse", Some(&kept)).await);
        assert!(!is_right("correct horse ", Some(&kept)).await);
        assert!(!is_right("nobody", None).await);
        assert_eq!(passwords.computed(), 4);
    }
}
