//! Public keys of credentials, as COSE writes them, and the checks of their signatures.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use coset::iana::{self, EnumI64};
use coset::{CborSerializable, CoseKey, KeyType, Label, RegisteredLabelWithPrivate};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

use super::base64url;

/// The algorithms on offer, with their COSE numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA over P-256 with SHA-256: -7.
    Es256,
    /// Ed25519: -8.
    EdDsa,
    /// RSA PKCS#1 v1.5 with SHA-256, 2048 to 8192 bits: -257.
    Rs256,
}

impl Algorithm {
    /// All of them, the most wanted first.
    pub const OFFERED: [Self; 3] = [Self::Es256, Self::EdDsa, Self::Rs256];

    /// Its number in COSE's registry.
    #[must_use]
    pub fn number(self) -> i64 {
        self.registered().to_i64()
    }

    fn registered(self) -> iana::Algorithm {
        match self {
            Self::Es256 => iana::Algorithm::ES256,
            Self::EdDsa => iana::Algorithm::EdDSA,
            Self::Rs256 => iana::Algorithm::RS256,
        }
    }
}

/// Why a key is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No COSE key, or one that lacks a part.
    #[error("not a COSE key")]
    Malformed,
    /// Of an algorithm that is not offered.
    #[error("a key of an algorithm that is not offered")]
    Algorithm,
    /// Parts that do not fit the algorithm: another curve, a point off it, an RSA key too short or too long.
    #[error("a key that does not fit its algorithm")]
    Unfit,
}

/// The public key of a credential; of an offered algorithm, and fit for it. In JSON its COSE form in base64url.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: Algorithm,
    cose: Vec<u8>,
    key: ParsedPublicKey,
}

/// An RSA key of 8192 bits takes little more than half of it.
const LONGEST: usize = 2 * 1024;

impl PublicKey {
    /// Reads a COSE key.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_cose(cose: &[u8]) -> Result<Self, KeyError> {
        if cose.len() > LONGEST {
            return Err(KeyError::Malformed);
        }
        let key = CoseKey::from_slice(cose).map_err(|_| KeyError::Malformed)?;
        let algorithm = Algorithm::OFFERED
            .into_iter()
            .find(|offered| key.alg == Some(RegisteredLabelWithPrivate::Assigned(offered.registered())))
            .ok_or(KeyError::Algorithm)?;
        let parsed = match algorithm {
            Algorithm::Es256 => p256(&key)?,
            Algorithm::EdDsa => ed25519(&key)?,
            Algorithm::Rs256 => rsa(&key)?,
        };
        Ok(Self { algorithm, cose: cose.to_vec(), key: parsed })
    }

    /// The algorithm that it signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The bytes that [`from_cose`](Self::from_cose) read.
    #[must_use]
    pub fn as_cose(&self) -> &[u8] {
        &self.cose
    }

    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.cose == other.cose
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?})", self.algorithm)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        base64url::serialize(&self.cose, serializer)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_cose(&base64url::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

fn p256(key: &CoseKey) -> Result<ParsedPublicKey, KeyError> {
    use iana::Ec2KeyParameter::{Crv, X, Y};
    demand_type(key, iana::KeyType::EC2)?;
    demand_curve(key, Crv, iana::EllipticCurve::P_256)?;
    // Level 3, 5.8.5: never the compressed form of a point.
    let (x, y) = (bytes_of(key, X)?, bytes_of(key, Y)?);
    if x.len() != 32 || y.len() != 32 {
        return Err(KeyError::Unfit);
    }
    let point = [&[0x04], x, y].concat();
    ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).map_err(|_| KeyError::Unfit)
}

fn ed25519(key: &CoseKey) -> Result<ParsedPublicKey, KeyError> {
    use iana::OkpKeyParameter::{Crv, X};
    demand_type(key, iana::KeyType::OKP)?;
    demand_curve(key, Crv, iana::EllipticCurve::Ed25519)?;
    let x = bytes_of(key, X)?;
    if x.len() != 32 {
        return Err(KeyError::Unfit);
    }
    ParsedPublicKey::new(&ED25519, x).map_err(|_| KeyError::Unfit)
}

fn rsa(key: &CoseKey) -> Result<ParsedPublicKey, KeyError> {
    use iana::RsaKeyParameter::{E, N};
    demand_type(key, iana::KeyType::RSA)?;
    let (n, e) = (bytes_of(key, N)?, bytes_of(key, E)?);
    // The library looks at the length only when it checks a signature, and a key that can never be used is not worth
    // keeping. It refuses leading zeros itself.
    let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
    if !(2048..=8192).contains(&bits) {
        return Err(KeyError::Unfit);
    }
    RsaPublicKeyComponents { n, e }
        .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
        .map_err(|_| KeyError::Unfit)
}

fn demand_type(key: &CoseKey, kind: iana::KeyType) -> Result<(), KeyError> {
    if key.kty == KeyType::Assigned(kind) { Ok(()) } else { Err(KeyError::Unfit) }
}

fn demand_curve(key: &CoseKey, label: impl EnumI64, curve: iana::EllipticCurve) -> Result<(), KeyError> {
    let found = parameter(key, label)?.as_integer().ok_or(KeyError::Malformed)?;
    if i128::from(found) == i128::from(curve.to_i64()) { Ok(()) } else { Err(KeyError::Unfit) }
}

fn bytes_of(key: &CoseKey, label: impl EnumI64) -> Result<&[u8], KeyError> {
    parameter(key, label)?.as_bytes().map(Vec::as_slice).ok_or(KeyError::Malformed)
}

fn parameter(key: &CoseKey, label: impl EnumI64) -> Result<&coset::cbor::Value, KeyError> {
    let label = Label::Int(label.to_i64());
    key.params.iter().find(|(found, _)| *found == label).map(|(_, value)| value).ok_or(KeyError::Malformed)
}
