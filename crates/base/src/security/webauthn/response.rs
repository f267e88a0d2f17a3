//! What a client answers with, in the forms that `PublicKeyCredential.toJSON` writes. Members that no check needs are
//! ignored.

use serde::Deserialize;

use super::authenticator_data;
use super::base64url;
use super::ceremony::CeremonyError;
use super::credential::{Credential, CredentialId};

/// The only `type` of credential there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Kind {
    #[serde(rename = "public-key")]
    PublicKey,
}

/// `RegistrationResponseJSON`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationResponse {
    pub(super) id: CredentialId,
    pub(super) raw_id: CredentialId,
    #[serde(rename = "type")]
    _kind: Kind,
    pub(super) response: Attestation,
    #[serde(default)]
    client_extension_results: Extensions,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Attestation {
    #[serde(rename = "clientDataJSON", with = "base64url")]
    pub(super) client_data: Vec<u8>,
    #[serde(rename = "attestationObject", with = "base64url")]
    pub(super) attestation_object: Vec<u8>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Extensions {
    #[serde(default)]
    cred_props: Option<CredProps>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct CredProps {
    #[serde(default)]
    rk: Option<bool>,
}

impl RegistrationResponse {
    /// What was registered by an answer that somebody else has checked and kept: accounts that move in bring such.
    /// Looks at its form alone; whoever registers a key asks [`super::RelyingParty::register`].
    ///
    /// # Errors
    /// [`CeremonyError`] if it cannot be read, or registers nothing.
    pub fn credential(&self) -> Result<Credential, CeremonyError> {
        let data = authenticator_data::of_attestation(&self.response.attestation_object)?;
        data.credential(self.discoverable())
    }

    pub(super) fn discoverable(&self) -> Option<bool> {
        self.client_extension_results.cred_props.as_ref()?.rk
    }
}

/// `AuthenticationResponseJSON`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticationResponse {
    pub(super) id: CredentialId,
    pub(super) raw_id: CredentialId,
    #[serde(rename = "type")]
    _kind: Kind,
    pub(super) response: AssertionParts,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct AssertionParts {
    #[serde(rename = "clientDataJSON", with = "base64url")]
    pub(super) client_data: Vec<u8>,
    #[serde(rename = "authenticatorData", with = "base64url")]
    pub(super) authenticator_data: Vec<u8>,
    #[serde(with = "base64url")]
    pub(super) signature: Vec<u8>,
    #[serde(rename = "userHandle", default, deserialize_with = "base64url::optional::deserialize")]
    pub(super) user_handle: Option<Vec<u8>>,
}

impl AuthenticationResponse {
    /// The credential that it claims to come from: look it up, and check the response against it.
    #[must_use]
    pub fn credential_id(&self) -> &CredentialId {
        &self.raw_id
    }
}
