//! Secrets: 256 random bits as 64 hexadecimal digits behind a word by which a leaked one is recognised. Only their SHA-256 is
//! kept: from 256 random bits nobody guesses, so that a slow hash would protect nothing.

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use sha2::{Digest, Sha256};
use skilift_core::control::ingest_key;

/// What every API token begins with.
const TOKEN_PREFIX: &str = "ski_token_";
/// Random bytes of a login code: 60 bits and more, of which a few hundred can be tried while it counts.
const CODE_BYTES: usize = 10;

/// A new API token.
pub(crate) fn token() -> String {
    prefixed(TOKEN_PREFIX)
}

/// A new ingest key.
pub(crate) fn ingest_key() -> String {
    prefixed(ingest_key::PREFIX)
}

fn prefixed(prefix: &str) -> String {
    let bits: [u8; 32] = rand::random();
    format!("{prefix}{}", HEXLOWER.encode(&bits))
}

/// A name that nothing else has, by which a secret is known.
pub(crate) fn id(kind: char) -> String {
    let bits: [u8; 5] = rand::random();
    format!("{kind}{}", HEXLOWER.encode(&bits))
}

/// A new login code, in groups of four for who types it.
pub(crate) fn login_code() -> String {
    let bits: [u8; CODE_BYTES] = rand::random();
    let letters = BASE32_NOPAD.encode(&bits);
    let groups: Vec<&str> = (0..letters.len())
        .step_by(4)
        .map(|at| &letters[at..at + 4])
        .collect();
    groups.join("-")
}

/// A code as it is compared: however it was typed.
pub(crate) fn plain_code(code: &str) -> String {
    let typed = code.chars().filter(char::is_ascii_alphanumeric);
    typed.map(|c| c.to_ascii_uppercase()).collect()
}

/// The SHA-256 of a secret.
pub(crate) fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// A digest as text.
pub(crate) fn digest_text(text: &str) -> String {
    HEXLOWER.encode(&digest(text))
}

/// Reads what [`digest_text`] wrote; `None` where it did not.
pub(crate) fn read_digest(text: &str) -> Option<[u8; 32]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_have_their_form_and_are_never_the_same() {
        let token = token();
        assert_eq!(token.len(), TOKEN_PREFIX.len() + 64);
        assert_ne!(token, super::token());
        assert!(ingest_key().starts_with("ski_ingest_"));
        assert_eq!(read_digest(&digest_text("x")), Some(digest("x")));
        // The first 32 bits of SHA-256("abc"): FIPS 180-4, appendix.
        assert!(digest_text("abc").starts_with("ba7816bf"));
        let code = login_code();
        assert_eq!(code.len(), 19);
        assert_eq!(
            plain_code(&format!(" {} ", code.to_lowercase())),
            plain_code(&code)
        );
    }
}
