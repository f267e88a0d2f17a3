//! The keys that the fake identity provider signs by, and signatures that are none.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Map, Value, json};

use super::SECRET;

/// How an ID token is signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Signature {
    /// By the provider's key.
    #[default]
    Good,
    /// Not at all: `alg` is `none`.
    Missing,
    /// With a symmetric algorithm, keyed with the public key.
    SymmetricByPublicKey,
    /// With a symmetric algorithm, keyed with the client's secret.
    SymmetricBySecret,
    /// By another key of the same name.
    Foreign,
    /// By another key, whose public half the token brings along.
    Embedded,
    /// By the provider's key, for other claims.
    Altered,
}

/// What a provider signs by.
pub(super) struct Key {
    id: String,
    algorithm: Algorithm,
    signing: EncodingKey,
}

impl Key {
    /// An RSA key: always the same one, since making one takes long.
    pub(super) fn rsa(id: &str) -> Self {
        let pem = include_bytes!("../../../vestibule/tests/keys/rsa.pem");
        let signing = EncodingKey::from_rsa_pem(pem).expect("a key");
        Self { id: id.to_owned(), algorithm: Algorithm::RS256, signing }
    }

    /// A new key on the curve P-256.
    pub(super) fn p256(id: &str) -> Self {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let signing = EncodingKey::from_ec_der(pkcs8.expect("a key").as_ref());
        Self { id: id.to_owned(), algorithm: Algorithm::ES256, signing }
    }

    fn public(&self) -> Jwk {
        let mut jwk = Jwk::from_encoding_key(&self.signing, self.algorithm).expect("a public key");
        jwk.common.key_id = Some(self.id.clone());
        jwk
    }

    /// What is published.
    pub(super) fn published(&self) -> Value {
        json!(JwkSet { keys: vec![self.public()] })
    }

    /// An ID token.
    pub(super) fn sign(&self, claims: &Map<String, Value>, how: Signature) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.id.clone());
        let signed = |header: &Header, key: &EncodingKey| encode(header, claims, key).expect("a token");
        match how {
            Signature::Good => signed(&header, &self.signing),
            Signature::Missing => {
                let header = json!({ "alg": "none", "kid": self.id });
                format!("{}.{}.", part(&header), part(&json!(claims)))
            }
            Signature::SymmetricByPublicKey | Signature::SymmetricBySecret => {
                let public = json!(self.public()).to_string();
                let key =
                    if how == Signature::SymmetricBySecret { SECRET.as_bytes() } else { public.as_bytes() };
                header.alg = Algorithm::HS256;
                signed(&header, &EncodingKey::from_secret(key))
            }
            Signature::Foreign | Signature::Embedded => {
                let other = Self::p256(&self.id);
                header.alg = other.algorithm;
                header.jwk = (how == Signature::Embedded).then(|| other.public());
                signed(&header, &other.signing)
            }
            Signature::Altered => {
                let mut others = claims.clone();
                others.insert("sub".to_owned(), json!("somebody else"));
                let token = signed(&header, &self.signing);
                let mut parts: Vec<&str> = token.split('.').collect();
                let altered = part(&json!(others));
                parts[1] = &altered;
                parts.join(".")
            }
        }
    }
}

fn part(value: &Value) -> String {
    BASE64URL.encode(value.to_string())
}
