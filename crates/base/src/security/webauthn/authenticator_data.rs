//! What the authenticator says (`authenticatorData`): 37 bytes, then a new credential, then extensions.

use coset::cbor::Value;
use coset::cbor::de::from_reader_with_recursion_limit;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::ceremony::CeremonyError;
use super::credential::{Credential, CredentialId};
use super::public_key::PublicKey;
use crate::config::UserVerification;

/// How deep CBOR may be nested. CTAP allows four levels; chains of certificates and compound statements need some more.
const DEPTH: usize = 16;

const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const BACKUP_ELIGIBLE: u8 = 1 << 3;
const BACKED_UP: u8 = 1 << 4;
const NEW_CREDENTIAL: u8 = 1 << 6;
const EXTENSIONS: u8 = 1 << 7;

pub(super) struct AuthenticatorData {
    rp_id_hash: [u8; 32],
    flags: u8,
    pub(super) sign_count: u32,
    /// What was registered, if anything.
    created: Option<(CredentialId, PublicKey)>,
}

impl AuthenticatorData {
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self, CeremonyError> {
        if bytes.len() > LONGEST {
            return Err(MALFORMED);
        }
        let rest = &mut bytes;
        let rp_id_hash = take(rest)?;
        let [flags] = take(rest)?;
        let sign_count = u32::from_be_bytes(take(rest)?);
        let created = if flags & NEW_CREDENTIAL == 0 { None } else { Some(created(rest)?) };
        if flags & EXTENSIONS != 0 && !matches!(next_item(rest), Some(Value::Map(_))) {
            return Err(MALFORMED);
        }
        if !rest.is_empty() {
            return Err(MALFORMED);
        }
        Ok(Self { rp_id_hash, flags, sign_count, created })
    }

    /// What Level 3 demands of authenticator data, in 7.1 and 7.2 alike.
    pub(super) fn check(&self, rp_id: &str, verification: UserVerification) -> Result<(), CeremonyError> {
        if self.rp_id_hash != *Sha256::digest(rp_id) {
            return Err(CeremonyError::RpId);
        }
        if self.flags & USER_PRESENT == 0 {
            return Err(CeremonyError::UserNotPresent);
        }
        if verification == UserVerification::Required && !self.user_verified() {
            return Err(CeremonyError::UserNotVerified);
        }
        if self.backed_up() && !self.backup_eligible() {
            return Err(CeremonyError::Backup);
        }
        Ok(())
    }

    /// What was registered. The key is of an offered algorithm, and the id not too long, or they would not have been read.
    pub(super) fn credential(self, discoverable: Option<bool>) -> Result<Credential, CeremonyError> {
        let (user_verified, backup_eligible) = (self.user_verified(), self.backup_eligible());
        let (backed_up, sign_count) = (self.backed_up(), self.sign_count);
        let (id, public_key) = self.created.ok_or(CeremonyError::NoCredential)?;
        Ok(Credential {
            id,
            public_key,
            sign_count,
            backup_eligible,
            backed_up,
            user_verified,
            discoverable,
            user_handle: None,
        })
    }

    pub(super) fn user_verified(&self) -> bool {
        self.flags & USER_VERIFIED != 0
    }

    pub(super) fn backup_eligible(&self) -> bool {
        self.flags & BACKUP_ELIGIBLE != 0
    }

    pub(super) fn backed_up(&self) -> bool {
        self.flags & BACKED_UP != 0
    }
}

/// The `authData` of an attestation object. Its statement has to be there and is not looked at.
pub(super) fn of_attestation(mut object: &[u8]) -> Result<AuthenticatorData, CeremonyError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Attestation {
        #[serde(rename = "fmt")]
        _format: String,
        att_stmt: Value,
        auth_data: Value,
    }

    let malformed = CeremonyError::Malformed("attestationObject");
    let attestation: Attestation = next_item(&mut object).ok_or(malformed)?;
    match (attestation.att_stmt, attestation.auth_data) {
        (Value::Map(_), Value::Bytes(data)) if object.is_empty() => AuthenticatorData::parse(&data),
        _ => Err(malformed),
    }
}

/// Room for an id and a key of the greatest length, and for extensions that nobody asked for.
const LONGEST: usize = 8 * 1024;

const MALFORMED: CeremonyError = CeremonyError::Malformed("authenticatorData");

fn created(rest: &mut &[u8]) -> Result<(CredentialId, PublicKey), CeremonyError> {
    let _model: [u8; 16] = take(rest)?;
    let length = usize::from(u16::from_be_bytes(take(rest)?));
    let (id, after) = rest.split_at_checked(length).ok_or(MALFORMED)?;
    let id = CredentialId::new(id.to_vec()).ok_or(CeremonyError::CredentialId)?;
    // The key says nowhere how long it is.
    *rest = after;
    next_item::<Value>(rest).ok_or(MALFORMED)?;
    let cose = after.get(..after.len() - rest.len()).ok_or(MALFORMED)?;
    Ok((id, PublicKey::from_cose(cose)?))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], CeremonyError> {
    let (taken, after) = rest.split_first_chunk().ok_or(MALFORMED)?;
    *rest = after;
    Ok(*taken)
}

fn next_item<T: DeserializeOwned>(rest: &mut &[u8]) -> Option<T> {
    from_reader_with_recursion_limit(rest, DEPTH).ok()
}
