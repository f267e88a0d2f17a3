//! The vectors of Level 3, one broken step at a time, the JSON forms, and whatever else may come in.

mod forms;
mod properties;
mod vectors;

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::json;

use super::base64url::encode;
use super::{
    AuthenticationResponse, Ceremony, CeremonyError, Credential, CredentialId, RegistrationResponse,
    RelyingParty,
};
use crate::config::UserVerification;

const ORIGIN: &str = "https://example.org";

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Hex(Vec<u8>);

impl TryFrom<String> for Hex {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        hex::decode(text).map(Self)
    }
}

/// A case of `webauthn_l3.json`.
#[derive(Deserialize)]
struct Case {
    id: String,
    registration: Registration,
    authentication: Authentication,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Registration {
    challenge: Hex,
    #[serde(rename = "credential_id")]
    credential_id: Hex,
    #[serde(rename = "clientDataJSON")]
    client_data: Hex,
    attestation_object: Hex,
    #[serde(rename = "credential_public_key_cose")]
    key: Hex,
    flags: Flags,
    #[serde(rename = "sign_count")]
    sign_count: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authentication {
    challenge: Hex,
    authenticator_data: Hex,
    #[serde(rename = "clientDataJSON")]
    client_data: Hex,
    signature: Hex,
    flags: Flags,
    #[serde(rename = "sign_count")]
    sign_count: u32,
}

#[derive(Deserialize)]
struct Flags {
    uv: bool,
    be: bool,
    bs: bool,
}

static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct File {
        cases: Vec<Case>,
    }
    let file: File =
        serde_json::from_str(include_str!("../../../../tests/vectors/webauthn_l3.json")).unwrap();
    assert_eq!(file.cases.len(), 15);
    file.cases
});

fn case(id: &str) -> &'static Case {
    CASES.iter().find(|case| case.id == id).unwrap()
}

fn rp() -> RelyingParty {
    RelyingParty::new("example.org", "Example", vec![ORIGIN.to_owned()])
}

fn ceremony(challenge: &Hex, user_verification: UserVerification) -> Ceremony {
    let challenge = serde_json::from_value(json!(encode(&challenge.0))).unwrap();
    Ceremony { challenge, user_verification }
}

impl Registration {
    fn response(&self) -> RegistrationResponse {
        registration(&self.credential_id.0, &self.client_data.0, &self.attestation_object.0)
    }

    fn judge(&self, verification: UserVerification) -> Result<Credential, CeremonyError> {
        rp().register(&ceremony(&self.challenge, verification), &self.response())
    }
}

fn registration(id: &[u8], client_data: &[u8], object: &[u8]) -> RegistrationResponse {
    serde_json::from_value(json!({
        "id": encode(id), "rawId": encode(id), "type": "public-key", "clientExtensionResults": {},
        "response": { "clientDataJSON": encode(client_data), "attestationObject": encode(object) },
    }))
    .unwrap()
}

fn authentication(id: &[u8], client_data: &[u8], data: &[u8], signature: &[u8]) -> AuthenticationResponse {
    serde_json::from_value(json!({
        "id": encode(id), "rawId": encode(id), "type": "public-key", "clientExtensionResults": {},
        "response": {
            "clientDataJSON": encode(client_data), "authenticatorData": encode(data), "signature": encode(signature),
        },
    }))
    .unwrap()
}

fn id(bytes: &[u8]) -> CredentialId {
    CredentialId::new(bytes.to_vec()).unwrap()
}
