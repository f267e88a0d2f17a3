//! What is derived from the secret key: keyed hashes, and encryption at rest (XChaCha20-Poly1305).
//!
//! Each purpose has a key of its own. Former secret keys still verify and open, so that the key can be changed
//! without logging anybody out; new values are always made with the present one.

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::random::{self, NoEntropy};
use super::token::Digest;

const NONCE: usize = 24;

/// What a derived key is for. A value made for one purpose is worthless for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Codes that await their owner.
    Code,
    /// The tie between a session and the password that it was opened under.
    SessionPassword,
    /// Messages waiting to be sent.
    Outbox,
    /// Signatures of outgoing webhooks.
    Webhook,
    /// Refresh tokens kept for an honest retry.
    RefreshToken,
    /// What authenticators know: TOTP secrets, recovery codes.
    Authenticator,
    /// The tie between a trusted browser and the credentials that it was trusted under.
    Trust,
    /// What a login at a provider must remember until its second half.
    ProviderFlow,
    /// Tokens of providers.
    ProviderToken,
    /// By what a database knows the key that it was used with.
    KeyMark,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Code => b"vestibule/code/1",
            Self::SessionPassword => b"vestibule/session-password/1",
            Self::Outbox => b"vestibule/outbox/1",
            Self::Webhook => b"vestibule/webhook/1",
            Self::RefreshToken => b"vestibule/refresh-token/1",
            Self::Authenticator => b"vestibule/authenticator/1",
            Self::Trust => b"vestibule/trust/1",
            Self::ProviderFlow => b"vestibule/provider-flow/1",
            Self::ProviderToken => b"vestibule/provider-token/1",
            Self::KeyMark => b"vestibule/key-mark/1",
        }
    }
}

/// The secret key and the former ones.
#[derive(Clone)]
pub struct Keyring {
    present: Keys,
    former: Vec<Keys>,
}

/// What is derived from one secret key: a key for each purpose.
#[derive(Clone)]
struct Keys([Digest; PURPOSES.len()]);

const PURPOSES: [Purpose; 10] = [
    Purpose::Code,
    Purpose::SessionPassword,
    Purpose::Outbox,
    Purpose::Webhook,
    Purpose::RefreshToken,
    Purpose::Authenticator,
    Purpose::Trust,
    Purpose::ProviderFlow,
    Purpose::ProviderToken,
    Purpose::KeyMark,
];

impl Keys {
    fn derive(secret: &str) -> Self {
        let root = hash(b"vestibule/root/1", secret.as_bytes());
        Self(PURPOSES.map(|purpose| hash(&root, purpose.label())))
    }

    fn of(&self, purpose: Purpose) -> &Digest {
        let [
            code,
            session_password,
            outbox,
            webhook,
            refresh_token,
            authenticator,
            trust,
            provider_flow,
            provider_token,
            key_mark,
        ] = &self.0;
        match purpose {
            Purpose::Code => code,
            Purpose::SessionPassword => session_password,
            Purpose::Outbox => outbox,
            Purpose::Webhook => webhook,
            Purpose::RefreshToken => refresh_token,
            Purpose::Authenticator => authenticator,
            Purpose::Trust => trust,
            Purpose::ProviderFlow => provider_flow,
            Purpose::ProviderToken => provider_token,
            Purpose::KeyMark => key_mark,
        }
    }
}

impl Keyring {
    /// Takes `secret_key` and `secret_key_fallbacks` (newest first).
    #[must_use]
    pub fn new(secret_key: &str, fallbacks: &[&str]) -> Self {
        Self {
            present: Keys::derive(secret_key),
            former: fallbacks.iter().map(|secret| Keys::derive(secret)).collect(),
        }
    }

    /// HMAC-SHA-256 of `data` under the present key.
    #[must_use]
    pub fn mac(&self, purpose: Purpose, data: &[u8]) -> Digest {
        hash(self.present.of(purpose), data)
    }

    /// The same under the present key and each former one.
    #[must_use]
    pub fn macs(&self, purpose: Purpose, data: &[u8]) -> Vec<Digest> {
        let roots = std::iter::once(&self.present).chain(&self.former);
        roots.map(|keys| hash(keys.of(purpose), data)).collect()
    }

    /// Whether `mac` was made of `data` with the present key or a former one. Constant time.
    #[must_use]
    pub fn verify(&self, purpose: Purpose, data: &[u8], mac: &[u8]) -> bool {
        std::iter::once(&self.present)
            .chain(&self.former)
            .any(|keys| super::same(&hash(keys.of(purpose), data), mac))
    }

    /// Encrypts `plain`, bound to `owner`: it opens only with the same owner named.
    ///
    /// # Errors
    /// [`NoEntropy`] if there is no nonce to be had.
    pub fn seal(&self, purpose: Purpose, owner: &[u8], plain: &[u8]) -> Result<Vec<u8>, NoEntropy> {
        let nonce = random::bytes::<NONCE>()?;
        let cipher = XChaCha20Poly1305::new(&Key::from(*self.present.of(purpose)));
        let sealed = cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: owner })
            .map_err(|_| NoEntropy)?; // fails only for messages of hundreds of gigabytes
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Decrypts what [`Keyring::seal`] made; `None` if it was altered, is another owner's or of an unknown key.
    #[must_use]
    pub fn open(&self, purpose: Purpose, owner: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, message) = sealed.split_first_chunk::<NONCE>()?;
        std::iter::once(&self.present).chain(&self.former).find_map(|keys| {
            let cipher = XChaCha20Poly1305::new(&Key::from(*keys.of(purpose)));
            cipher.decrypt(&XNonce::from(*nonce), Payload { msg: message, aad: owner }).ok()
        })
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(…)")
    }
}

fn hash(key: &[u8], data: &[u8]) -> Digest {
    // HMAC takes keys of any length: the error type exists for other algorithms only.
    <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key)
        .map(|mac| mac.chain_update(data).finalize().into_bytes().into())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "the former secret key, long enough for anybody";
    const NEW: &str = "the present secret key, long enough for anybody";

    #[test]
    fn x1_former_keys_verify_and_open_and_new_values_use_the_present_one() {
        let (before, after) = (Keyring::new(OLD, &[]), Keyring::new(NEW, &[OLD]));
        let mac = before.mac(Purpose::Code, b"code");
        assert!(after.verify(Purpose::Code, b"code", &mac));
        assert!(!Keyring::new(NEW, &[]).verify(Purpose::Code, b"code", &mac));
        assert_ne!(after.mac(Purpose::Code, b"code"), mac);
        let sealed = before.seal(Purpose::Outbox, b"1", b"mail").unwrap();
        assert_eq!(after.open(Purpose::Outbox, b"1", &sealed).unwrap(), b"mail");
        let sealed = after.seal(Purpose::Outbox, b"1", b"mail").unwrap();
        assert_eq!(before.open(Purpose::Outbox, b"1", &sealed), None);
    }

    #[test]
    fn x1_sealed_values_are_bound_to_purpose_and_owner() {
        let keyring = Keyring::new(NEW, &[]);
        let mut sealed = keyring.seal(Purpose::Outbox, b"1", b"mail").unwrap();
        assert_eq!(keyring.open(Purpose::Outbox, b"2", &sealed), None);
        assert_eq!(keyring.open(Purpose::Code, b"1", &sealed), None);
        assert_eq!(keyring.open(Purpose::Outbox, b"1", b"short"), None);
        sealed[30] ^= 1;
        assert_eq!(keyring.open(Purpose::Outbox, b"1", &sealed), None);
        assert_ne!(keyring.mac(Purpose::Code, b"x"), keyring.mac(Purpose::SessionPassword, b"x"));
    }
}
