//! Passwords: how they come in, how they are stored and verified, which are too weak.
//!
//! [`Password`] is what somebody typed, [`PasswordHash`] what the database keeps. Only [`HashPool`] turns the one into
//! the other, so that no request can hash on a thread that others need.

mod breach;
mod common;
mod formats;
mod hasher;
mod params;
mod pool;
mod validators;

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

pub use breach::{Prefix, Suffix, appears, range_of};
pub use formats::{BadHash, check, needs_rehash, usable};
pub use params::{Argon2Params, BadParams};
pub use pool::{HashError, HashPool, PoolError};
pub use validators::{
    Attribute, DEFAULT_MAX_SIMILARITY, DEFAULT_MIN_LENGTH, MIN_LENGTH_WITHOUT_VALIDATORS, Validator,
    Weakness, validate,
};

/// The longest password that is looked at, in bytes. It bounds what one request can make the hashers read.
pub const MAX_PASSWORD_BYTES: usize = 4096;

/// A password as somebody typed it: nothing trimmed, cut or normalised. Prints as dots, wiped when dropped.
#[derive(Clone)]
pub struct Password(SecretString);

impl Password {
    /// Takes what a client sent. The empty password is a password here; whether a field may be blank is the form's rule.
    ///
    /// # Errors
    /// [`PasswordError`] for more than [`MAX_PASSWORD_BYTES`] bytes, or for a NUL character.
    pub fn parse(typed: &str) -> Result<Self, PasswordError> {
        if typed.len() > MAX_PASSWORD_BYTES {
            return Err(PasswordError::TooLong);
        }
        // bcrypt ends a password at its first NUL: all that follows would not count.
        if typed.contains('\0') {
            return Err(PasswordError::Nul);
        }
        Ok(Self(typed.into()))
    }

    /// The password itself, for the validators.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Why a text cannot be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// More than [`MAX_PASSWORD_BYTES`] bytes.
    #[error("a password has at most 4096 bytes")]
    TooLong,
    /// A NUL character in it.
    #[error("a password has no NUL characters")]
    Nul,
}

/// A stored hash, in whatever format it was stored. Prints as dots.
#[derive(Clone)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes what the database or an import holds. Nothing is checked: a text that is no hash never verifies.
    #[must_use]
    pub const fn from_stored(stored: String) -> Self {
        Self(stored)
    }

    /// What to store.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p4_a_password_is_taken_as_it_is_up_to_4096_bytes() {
        for typed in ["", " a ", "cafe\u{301}", "\u{1f511}\t\n", &"p".repeat(4096)] {
            assert_eq!(Password::parse(typed).unwrap().expose(), typed);
        }
        assert_eq!(Password::parse(&"p".repeat(4097)).unwrap_err(), PasswordError::TooLong);
        assert_eq!(Password::parse(&"é".repeat(2049)).unwrap_err(), PasswordError::TooLong);
        assert_eq!(Password::parse("pass\0word").unwrap_err(), PasswordError::Nul);
    }

    #[test]
    fn x3_neither_a_password_nor_its_hash_prints() {
        let password = Password::parse("hunter2").unwrap();
        let hash = PasswordHash::from_stored("md5$hunter2$00".to_owned());
        assert_eq!(format!("{password:?} {hash:?}"), "Password(…) PasswordHash(…)");
    }
}
