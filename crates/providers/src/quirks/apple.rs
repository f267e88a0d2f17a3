//! Apple: several names of ours, a client secret that we sign for each call, and a person's name that comes once, beside
//! the code.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use vestibule_base::security::Millis;
use vestibule_base::security::clock::SECOND;

use super::{Progress, Quirk};
use crate::error::ProviderError;
use crate::login::Callback;
use crate::provider::Provider;
use crate::request::Request;
use crate::world::World;

const ISSUER: &str = "https://appleid.apple.com";
/// How long a client secret is good for: it is used at once.
const LIFETIME: Millis = 5 * 60 * SECOND;
/// No name that Apple passes on is as long.
const LONGEST_NAME: usize = 150;

pub(super) struct Apple;

impl Quirk for Apple {
    fn token_request(
        &self,
        world: &World,
        provider: &Provider,
        _callback: &Callback,
        request: &mut Request,
    ) -> Result<(), ProviderError> {
        let client_ids = provider.client_ids();
        let registration = Registration {
            team: provider.app().key.as_ref().map_or("", |key| key.expose_secret()),
            client_id: client_ids.first().map_or("", String::as_str),
            key_id: provider.secret(),
            private_key: provider.setting_text("certificate_key").unwrap_or_default(),
        };
        request.set_field("client_secret", registration.client_secret(world.clock.now())?);
        Ok(())
    }

    fn data(
        &self,
        _provider: &Provider,
        progress: Progress<'_>,
        data: &mut Value,
    ) -> Result<(), ProviderError> {
        if let (Value::Object(data), Some(name)) = (data, progress.callback.get("user").and_then(name)) {
            data.insert("name".to_owned(), name);
        }
        Ok(())
    }
}

/// What is registered with Apple.
struct Registration<'a> {
    team: &'a str,
    client_id: &'a str,
    key_id: &'a str,
    /// PKCS #8, as PEM.
    private_key: &'a str,
}

impl Registration<'_> {
    fn client_secret(&self, now: Millis) -> Result<String, ProviderError> {
        let refused =
            |_| ProviderError::settings("settings.certificate_key is no P-256 private key (PKCS #8, PEM)");
        let key = EncodingKey::from_ec_pem(self.private_key.trim().as_bytes()).map_err(refused)?;
        let header = Header { kid: Some(self.key_id.to_owned()), ..Header::new(Algorithm::ES256) };
        let claims = json!({
            "iss": self.team,
            "aud": ISSUER,
            "sub": self.client_id,
            "iat": now / SECOND,
            "exp": (now + LIFETIME) / SECOND,
        });
        jsonwebtoken::encode(&header, &claims, &key).map_err(refused)
    }
}

/// The name in the form field `user`. Nobody has signed it: nothing else of it is taken.
fn name(user: &str) -> Option<Value> {
    let user: Value = serde_json::from_str(user).ok()?;
    let name: Map<_, _> = ["firstName", "lastName"]
        .into_iter()
        .filter_map(|part| Some((part, user.get("name")?.get(part)?.as_str()?.trim())))
        .filter(|(_, text)| !text.is_empty() && text.chars().count() <= LONGEST_NAME)
        .map(|(part, text)| (part.to_owned(), Value::from(text)))
        .collect();
    (!name.is_empty()).then_some(Value::Object(name))
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    use super::*;

    // Made for tests.
    const PRIVATE_KEY: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgndGusTuCXKQktS3C
eSlKEum3/H0TM/ZGh0dgWIgGEFShRANCAATdPAWytdYx+gD+Y9OU15rhgrYEe0PC
tKXKTgYeVN+bKZZc5cMByqO+lHxOkJxap74g9deA+kfp2r1xsCKl2bdV
-----END PRIVATE KEY-----
";

    fn registration(private_key: &str) -> Registration<'_> {
        Registration { team: "TEAMID", client_id: "app123id", key_id: "KEYID", private_key }
    }

    #[test]
    fn the_client_secret_is_signed_by_us_for_apple_and_short_lived() {
        let secret = registration(PRIVATE_KEY).client_secret(1_700_000_000_999).unwrap();
        let parts: Vec<_> = secret.split('.').collect();
        let read = |part: &str| -> Value {
            serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        assert_eq!(read(parts[0]), json!({"alg": "ES256", "kid": "KEYID", "typ": "JWT"}));
        let claims = json!({
            "iss": "TEAMID", "aud": "https://appleid.apple.com", "sub": "app123id",
            "iat": 1_700_000_000, "exp": 1_700_000_300,
        });
        assert_eq!(read(parts[1]), claims);
    }

    #[test]
    fn a_key_that_is_none_is_the_settings_fault() {
        let refused = registration("nonsense").client_secret(0).unwrap_err();
        assert!(matches!(refused, ProviderError::Settings(_)), "{refused:?}");
    }

    #[test]
    fn of_the_user_field_only_the_name_is_taken() {
        let user =
            r#"{"name": {"firstName": " A ", "lastName": "B", "x": 1}, "email": "a@b.example", "sub": "1"}"#;
        assert_eq!(name(user), Some(json!({"firstName": "A", "lastName": "B"})));
        for nothing in ["", "[]", "{", r#"{"name": "A"}"#, r#"{"name": {"firstName": 1, "lastName": ""}}"#] {
            assert_eq!(name(nothing), None, "{nothing}");
        }
    }
}
