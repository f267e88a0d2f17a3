//! Random, hashing, signing, encryption at rest, and the clock. Knows nothing of accounts.

pub mod clock;
pub mod code;
pub mod jwt;
pub mod keyring;
pub mod password;
pub mod random;
pub mod rfc_3339;
pub mod token;
pub mod webauthn;
pub mod webhook_signature;

pub use clock::{Clock, Millis, SystemClock, TestClock};
pub use code::Code;
pub use jwt::SigningKeys;
pub use keyring::{Keyring, Purpose};
pub use random::NoEntropy;
pub use token::{Digest, Token};
pub use webhook_signature::{NoWebhookKey, SignedHeaders, WebhookKey};

use subtle::ConstantTimeEq;

/// Compares two byte strings in time that depends on their lengths only.
#[must_use]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
