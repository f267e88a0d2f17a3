//! How we prove to a provider's token endpoint who we are (RFC 6749 2.3.1, RFC 7523, OpenID Connect Core 1.0 9).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use url::form_urlencoded::byte_serialize;
use vestibule_base::security::clock::SECOND;
use vestibule_base::security::{Millis, token};

use crate::error::ProviderError;

/// How long an assertion that we sign is good for, in seconds: it is used at once.
const ASSERTION_LIFE: Millis = 60;
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The value of `Authorization` for an id and a secret.
pub(crate) fn basic(client_id: &str, secret: &str) -> String {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", encoded(client_id), encoded(secret))))
}

/// The fields by which a signature proves who we are, to the token endpoint `audience` alone.
///
/// # Errors
/// `Settings` if the key (PKCS #8 in PEM, RSA or P-256) is none.
pub(crate) fn assertion(
    client_id: &str,
    private_key: &str,
    audience: &str,
    now: Millis,
) -> Result<[(String, String); 2], ProviderError> {
    let now = now / SECOND;
    let claims = json!({
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "jti": token::unique_id()?,
        "iat": now,
        "exp": now + ASSERTION_LIFE,
    });
    let pem = private_key.trim().as_bytes();
    let key = EncodingKey::from_rsa_pem(pem).map(|key| (Algorithm::RS256, key));
    let key = key.or_else(|_| EncodingKey::from_ec_pem(pem).map(|key| (Algorithm::ES256, key)));
    let signed =
        key.and_then(|(algorithm, key)| jsonwebtoken::encode(&Header::new(algorithm), &claims, &key));
    let signed = signed
        .map_err(|_| ProviderError::settings("private_key is no key in PEM (PKCS #8) of RSA or P-256"))?;
    Ok([
        ("client_assertion_type".to_owned(), ASSERTION_TYPE.to_owned()),
        ("client_assertion".to_owned(), signed),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_encodes_what_would_end_the_name() {
        let header = basic("a:b c", "s+%ü");
        let decoded = BASE64_STANDARD.decode(header.strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(String::from_utf8(decoded).unwrap(), "a%3Ab+c:s%2B%25%C3%BC");
    }
}
