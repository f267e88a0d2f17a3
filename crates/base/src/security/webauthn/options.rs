//! What a client is asked for, in the forms that `parseCreationOptionsFromJSON` and `parseRequestOptionsFromJSON` read.

use serde::Serialize;

use super::ceremony::Challenge;
use super::credential::CredentialId;
use super::public_key::Algorithm;
use crate::config::UserVerification;

/// For whom a credential is to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserEntity {
    /// The user handle: comes back with every passkey login. 1 to 64 bytes; in JSON base64url.
    #[serde(with = "super::base64url")]
    pub id: Vec<u8>,
    /// What the account is called where a person chooses among several, such as its email address.
    pub name: String,
    /// What the person is called.
    pub display_name: String,
}

/// Asks for a new credential: `{"publicKey": PublicKeyCredentialCreationOptionsJSON}`.
#[derive(Clone, Debug, Serialize)]
pub struct CreationOptions {
    #[serde(rename = "publicKey")]
    public_key: Creation,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Creation {
    rp: Rp,
    user: UserEntity,
    challenge: Challenge,
    pub_key_cred_params: Vec<Parameters>,
    exclude_credentials: Vec<Descriptor>,
    authenticator_selection: Selection,
    attestation: &'static str,
    extensions: Extensions,
}

#[derive(Clone, Debug, Serialize)]
struct Rp {
    id: String,
    name: String,
}

#[derive(Clone, Debug, Serialize)]
struct Parameters {
    r#type: &'static str,
    alg: i64,
}

#[derive(Clone, Debug, Serialize)]
struct Descriptor {
    r#type: &'static str,
    id: CredentialId,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Selection {
    resident_key: &'static str,
    /// The same for clients of Level 1.
    require_resident_key: bool,
    user_verification: UserVerification,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Extensions {
    cred_props: bool,
}

impl CreationOptions {
    pub(super) fn new(
        (rp_id, rp_name): (&str, &str),
        user: UserEntity,
        challenge: Challenge,
        exclude: &[CredentialId],
        discoverable: bool,
        user_verification: UserVerification,
    ) -> Self {
        let params =
            Algorithm::OFFERED.map(|offered| Parameters { r#type: PUBLIC_KEY, alg: offered.number() });
        Self {
            public_key: Creation {
                rp: Rp { id: rp_id.to_owned(), name: rp_name.to_owned() },
                user,
                challenge,
                pub_key_cred_params: params.to_vec(),
                exclude_credentials: descriptors(exclude),
                authenticator_selection: Selection {
                    resident_key: if discoverable { "required" } else { "discouraged" },
                    require_resident_key: discoverable,
                    user_verification,
                },
                attestation: "none",
                extensions: Extensions { cred_props: true },
            },
        }
    }
}

/// Asks for an assertion: `{"publicKey": PublicKeyCredentialRequestOptionsJSON}`.
#[derive(Clone, Debug, Serialize)]
pub struct RequestOptions {
    #[serde(rename = "publicKey")]
    public_key: Request,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    challenge: Challenge,
    rp_id: String,
    allow_credentials: Vec<Descriptor>,
    user_verification: UserVerification,
}

impl RequestOptions {
    pub(super) fn new(
        rp_id: &str,
        challenge: Challenge,
        allow: &[CredentialId],
        user_verification: UserVerification,
    ) -> Self {
        let allow_credentials = descriptors(allow);
        Self {
            public_key: Request { challenge, rp_id: rp_id.to_owned(), allow_credentials, user_verification },
        }
    }
}

const PUBLIC_KEY: &str = "public-key";

fn descriptors(ids: &[CredentialId]) -> Vec<Descriptor> {
    ids.iter().map(|id| Descriptor { r#type: PUBLIC_KEY, id: id.clone() }).collect()
}
