//! Secrets: 256 random bits as 64 hexadecimal digits, after a prefix by which a leaked secret is recognised. Only their
//! SHA-256 is stored: 256 random bits cannot be guessed, so a slow hash would not add protection.

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use sha2::{Digest, Sha256};
use skilift_core::control::ingest_key;

/// Prefix of every API token.
const TOKEN_PREFIX: &str = "ski_token_";
/// Random bytes of a login code: more than 60 bits, of which a few hundred guesses are possible while it is valid.
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

/// A unique id of a secret.
pub(crate) fn id(kind: char) -> String {
    let bits: [u8; 5] = rand::random();
    format!("{kind}{}", HEXLOWER.encode(&bits))
}

/// A new login code, in groups of four for easier typing.
pub(crate) fn login_code() -> String {
    let bits: [u8; CODE_BYTES] = rand::random();
    let letters = BASE32_NOPAD.encode(&bits);
    let groups: Vec<&str> = (0..letters.len())
        .step_by(4)
        .map(|at| &letters[at..at + 4])
        .collect();
    groups.join("-")
}

/// A code in normalised form for comparison.
pub(crate) fn plain_code(code: &str) -> String {
    let typed = code.chars().filter(char::is_ascii_alphanumeric);
    typed.map(|c| c.to_ascii_uppercase()).collect()
}

/// The SHA-256 digest of a secret.
pub(crate) fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// A digest as text.
pub(crate) fn digest_text(text: &str) -> String {
    HEXLOWER.encode(&digest(text))
}

/// Parses the output of [`digest_text`]; `None` for other text.
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
