//! Signed tokens: JWS in compact form (RFC 7515) with claims (RFC 7519), and the keys that sign them.
//!
//! The algorithm comes from the configuration and the key, never from a token's header. Several keys can be in force:
//! the present one signs, former ones verify until the tokens that they signed have expired.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::token::{Digest, digest};
use crate::config::{Config, JwtAlgorithm, TokenStrategy};

/// No token of ours is longer.
const LONGEST: usize = 8192;
/// Shorter RSA keys can be broken (NIST SP 800-131A).
const LEAST_RSA_BYTES: usize = 2048 / 8;

/// Why a key is no good, or a token could not be signed. Names the setting, never the key.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct KeyError {
    setting: &'static str,
    reason: String,
}

/// The keys of this server.
pub struct SigningKeys {
    present: Key,
    former: Vec<Key>,
    public: String,
    /// Tokens whose signature was found right: one comes with every request, and checking it anew costs more than all else.
    verified: Mutex<Verified>,
}

/// Digests of whole tokens, signature included, in two generations: the older one is forgotten when the newer is full.
#[derive(Default)]
struct Verified {
    newer: HashSet<Digest>,
    older: HashSet<Digest>,
}

/// Digests in a generation.
const GENERATION: usize = 4096;

impl Verified {
    fn contains(&self, token: &Digest) -> bool {
        self.newer.contains(token) || self.older.contains(token)
    }

    fn insert(&mut self, token: Digest) {
        if self.newer.len() >= GENERATION {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(token);
    }
}

struct Key {
    /// How it signs, or has signed.
    algorithms: &'static [Algorithm],
    signing: EncodingKey,
    verifying: DecodingKey,
    /// What others need to verify; none for a shared secret.
    public: Option<Jwk>,
}

impl SigningKeys {
    /// The keys that the configuration names; `None` where no JWTs are given.
    ///
    /// # Errors
    /// [`KeyError`] for a key that cannot sign.
    pub fn of(config: &Config) -> Result<Option<Self>, KeyError> {
        let headless = &config.headless;
        if headless.token_strategy != TokenStrategy::Jwt {
            return Ok(None);
        }
        let setting = "headless.jwt_private_key";
        let algorithm = headless.jwt_algorithm;
        let mut former: Vec<&SecretString> = headless.jwt_private_key_fallbacks.iter().collect();
        let present = match &headless.jwt_private_key {
            Some(key) => key,
            None if algorithm.is_symmetric() => {
                former.extend(&config.server.secret_key_fallbacks);
                config.server.secret_key.as_ref().ok_or_else(|| error(setting, "not set"))?
            }
            None => return Err(error(setting, "not set; openssl genpkey -algorithm ed25519 makes one")),
        };
        let present = Key::read(setting, algorithm, present)?;
        let former = former.into_iter().map(|key| Key::read_former(algorithm, key));
        let former = former.collect::<Result<Vec<_>, _>>()?;
        let keys = std::iter::once(&present).chain(&former).filter_map(|key| key.public.clone()).collect();
        let public = serde_json::to_string(&JwkSet { keys }).map_err(|e| error(setting, e))?;
        Ok(Some(Self { present, former, public, verified: Mutex::default() }))
    }

    /// Signs claims with the present key.
    ///
    /// # Errors
    /// [`KeyError`] if the key does not sign.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, KeyError> {
        let key = &self.present;
        let algorithm = key.algorithms.first().copied().unwrap_or_default();
        let header = Header { kid: key.kid().map(str::to_owned), ..Header::new(algorithm) };
        jsonwebtoken::encode(&header, claims, &key.signing).map_err(|e| error("headless.jwt_private_key", e))
    }

    /// The claims of a token that one of the keys has signed; whether they hold now is for the caller to judge.
    #[must_use]
    pub fn verify<C: DeserializeOwned + Clone>(&self, token: &str) -> Option<C> {
        if token.len() > LONGEST {
            return None;
        }
        let digest = digest(token);
        if self.verified().contains(&digest) {
            return jsonwebtoken::dangerous::insecure_decode_claims(token).ok();
        }
        let claims = self.verify_signature(token)?;
        self.verified().insert(digest);
        Some(claims)
    }

    fn verified(&self) -> MutexGuard<'_, Verified> {
        // Whatever a panic elsewhere has left in it is no less true.
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn verify_signature<C: DeserializeOwned + Clone>(&self, token: &str) -> Option<C> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        let names_a_key_of_its_own = header.jwk.is_some()
            || header.jku.is_some()
            || header.x5u.is_some()
            || header.x5c.is_some()
            || header.crit.is_some();
        if names_a_key_of_its_own {
            return None;
        }
        std::iter::once(&self.present)
            .chain(&self.former)
            .filter(|key| key.algorithms.contains(&header.alg) && key.kid() == header.kid.as_deref())
            .find_map(|key| key.verify(token, header.alg))
    }

    /// The public keys as a JSON Web Key Set (RFC 7517). Shared secrets are not in it.
    #[must_use]
    pub fn public(&self) -> &str {
        &self.public
    }
}

impl Key {
    fn read(setting: &'static str, algorithm: JwtAlgorithm, key: &SecretString) -> Result<Self, KeyError> {
        let text = key.expose_secret().trim();
        let registered = registered(algorithm);
        let key = if algorithm.is_symmetric() {
            // The text as it stands is the secret, blanks at its ends included.
            let secret = key.expose_secret().as_bytes();
            Self {
                algorithms: only(algorithm),
                signing: EncodingKey::from_secret(secret),
                verifying: DecodingKey::from_secret(secret),
                public: None,
            }
        } else {
            let signing = private_key(algorithm, text.as_bytes())
                .map_err(|_| error(setting, advice(algorithm, text)))?;
            let public =
                public_key(&signing, registered).map_err(|_| error(setting, advice(algorithm, text)))?;
            if let AlgorithmParameters::RSA(rsa) = &public.algorithm
                && rsa.n.len() * 6 / 8 < LEAST_RSA_BYTES
            {
                return Err(error(setting, "an RSA key needs 2048 bits or more"));
            }
            let verifying = DecodingKey::from_jwk(&public).map_err(|e| error(setting, e))?;
            Self { algorithms: only(algorithm), signing, verifying, public: Some(public) }
        };
        // A key of another curve or a damaged one shows when it is used.
        let signed = jsonwebtoken::encode(&Header::new(registered), &serde_json::json!({}), &key.signing);
        match signed.ok().and_then(|token| key.verify::<serde_json::Value>(&token, registered)) {
            Some(_) => Ok(key),
            None => Err(error(setting, advice(algorithm, text))),
        }
    }

    /// A former key may be of another kind than the present one, or have signed by another algorithm of its kind: its own
    /// form tells which there are.
    fn read_former(present: JwtAlgorithm, key: &SecretString) -> Result<Self, KeyError> {
        let setting = "headless.jwt_private_key_fallbacks";
        let mut key = Self::read(setting, algorithm_of_former(present, key), key)?;
        key.algorithms = match key.algorithms {
            [Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512] => {
                &[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512]
            }
            [Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512] => {
                &[Algorithm::HS256, Algorithm::HS384, Algorithm::HS512]
            }
            only => only,
        };
        if let Some(public) = key.public.as_mut().filter(|_| key.algorithms.len() > 1) {
            public.common.key_algorithm = None;
        }
        Ok(key)
    }

    fn kid(&self) -> Option<&str> {
        self.public.as_ref()?.common.key_id.as_deref()
    }

    fn verify<C: DeserializeOwned + Clone>(&self, token: &str, algorithm: Algorithm) -> Option<C> {
        let mut validation = Validation::new(algorithm);
        // Time comes from our own clock, and the claims are judged by who knows what they mean.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        jsonwebtoken::decode(token, &self.verifying, &validation).ok().map(|data| data.claims)
    }
}

/// An algorithm that a former key can sign by.
fn algorithm_of_former(present: JwtAlgorithm, key: &SecretString) -> JwtAlgorithm {
    let text = key.expose_secret().trim();
    let candidates =
        [present, JwtAlgorithm::RS256, JwtAlgorithm::ES256, JwtAlgorithm::ES384, JwtAlgorithm::EdDSA];
    if !text.starts_with("-----BEGIN") {
        return if present.is_symmetric() { present } else { JwtAlgorithm::HS256 };
    }
    let fits = |algorithm: &JwtAlgorithm| {
        !algorithm.is_symmetric()
            && private_key(*algorithm, text.as_bytes())
                .and_then(|key| public_key(&key, registered(*algorithm)))
                .is_ok()
    };
    candidates.into_iter().find(fits).unwrap_or(present)
}

fn private_key(algorithm: JwtAlgorithm, pem: &[u8]) -> jsonwebtoken::errors::Result<EncodingKey> {
    match algorithm {
        JwtAlgorithm::ES256 | JwtAlgorithm::ES384 => EncodingKey::from_ec_pem(pem),
        JwtAlgorithm::EdDSA => EncodingKey::from_ed_pem(pem),
        _ => EncodingKey::from_rsa_pem(pem),
    }
}

/// The public half, named by its thumbprint (RFC 7638), so that all instances give it the same name.
fn public_key(private: &EncodingKey, algorithm: Algorithm) -> jsonwebtoken::errors::Result<Jwk> {
    let mut jwk = Jwk::from_encoding_key(private, algorithm)?;
    jwk.common.key_id = Some(jwk.thumbprint(ThumbprintHash::SHA256)?);
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    Ok(jwk)
}

/// Its registered name (RFC 7518, RFC 8037), alone.
fn only(algorithm: JwtAlgorithm) -> &'static [Algorithm] {
    match algorithm {
        JwtAlgorithm::HS256 => &[Algorithm::HS256],
        JwtAlgorithm::HS384 => &[Algorithm::HS384],
        JwtAlgorithm::HS512 => &[Algorithm::HS512],
        JwtAlgorithm::RS256 => &[Algorithm::RS256],
        JwtAlgorithm::RS384 => &[Algorithm::RS384],
        JwtAlgorithm::RS512 => &[Algorithm::RS512],
        JwtAlgorithm::ES256 => &[Algorithm::ES256],
        JwtAlgorithm::ES384 => &[Algorithm::ES384],
        JwtAlgorithm::EdDSA => &[Algorithm::EdDSA],
    }
}

fn registered(algorithm: JwtAlgorithm) -> Algorithm {
    only(algorithm).first().copied().unwrap_or_default()
}

/// What to do about a key that does not fit.
fn advice(algorithm: JwtAlgorithm, pem: &str) -> String {
    if pem.contains("ENCRYPTED") {
        return "the key is protected by a passphrase; openssl pkey -in KEY takes it away".to_owned();
    }
    if pem.contains("BEGIN EC PRIVATE KEY") {
        return "the key is in the old form; openssl pkcs8 -topk8 -nocrypt -in KEY writes it anew".to_owned();
    }
    let make = match algorithm {
        JwtAlgorithm::ES256 => "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
        JwtAlgorithm::ES384 => "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384",
        JwtAlgorithm::EdDSA => "openssl genpkey -algorithm ed25519",
        _ => "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048",
    };
    format!("no private key in PEM for {algorithm:?}; {make} makes one")
}

fn error(setting: &'static str, reason: impl fmt::Display) -> KeyError {
    KeyError { setting, reason: reason.to_string() }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKeys(…)")
    }
}
