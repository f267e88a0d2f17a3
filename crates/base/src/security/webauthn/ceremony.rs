//! The relying party, and the steps of both ceremonies.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::authenticator_data::{self, AuthenticatorData};
use super::base64url;
use super::client_data;
use super::credential::{Credential, CredentialId};
use super::options::{CreationOptions, RequestOptions, UserEntity};
use super::public_key::KeyError;
use super::response::{AuthenticationResponse, RegistrationResponse};
use crate::config::UserVerification;
use crate::security::{NoEntropy, random, same};

/// Why a response is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CeremonyError {
    /// A part of the response, which is named, cannot be read.
    #[error("{0} cannot be read")]
    Malformed(&'static str),
    /// The response is of the other ceremony.
    #[error("a response of another ceremony")]
    Type,
    /// It answers another challenge.
    #[error("an answer to another challenge")]
    Challenge,
    /// It was made on a page that is not ours.
    #[error("a page of an origin that is not listed")]
    Origin,
    /// It was made in a frame of somebody else's page.
    #[error("a frame in a page of another origin")]
    CrossOrigin,
    /// The authenticator made it for another relying party.
    #[error("made for another relying party")]
    RpId,
    /// Nobody touched the authenticator.
    #[error("the user was not present")]
    UserNotPresent,
    /// The person was not verified, and had to be.
    #[error("the user was not verified")]
    UserNotVerified,
    /// Its flags on backup contradict each other, or what was registered.
    #[error("contradictory flags on backup")]
    Backup,
    /// A registration that registers nothing.
    #[error("no credential in the response")]
    NoCredential,
    /// Ids that differ, belong to another credential, or are of a length that none may have.
    #[error("the id is not that of the credential")]
    CredentialId,
    /// The new credential's key is not taken.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The user handle is that of somebody else, or missing where it has to be there.
    #[error("the user handle is not the owner's")]
    UserHandle,
    /// The credential did not sign this.
    #[error("not signed by the credential")]
    Signature,
    /// The counter did not go up, though the signature is right: the credential may have been cloned. Worth recording.
    #[error("the counter says {given} after {stored}")]
    SignCount {
        /// What it said last time.
        stored: u32,
        /// What it says now.
        given: u32,
    },
}

/// 256 random bits that a response has to answer. In JSON base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge([u8; 32]);

impl Challenge {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for Challenge {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        base64url::serialize(self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Challenge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = base64url::deserialize(deserializer)?;
        bytes.try_into().map(Self).map_err(|_| serde::de::Error::custom("not 32 bytes"))
    }
}

/// What to remember between the question and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ceremony {
    pub(super) challenge: Challenge,
    pub(super) user_verification: UserVerification,
}

impl Ceremony {
    /// Begins one, with a new challenge.
    ///
    /// # Errors
    /// [`NoEntropy`] if the system's generator fails.
    pub fn begin(user_verification: UserVerification) -> Result<Self, NoEntropy> {
        Ok(Self { challenge: Challenge(random::bytes()?), user_verification })
    }
}

/// Whose a credential has to be: the user handle of the account that it is stored with.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'a> {
    /// The account was known before the ceremony, as with a second factor. The response may leave the handle out.
    Known(&'a [u8]),
    /// The account was found by the credential's id alone, as at a passkey login. The response has to name it too.
    Found(&'a [u8]),
}

/// What an assertion says. It replaces what is stored with the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// The new value of [`Credential::sign_count`].
    pub sign_count: u32,
    /// The new value of [`Credential::backed_up`].
    pub backed_up: bool,
    /// Whether the person was verified (fingerprint, PIN), asked for or not.
    pub user_verified: bool,
}

/// The site that credentials belong to.
#[derive(Clone, Debug)]
pub struct RelyingParty {
    id: String,
    name: String,
    origins: Vec<String>,
}

impl RelyingParty {
    /// `id` is a domain, as `example.org`; `name` is what people are shown. `origins` are all that pages and apps may
    /// name, each exactly as it will be sent: `https://example.org`, `https://app.example.org:8443`,
    /// `android:apk-key-hash:…`.
    #[must_use]
    pub fn new(id: &str, name: &str, origins: Vec<String>) -> Self {
        Self { id: id.to_owned(), name: name.to_owned(), origins }
    }

    /// Asks for a new credential of `user`; not on an authenticator that holds one of `exclude`. `discoverable`: one
    /// that can log in without the account being named first.
    #[must_use]
    pub fn creation_options(
        &self,
        ceremony: &Ceremony,
        user: UserEntity,
        discoverable: bool,
        exclude: &[CredentialId],
    ) -> CreationOptions {
        let Ceremony { challenge, user_verification } = *ceremony;
        CreationOptions::new(
            (&self.id, &self.name),
            user,
            challenge,
            exclude,
            discoverable,
            user_verification,
        )
    }

    /// Asks for an assertion by one of `allow`; if that is empty, by any discoverable credential.
    #[must_use]
    pub fn request_options(&self, ceremony: &Ceremony, allow: &[CredentialId]) -> RequestOptions {
        RequestOptions::new(&self.id, ceremony.challenge, allow, ceremony.user_verification)
    }

    /// Judges the answer to [`creation_options`](Self::creation_options), by the steps of Level 3, 7.1. Left to do: refuse
    /// an id that is registered already, to anybody.
    ///
    /// # Errors
    /// [`CeremonyError`].
    pub fn register(
        &self,
        ceremony: &Ceremony,
        response: &RegistrationResponse,
    ) -> Result<Credential, CeremonyError> {
        if response.id != response.raw_id {
            return Err(CeremonyError::CredentialId);
        }
        let parts = &response.response;
        client_data::check(&parts.client_data, client_data::CREATE, &ceremony.challenge, &self.origins)?;
        let data = authenticator_data::of_attestation(&parts.attestation_object)?;
        data.check(&self.id, ceremony.user_verification)?;
        let credential = data.credential(response.discoverable())?;
        if credential.id != response.raw_id {
            return Err(CeremonyError::CredentialId);
        }
        Ok(credential)
    }

    /// Judges the answer to [`request_options`](Self::request_options), by the steps of Level 3, 7.2. `credential` is the
    /// one that [`AuthenticationResponse::credential_id`] names, and `owner` the account that it is stored with; where
    /// the options allowed only some credentials, it has to be one of them.
    ///
    /// # Errors
    /// [`CeremonyError`].
    pub fn authenticate(
        &self,
        ceremony: &Ceremony,
        response: &AuthenticationResponse,
        credential: &Credential,
        owner: Owner<'_>,
    ) -> Result<Assertion, CeremonyError> {
        if response.id != response.raw_id || response.raw_id != credential.id {
            return Err(CeremonyError::CredentialId);
        }
        let parts = &response.response;
        let of_owner = match (owner, &parts.user_handle) {
            (Owner::Known(_), None) => true,
            (Owner::Found(_), None) => false,
            (Owner::Known(handle) | Owner::Found(handle), Some(given)) => same(handle, given),
        };
        if !of_owner {
            return Err(CeremonyError::UserHandle);
        }
        client_data::check(&parts.client_data, client_data::GET, &ceremony.challenge, &self.origins)?;
        let data = AuthenticatorData::parse(&parts.authenticator_data)?;
        data.check(&self.id, ceremony.user_verification)?;
        if data.backup_eligible() != credential.backup_eligible {
            return Err(CeremonyError::Backup);
        }
        let signed = [parts.authenticator_data.as_slice(), &Sha256::digest(&parts.client_data)].concat();
        if !credential.public_key.has_signed(&signed, &parts.signature) {
            return Err(CeremonyError::Signature);
        }
        // Two zeros are an authenticator that does not count, as those of synced passkeys.
        let (stored, given) = (credential.sign_count, data.sign_count);
        if (stored, given) != (0, 0) && given <= stored {
            return Err(CeremonyError::SignCount { stored, given });
        }
        let (backed_up, user_verified) = (data.backed_up(), data.user_verified());
        Ok(Assertion { sign_count: given, backed_up, user_verified })
    }
}
