//! What is kept of authenticators: in which form, and how it is sealed. Needs no server.
//!
//! Of TOTP the bytes of its secret, of recovery codes a [`Set`], of a key its
//! [`Credential`](vestibule_base::security::webauthn::Credential), the last two as JSON.

use std::fmt;

use serde::{Deserialize, Serialize};
use vestibule_base::config::AuthenticatorType as Kind;
use vestibule_base::security::{Keyring, NoEntropy, Purpose};

use crate::refusal::Fault;

/// A set of recovery codes: they must be shown again, so that no hash would do. Prints as dots.
#[derive(Serialize, Deserialize)]
pub struct Set {
    /// The codes, in the order in which they are shown.
    pub codes: Vec<Line>,
    /// Whether somebody has seen them.
    pub seen: bool,
}

/// A code of a set.
#[derive(Serialize, Deserialize)]
pub struct Line {
    /// The code, in the form of [`Code::expose`](vestibule_base::security::Code::expose).
    pub code: String,
    /// Whether it was used.
    pub used: bool,
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Set(…)")
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line(…)")
    }
}

/// What keys of a user are told to know their owner by.
#[must_use]
pub fn handle(user_id: i64) -> Vec<u8> {
    user_id.to_string().into_bytes()
}

/// Encrypts what an authenticator knows, for this user and kind alone (X1).
///
/// # Errors
/// [`NoEntropy`].
pub fn seal(keyring: &Keyring, user_id: i64, kind: Kind, plain: &[u8]) -> Result<Vec<u8>, NoEntropy> {
    keyring.seal(Purpose::Authenticator, &owner(user_id, kind), plain)
}

/// Decrypts it.
///
/// # Errors
/// [`Fault::Broken`] if no secret key, present or former, opens it.
pub fn open(keyring: &Keyring, user_id: i64, kind: Kind, sealed: &[u8]) -> Result<Vec<u8>, Fault> {
    let opened = keyring.open(Purpose::Authenticator, &owner(user_id, kind), sealed);
    opened.ok_or_else(|| {
        Fault::Broken(format!(
            "no secret key opens the {} of user {user_id}; is a former key missing from server.secret_key_fallbacks?",
            kind.name()
        ))
    })
}

fn owner(user_id: i64, kind: Kind) -> Vec<u8> {
    format!("{user_id}:{}", kind.name()).into_bytes()
}
