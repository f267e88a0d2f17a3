//! The keys that a provider signs by: a JSON Web Key Set (RFC 7517), or Google's object of certificates by key id.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

use crate::error::ProviderError;

/// More than any provider has. The rest is not looked at.
const MOST_KEYS: usize = 100;
/// How many keys are tried on one token.
const HANDFUL: usize = 5;
/// Shorter RSA keys can be broken (NIST SP 800-131A).
const LEAST_RSA_BYTES: usize = 2048 / 8;

const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// The keys of a provider that signatures can be checked by.
pub(super) struct KeySet(Vec<Key>);

/// A public key.
pub(super) struct Key {
    pub(super) id: Option<String>,
    /// What it may be used with: what fits its kind, less what it says itself. Never a symmetric algorithm.
    algorithms: Vec<Algorithm>,
    pub(super) verifying: DecodingKey,
}

impl KeySet {
    /// Reads what a provider publishes. Keys that are no good for signatures are left out: others may be.
    pub(super) fn read(text: &str) -> Result<Self, ProviderError> {
        let object: Map<String, Value> = serde_json::from_str(text)
            .map_err(|_| ProviderError::answer("the set of keys is no JSON object"))?;
        Ok(Self(match object.get("keys") {
            Some(Value::Array(keys)) => keys.iter().take(MOST_KEYS).filter_map(Key::of_jwk).collect(),
            _ => object.iter().take(MOST_KEYS).filter_map(|(id, pem)| Key::of_pem(id, pem)).collect(),
        }))
    }

    /// The keys by which a token may be signed whose header says this: a handful at most.
    pub(super) fn fitting(&self, id: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &Key> {
        let named = move |key: &&Key| id.is_none() || key.id.is_none() || key.id.as_deref() == id;
        self.0.iter().filter(named).filter(move |key| key.algorithms.contains(&algorithm)).take(HANDFUL)
    }
}

impl Key {
    fn of_jwk(value: &Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
        let common = &jwk.common;
        let signs = common.public_key_use.as_ref().is_none_or(|it| *it == PublicKeyUse::Signature)
            && common.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify));
        let fitting: &[Algorithm] = match &jwk.algorithm {
            AlgorithmParameters::RSA(rsa) if rsa.n.len() * 6 / 8 >= LEAST_RSA_BYTES => RSA,
            AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
                EllipticCurve::P256 => &[Algorithm::ES256],
                EllipticCurve::P384 => &[Algorithm::ES384],
                _ => &[],
            },
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
                &[Algorithm::EdDSA]
            }
            _ => &[],
        };
        let own = common.key_algorithm;
        let allowed = |it: &&Algorithm| own.is_none_or(|own| own == KeyAlgorithm::from(**it));
        let algorithms: Vec<_> = fitting.iter().filter(allowed).copied().collect();
        if !signs || algorithms.is_empty() {
            return None;
        }
        Some(Self { id: jwk.common.key_id.clone(), algorithms, verifying: DecodingKey::from_jwk(&jwk).ok()? })
    }

    fn of_pem(id: &str, pem: &Value) -> Option<Self> {
        let verifying = DecodingKey::from_rsa_pem(pem.as_str()?.as_bytes()).ok()?;
        Some(Self { id: Some(id.to_owned()), algorithms: vec![Algorithm::RS256], verifying })
    }
}
