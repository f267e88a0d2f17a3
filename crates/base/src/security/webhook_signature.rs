//! Signatures of what we post to services of the operator, by the [Standard Webhooks](https://www.standardwebhooks.com)
//! scheme: HMAC-SHA-256 over `id.timestamp.body`, so that a receiver can use any of its libraries.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::Millis;
use super::clock::SECOND;

const PREFIX: &str = "whsec_";
/// Bytes of a key, as the scheme asks for.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// A key that a receiver shares with us.
#[derive(Clone)]
pub struct WebhookKey(Vec<u8>);

/// Why a text is no key. Does not quote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected whsec_ and 24 to 64 random bytes in base64; make one with: echo whsec_$(openssl rand -base64 32)"
)]
pub struct NoWebhookKey;

impl WebhookKey {
    /// Reads `whsec_` and base64.
    ///
    /// # Errors
    /// [`NoWebhookKey`].
    pub fn parse(text: &str) -> Result<Self, NoWebhookKey> {
        let encoded = text.strip_prefix(PREFIX).ok_or(NoWebhookKey)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| NoWebhookKey)?;
        if LENGTHS.contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(NoWebhookKey) }
    }

    fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        // HMAC takes keys of any length.
        let mac = Hmac::<Sha256>::new_from_slice(&self.0)
            .map(|mac| mac.chain_update(format!("{id}.{timestamp}.{body}")).finalize().into_bytes());
        format!("v1,{}", STANDARD.encode(mac.unwrap_or_default()))
    }
}

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookKey(..)")
    }
}

/// The headers that go with a post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHeaders {
    /// `webhook-id`: the same in every attempt to deliver one message.
    pub id: String,
    /// `webhook-timestamp`: of this attempt, in seconds since 1970.
    pub timestamp: String,
    /// `webhook-signature`: one for each key, so that a receiver can change its key without a break.
    pub signature: String,
}

impl SignedHeaders {
    /// Signs `body` with each of `keys`.
    #[must_use]
    pub fn new(keys: &[WebhookKey], id: &str, now: Millis, body: &str) -> Self {
        let timestamp = now / SECOND;
        let signatures: Vec<_> = keys.iter().map(|key| key.sign(id, timestamp, body)).collect();
        Self { id: id.to_owned(), timestamp: timestamp.to_string(), signature: signatures.join(" ") }
    }

    /// As pairs of name and value.
    #[must_use]
    pub fn pairs(&self) -> [(&'static str, &str); 3] {
        [
            ("webhook-id", &self.id),
            ("webhook-timestamp", &self.timestamp),
            ("webhook-signature", &self.signature),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn signs_as_the_reference_libraries_do() {
        let keys = [WebhookKey::parse(KEY).unwrap()];
        let headers = SignedHeaders::new(
            &keys,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330_999,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(headers.timestamp, "1614265330");
        assert_eq!(headers.signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn every_key_signs_while_a_receiver_changes_its_own() {
        let keys = [WebhookKey::parse(KEY).unwrap(), WebhookKey(vec![7; 24])];
        let headers = SignedHeaders::new(&keys, "1", 0, "{}");
        let signatures: Vec<_> = headers.signature.split(' ').collect();
        assert_eq!(signatures.len(), 2);
        assert_eq!(signatures[0], keys[0].sign("1", 0, "{}"));
        assert_eq!(signatures[1], keys[1].sign("1", 0, "{}"));
    }

    #[test]
    fn what_is_no_key_is_refused_and_no_key_prints() {
        for text in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_c2hvcnQ=", "whsec_%%%"] {
            assert!(WebhookKey::parse(text).is_err(), "{text}");
        }
        assert!(!format!("{:?}", WebhookKey::parse(KEY).unwrap()).contains("MfKQ"));
    }
}
