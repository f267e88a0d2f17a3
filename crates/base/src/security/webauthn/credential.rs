//! What is kept of a credential.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::base64url;
use super::public_key::PublicKey;

/// Names a credential: 1 to 1023 bytes, chosen by the authenticator. In JSON base64url.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CredentialId(Vec<u8>);

impl CredentialId {
    /// Longest one that Level 3 allows, in bytes.
    pub const MAX_LENGTH: usize = 1023;

    /// Takes the raw bytes; `None` if they are none or too many.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        (1..=Self::MAX_LENGTH).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// The raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for CredentialId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        base64url::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for CredentialId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(base64url::deserialize(deserializer)?)
            .ok_or_else(|| D::Error::custom("not 1 to 1023 bytes"))
    }
}

/// A registered credential: the members of Level 3's credential record that its checks need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Its name. Of the whole server, no two may be equal.
    pub id: CredentialId,
    /// The key that its signatures are checked with.
    pub public_key: PublicKey,
    /// What its counter last said; 0 if it does not count.
    pub sign_count: u32,
    /// Whether it may be copied to other devices. Never changes.
    pub backup_eligible: bool,
    /// Whether it was copied, when last seen.
    pub backed_up: bool,
    /// Whether the person was verified (fingerprint, PIN) at its registration.
    pub user_verified: bool,
    /// Whether it can be found without its id (`credProps.rk`), as far as the client said.
    pub discoverable: Option<bool>,
    /// What it knows its owner by, if that is not what keys of this account are told: it was set up elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "base64url::optional")]
    pub user_handle: Option<Vec<u8>>,
}
