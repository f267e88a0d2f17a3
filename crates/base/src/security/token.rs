//! Secrets that a client keeps: session tokens and the keys in links. 256 random bits, stored only as a digest.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::Digest as _;

use super::random::{self, NoEntropy};

/// SHA-256 of a token: what the database holds in its place.
pub type Digest = [u8; 32];

/// A secret of 256 random bits, written as 43 characters of base64url. Prints as dots.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// [`NoEntropy`] if the system's generator fails.
    pub fn generate() -> Result<Self, NoEntropy> {
        Ok(Self(BASE64_URL_SAFE_NO_PAD.encode(random::bytes::<32>()?)))
    }

    /// Takes what a client sent; `None` if it cannot be one of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut raw = [0; 32];
        let length = BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut raw).ok()?;
        (length == raw.len()).then(|| Self(text.to_owned()))
    }

    /// The text to hand to its owner, and to nobody else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What to store and to look up.
    #[must_use]
    pub fn digest(&self) -> Digest {
        digest(&self.0)
    }
}

/// What to store of a random text that only its owner knows.
#[must_use]
pub fn digest(text: &str) -> Digest {
    sha2::Sha256::digest(text.as_bytes()).into()
}

/// A name that nobody can guess or meet twice: 128 random bits in base64url. No secret.
///
/// # Errors
/// [`NoEntropy`] if the system's generator fails.
pub fn unique_id() -> Result<String, NoEntropy> {
    Ok(BASE64_URL_SAFE_NO_PAD.encode(random::bytes::<16>()?))
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn s1_a_token_has_256_random_bits_and_prints_as_dots() {
        let (one, two) = (Token::generate().unwrap(), Token::generate().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.expose().len(), 43);
        assert_eq!(Token::parse(one.expose()).unwrap().digest(), one.digest());
        assert!(!format!("{one:?}").contains(one.expose()));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in ".{0,80}") {
            if let Some(token) = Token::parse(&text) {
                prop_assert_eq!(token.expose(), text);
            }
        }
    }
}
