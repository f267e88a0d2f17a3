//! Facebook: calls prove that they come from us, and Facebook says whom an access token was issued to. ID tokens are those of
//! Limited Login, which names things otherwise.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use sha2::Sha256;
use url::Url;
use vestibule_base::security::clock::SECOND;

use super::{Progress, Quirk, Vouched};
use crate::error::ProviderError;
use crate::login::Tokens;
use crate::provider::Provider;
use crate::request::{Body, Method, Request};
use crate::template::text;
use crate::world::World;

/// Claims of Limited Login, and what the profile calls the same.
const CLAIMS: &[(&str, &str)] = &[
    ("sub", "id"),
    ("email", "email"),
    ("given_name", "first_name"),
    ("family_name", "last_name"),
    ("name", "name"),
    ("user_link", "link"),
];

pub(super) struct Facebook;

impl Quirk for Facebook {
    fn vouch<'a>(
        &'a self,
        world: &'a World,
        provider: &'a Provider,
        access_token: &'a SecretString,
    ) -> Option<Vouched<'a>> {
        Some(Box::pin(vouch(world, provider, access_token)))
    }

    fn profile_request(
        &self,
        provider: &Provider,
        _step: usize,
        progress: Progress<'_>,
        request: &mut Request,
    ) -> Result<(), ProviderError> {
        let proof = appsecret_proof(provider.secret(), progress.access_token)?;
        request.query([("appsecret_proof", proof.as_str())]);
        Ok(())
    }

    fn data(
        &self,
        _provider: &Provider,
        _progress: Progress<'_>,
        data: &mut Value,
    ) -> Result<(), ProviderError> {
        if let Some(profile) = profile_of_claims(data) {
            *data = profile;
        }
        Ok(())
    }
}

async fn vouch(
    world: &World,
    provider: &Provider,
    access_token: &SecretString,
) -> Result<Tokens, ProviderError> {
    let client = [("client_id", provider.client_id()), ("client_secret", provider.secret())];
    let mut query = client.to_vec();
    query.push(("grant_type", "client_credentials"));
    let answer = ask(world, provider, "/oauth/access_token", &query).await?;
    let ours = answer.get("access_token").and_then(Value::as_str);
    let ours = ours.ok_or_else(|| ProviderError::answer("no token for the app itself"))?;

    let brought = access_token.expose_secret();
    let query = [("input_token", brought), ("access_token", ours)];
    let answer = ask(world, provider, "/debug_token", &query).await?;
    if !is_ours(&answer, provider.client_id()) {
        return Err(ProviderError::brought("an access token that was not issued to this app"));
    }

    if !provider.setting("exchange_token").and_then(Value::as_bool).unwrap_or(false) {
        return Ok(Tokens { access: access_token.clone(), refresh: None, expires_at: None });
    }
    let mut query = client.to_vec();
    query.extend([("grant_type", "fb_exchange_token"), ("fb_exchange_token", brought)]);
    let answer = ask(world, provider, "/oauth/access_token", &query).await?;
    let lasting = answer.get("access_token").and_then(Value::as_str);
    let lasting = lasting.ok_or_else(|| ProviderError::answer("no lasting token"))?;
    let seconds = answer.get("expires_in").and_then(Value::as_i64).filter(|seconds| *seconds > 0);
    let expires_at = seconds.map(|seconds| world.clock.now().saturating_add(seconds.saturating_mul(SECOND)));
    Ok(Tokens { access: SecretString::from(lasting), refresh: None, expires_at })
}

/// Asks the Graph API.
async fn ask(
    world: &World,
    provider: &Provider,
    path: &str,
    query: &[(&str, &str)],
) -> Result<Value, ProviderError> {
    let values = provider.values(world);
    let base = values.name("graph").as_deref().and_then(text).unwrap_or_default();
    let url = Url::parse(&format!("{}{path}", base.trim_end_matches('/')))
        .map_err(|_| ProviderError::settings("settings.graph_api_url is no URL"))?;
    let mut request = Request { method: Method::Get, url, headers: Vec::new(), body: Body::None };
    request.query(query.iter().copied());
    let endpoint = provider.endpoint(world, request.url.as_str())?;
    let answer = request.send(&endpoint).await?.success()?;
    serde_json::from_str(&answer).map_err(|_| ProviderError::answer("no JSON"))
}

/// Whether `debug_token` says that a token is valid, and ours.
fn is_ours(answer: &Value, client_id: &str) -> bool {
    let says = |name: &str| answer.get("data").and_then(|data| data.get(name));
    let app = match says("app_id") {
        Some(Value::String(id)) => id == client_id,
        Some(Value::Number(id)) => id.to_string() == client_id,
        _ => false,
    };
    app && says("is_valid") == Some(&Value::Bool(true))
}

fn appsecret_proof(secret: &str, access_token: &str) -> Result<String, ProviderError> {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .map_err(|_| ProviderError::settings("the secret is no key"))?;
    Ok(hex::encode(mac.chain_update(access_token).finalize().into_bytes()))
}

fn profile_of_claims(data: &Value) -> Option<Value> {
    let claims = data.as_object().filter(|data| data.contains_key("sub") && !data.contains_key("id"))?;
    let named = |(theirs, ours): &(&str, &str)| Some(((*ours).to_owned(), claims.get(*theirs)?.clone()));
    Some(Value::Object(CLAIMS.iter().filter_map(named).collect::<Map<_, _>>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::{Arrival, Presented};
    use crate::oauth2;
    use crate::oidc::Oidc;
    use crate::rehearsal::{NOW, provider, world};
    use serde_json::json;

    #[test]
    fn calls_prove_that_they_come_from_us() {
        // What django-allauth 65.21.1 sends for this token.
        let proof = appsecret_proof("dummy", "testac").unwrap();
        assert_eq!(proof, "1c15ac8a36b36e899f78a2dd1541cacf4bd216f37e3d479a347391ef67b5d730");
    }

    #[test]
    fn o3_an_access_token_must_be_valid_and_issued_to_our_app() {
        let answer = |data: Value| json!({"data": data});
        assert!(is_ours(&answer(json!({"app_id": "123", "is_valid": true})), "123"));
        assert!(is_ours(&answer(json!({"app_id": 123, "is_valid": true})), "123"));
        for data in [
            json!({"app_id": "456", "is_valid": true}),
            json!({"app_id": "123", "is_valid": false}),
            json!({"app_id": "123", "is_valid": "true"}),
            json!({"app_id": "123"}),
            json!({"is_valid": true}),
            json!({}),
            json!(null),
        ] {
            assert!(!is_ours(&answer(data.clone()), "123"), "{data}");
        }
    }

    #[test]
    fn claims_get_the_names_of_the_profile() {
        let claims =
            json!({"iss": "https://www.facebook.com", "sub": "9", "given_name": "Kim", "family_name": "Ito"});
        assert_eq!(
            profile_of_claims(&claims),
            Some(json!({"id": "9", "first_name": "Kim", "last_name": "Ito"}))
        );
        assert_eq!(profile_of_claims(&json!({"id": "9", "sub": "10"})), None);
    }

    const APP_TOKEN: (u16, &str) = (200, r#"{"access_token": "app"}"#);
    const OURS: (u16, &str) = (200, r#"{"data": {"app_id": "123", "is_valid": true}}"#);
    const PROFILE: (u16, &str) = (200, r#"{"id": "9", "email": "kim@mail.example"}"#);

    async fn brought(
        answers: &[(u16, &str)],
        settings: &str,
    ) -> (Result<Arrival, ProviderError>, Vec<String>) {
        let (world, stage) = world(answers);
        let app = format!("provider = 'facebook'\nclient_id = '123'\nsecret = 's'\n{settings}");
        let presented = Presented { id_token: None, access_token: Some("brought".into()) };
        let provider = provider(&world, &app);
        let arrival = oauth2::verify_token(&world, &Oidc::default(), &provider, &presented).await;
        (arrival, stage.asked().iter().map(|asked| asked.url.path().to_owned()).collect())
    }

    #[tokio::test]
    async fn o3_facebook_is_asked_whose_an_access_token_is_before_it_is_used() {
        let (arrival, asked) = brought(&[APP_TOKEN, OURS, PROFILE], "").await;
        let arrival = arrival.unwrap();
        assert_eq!(arrival.identity.uid, "9");
        assert!(!arrival.identity.emails[0].verified);
        assert_eq!(arrival.tokens.unwrap().access.expose_secret(), "brought");
        assert_eq!(asked, ["/v19.0/oauth/access_token", "/v19.0/debug_token", "/v19.0/me"]);

        let foreign = (200, r#"{"data": {"app_id": "456", "is_valid": true}}"#);
        let (refused, asked) = brought(&[APP_TOKEN, foreign, PROFILE], "").await;
        assert!(matches!(refused, Err(ProviderError::Brought(_))), "{refused:?}");
        assert_eq!(asked.len(), 2);
    }

    #[tokio::test]
    async fn a_token_can_be_swapped_for_a_lasting_one() {
        let lasting = (200, r#"{"access_token": "lasting", "expires_in": 60}"#);
        let answers = [APP_TOKEN, OURS, lasting, PROFILE];
        let (arrival, _) = brought(&answers, "settings.exchange_token = true").await;
        let tokens = arrival.unwrap().tokens.unwrap();
        assert_eq!(tokens.access.expose_secret(), "lasting");
        assert_eq!(tokens.expires_at, Some(NOW + 60 * SECOND));
    }
}
