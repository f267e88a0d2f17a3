//! Values that are another in every login, which cases write as `$name`.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::case::Registration;
use crate::keys::is_apple_client_secret;
use crate::mend::LONG_NUMBER;

/// What is known of a login that is being played, to judge such values by.
#[derive(Debug)]
pub(crate) struct Known<'a> {
    /// `$state`.
    pub(crate) state: &'a str,
    /// What the authorization request bore, to which `$code_verifier` must fit.
    pub(crate) code_challenge: Option<String>,
    /// The app, in whose name client secrets are signed.
    pub(crate) app: &'a Registration,
    /// The present second.
    pub(crate) now: i64,
}

impl Known<'_> {
    /// Whether a value is the expected one.
    pub(crate) fn fits(&self, expected: &str, got: &str) -> bool {
        match expected {
            "$code_challenge" => BASE64_URL_SAFE_NO_PAD.decode(got).is_ok_and(|hash| hash.len() == 32),
            "$code_verifier" => self.verifies(got),
            "$oauth_nonce" => got.len() >= 8,
            "$oauth_timestamp" => got.parse() == Ok(self.now),
            // Computed anew where the whole request is at hand.
            "$oauth_signature" => !got.is_empty(),
            "$apple_client_secret" => is_apple_client_secret(got, self.app, self.now),
            "$random_uuid" => is_uuid(got),
            _ => {
                let expected = expected.replace("$state", self.state);
                expected.strip_prefix(LONG_NUMBER).unwrap_or(&expected) == got
            }
        }
    }

    /// Whether it is the verifier (RFC 7636) of the challenge that was sent.
    pub(crate) fn verifies(&self, verifier: &str) -> bool {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        (43..=128).contains(&verifier.len()) && self.code_challenge.as_ref() == Some(&challenge)
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(at, sign)| match at {
            8 | 13 | 18 | 23 => sign == '-',
            _ => sign.is_ascii_hexdigit(),
        })
}
