//! The key that ID tokens in the cases are signed with: to sign them again with the nonce that the engine asked for, and
//! to answer whoever wants to check them.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::case::Registration;
use crate::mend::{with_long_numbers, with_long_numbers_marked};

/// The file `test_keys.json`, beside the cases or one folder above.
#[derive(Deserialize)]
struct File {
    rsa_private_key_pem: String,
    jwks: Value,
    certificates: Value,
}

/// The test key.
pub(crate) struct Keys {
    signing: EncodingKey,
    verifying: DecodingKey,
    jwks: Value,
    certificates: Value,
}

impl Keys {
    /// Reads `test_keys.json`, or says what is wrong with it.
    pub(crate) fn read(folder: &Path) -> Result<Self, String> {
        let places = [folder.join("../test_keys.json"), folder.join("test_keys.json")];
        let path = places.iter().find(|path| path.is_file());
        let path = path.ok_or_else(|| format!("no test_keys.json in {} or above", folder.display()))?;
        let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
        let file: File = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
        let set: JwkSet = serde_json::from_value(file.jwks.clone()).map_err(|error| wrong(&error))?;
        let jwk = set.keys.first().ok_or_else(|| wrong(&"no key in jwks"))?;
        Ok(Self {
            signing: EncodingKey::from_rsa_pem(file.rsa_private_key_pem.as_bytes())
                .map_err(|error| wrong(&error))?,
            verifying: DecodingKey::from_jwk(jwk).map_err(|error| wrong(&error))?,
            jwks: file.jwks,
            certificates: file.certificates,
        })
    }

    /// The token once more, with other values of some claims. Nothing where the test key did not sign it: what is forged
    /// stays forged.
    pub(crate) fn with_claims(&self, token: &str, other: Map<String, Value>) -> Option<String> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        let mut claims = claims(token, &self.verifying, header.alg)?;
        claims.extend(other);
        let claims = RawValue::from_string(with_long_numbers(&Value::Object(claims).to_string())).ok()?;
        jsonwebtoken::encode(&header, &claims, &self.signing).ok()
    }

    /// What is served at a URL for keys.
    pub(crate) fn served_at(&self, path: &str) -> &Value {
        // Google's older format: certificates by their names.
        if path.ends_with("/v1/certs") { &self.certificates } else { &self.jwks }
    }
}

/// The claims of a token, believed.
pub(crate) fn believed(token: &str) -> Option<Map<String, Value>> {
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_str(&with_long_numbers_marked(std::str::from_utf8(&claims).ok()?)).ok()
}

/// Whether a text is a client secret as Apple wants it: a short-lived token in the team's name, signed with its key.
pub(crate) fn is_apple_client_secret(text: &str, app: &Registration, now: i64) -> bool {
    let verified = || {
        let pem = app.settings.get("certificate_key")?.as_str()?;
        let private = EncodingKey::from_ec_pem(pem.as_bytes()).ok()?;
        let public = Jwk::from_encoding_key(&private, Algorithm::ES256).ok()?;
        let Header { alg: Algorithm::ES256, kid, .. } = jsonwebtoken::decode_header(text).ok()? else {
            return None;
        };
        let claims = claims(text, &DecodingKey::from_jwk(&public).ok()?, Algorithm::ES256)?;
        let client_id = app.client_id.split(',').next()?.trim();
        Some(
            kid == app.secret
                && claims.get("iss") == app.key.clone().map(Value::from).as_ref()
                && claims.get("sub") == Some(&client_id.into())
                && claims.get("aud") == Some(&json!("https://appleid.apple.com"))
                && claims.get("exp")?.as_i64()? > now,
        )
    };
    verified() == Some(true)
}

/// The claims of a token whose signature is good; nothing else is checked.
fn claims(token: &str, key: &DecodingKey, algorithm: Algorithm) -> Option<Map<String, Value>> {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    jsonwebtoken::decode::<IgnoredAny>(token, key, &validation).ok()?;
    believed(token)
}
