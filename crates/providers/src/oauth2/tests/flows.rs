//! What goes over the wire.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use vestibule_base::outbound::Played;

use super::{
    CLIENT, RSA_CERTIFICATE, RSA_KEY, Says, Scene, Signer, document, form, param, token_answer, why,
};
use crate::error::ProviderError;

/// A provider of OAuth 2.0 with most that the catalogue can say.
const OWN: &str = r#"
[own]
name = "Own"
authorize = { url = "https://idp.example/authorize?v=2", scopes = ["profile"], email_scopes = ["email"], delimiter = ",", params = { prompt = "login", owner = "{absent}" } }
token = { url = "https://idp.example/token", client_auth = "client_secret_basic", select = "/data", rename = { theAccess = "access_token" } }
error_when = [{ present = "/failure" }]
data = { select = "/user", rename = { theId = "id" }, add = { region = "{callback:region}" } }
map = { uid = "/id", email = "/email" }
settings.absent = {}
[[own.profile]]
url = "https://idp.example/me"
query = { fields = "id" }
[[own.profile]]
url = "https://idp.example/emails/{step1:/user/theId}"
token_in = { query = "token" }
when = { query_email = true }
tolerate_status = [404]
take = "/0"
put = "/user/email"
"#;
const OWN_APP: &str = r#"
provider = "own"
client_id = "c:1"
secret = "s 3"
"#;

fn header<'a>(played: &'a Played, name: &str) -> Option<&'a str> {
    played.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn o2_pkce_and_nonce_are_of_each_login_and_come_back() {
    let scene = Scene::new("");
    let (one, other) = (scene.begin().await.unwrap(), scene.begin().await.unwrap());
    for name in ["nonce", "code_challenge"] {
        assert_ne!(param(&one.url, name).unwrap(), param(&other.url, name).unwrap());
    }
    assert_eq!(param(&one.url, "code_challenge_method").unwrap(), "S256");
    let verifier = &one.memory.0["code_verifier"];
    assert!(verifier.len() >= 43);
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    assert_eq!(param(&one.url, "code_challenge").unwrap(), challenge);
    assert!(!one.url.contains(verifier));

    scene.idp.at("/token", Says::Json(json!({ "error": "invalid_grant" })));
    let refused = scene.complete(&one.memory, &[("code", "c1")]).await;
    assert_eq!(why(refused), "token request: invalid_grant");
    let sent = form(&scene.idp.last("/token"));
    assert_eq!(&sent["code_verifier"], verifier);

    let off = Scene::new("settings.oauth_pkce_enabled = false").begin().await.unwrap();
    assert_eq!(param(&off.url, "code_challenge"), None);
}

#[tokio::test]
async fn a_login_by_openid_connect() {
    let scene = Scene::new("");
    let departure = scene.begin().await.unwrap();
    assert!(departure.url.starts_with("https://idp.example/authorize?"));
    for (name, value) in [
        ("client_id", CLIENT),
        ("redirect_uri", "https://site.example/accounts/oidc/idp/login/callback/"),
        ("scope", "openid profile email"),
        ("response_type", "code"),
        ("state", "state-1"),
    ] {
        assert_eq!(param(&departure.url, name).as_deref(), Some(value), "{name}");
    }
    let arrival =
        scene.login(&Signer::rsa("rsa-1"), |claims| claims["name"] = "Kim Ito".into()).await.unwrap();
    assert_eq!(header(&scene.idp.last("/userinfo"), "authorization"), Some("Bearer at-1"));
    let identity = arrival.identity;
    // Userinfo alone is mapped; both are kept.
    assert_eq!((identity.uid.as_str(), identity.first_name), ("u1", None));
    assert_eq!(identity.email.as_deref(), Some("kim@mail.example"));
    assert_eq!(identity.extra_data["userinfo"]["sub"], "u1");
    assert_eq!(identity.extra_data["id_token"]["name"], "Kim Ito");
    let tokens = arrival.tokens.unwrap();
    assert_eq!(tokens.access.expose_secret(), "at-1");
    assert_eq!(tokens.refresh.unwrap().expose_secret(), "rt-1");
    assert_eq!(tokens.expires_at, Some((scene.idp.now() + 3600) * 1000));

    let scene = Scene::new("settings.fetch_userinfo = false");
    let arrival =
        scene.login(&Signer::rsa("rsa-1"), |claims| claims["name"] = "Kim Ito".into()).await.unwrap();
    assert_eq!(scene.idp.calls("/userinfo"), 0);
    assert_eq!(arrival.identity.first_name.as_deref(), Some("Kim"));
    assert_eq!(arrival.identity.extra_data.as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn clients_prove_themselves_as_the_provider_wants_it() {
    let scene = Scene::new("");
    scene.login(&Signer::rsa("rsa-1"), |_| {}).await.unwrap();
    let asked = scene.idp.last("/token");
    assert_eq!(
        (form(&asked)["client_id"].as_str(), form(&asked)["client_secret"].as_str()),
        (CLIENT, "s3cret")
    );
    assert_eq!(header(&asked, "authorization"), None);

    for (methods, basic) in [
        (json!(["client_secret_basic"]), true),
        (json!(["client_secret_post", "client_secret_basic"]), false),
        (json!([]), false),
    ] {
        let scene = Scene::new("");
        let mut says = document();
        says["token_endpoint_auth_methods_supported"] = methods;
        scene.idp.at("/.well-known/openid-configuration", Says::Json(says));
        scene.login(&Signer::rsa("rsa-1"), |_| {}).await.unwrap();
        let asked = scene.idp.last("/token");
        assert_eq!(header(&asked, "authorization").is_some(), basic);
        assert_eq!(form(&asked).contains_key("client_secret"), !basic);
    }

    let scene = Scene::new(r#"settings.token_auth_method = "none""#);
    scene.login(&Signer::rsa("rsa-1"), |_| {}).await.unwrap();
    let asked = scene.idp.last("/token");
    assert_eq!(form(&asked)["client_id"], CLIENT);
    assert!(!form(&asked).contains_key("client_secret") && header(&asked, "authorization").is_none());
}

#[tokio::test]
async fn a_private_key_signs_for_the_token_endpoint_alone() {
    let settings =
        format!("settings.token_auth_method = 'private_key_jwt'\nsettings.private_key = '''\n{RSA_KEY}'''");
    let scene = Scene::new(&settings);
    scene.login(&Signer::rsa("rsa-1"), |_| {}).await.unwrap();
    let sent = form(&scene.idp.last("/token"));
    assert!(!sent.contains_key("client_secret"));
    assert_eq!(sent["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let key = DecodingKey::from_rsa_pem(RSA_CERTIFICATE.as_bytes()).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&["https://idp.example/token"]);
    validation.validate_exp = false;
    let claims = jsonwebtoken::decode::<Value>(&sent["client_assertion"], &key, &validation).unwrap().claims;
    assert_eq!((claims["iss"].as_str(), claims["sub"].as_str()), (Some(CLIENT), Some(CLIENT)));
    assert_eq!(claims["exp"], scene.idp.now() + 60);
    scene.login(&Signer::rsa("rsa-1"), |_| {}).await.unwrap();
    let again = form(&scene.idp.last("/token"));
    let again = jsonwebtoken::decode::<Value>(&again["client_assertion"], &key, &validation).unwrap().claims;
    assert_ne!(claims["jti"], again["jti"]);
}

#[tokio::test]
async fn a_login_as_the_catalogue_says() {
    let scene = Scene::of(OWN_APP, Some(OWN));
    let departure = scene.begin().await.unwrap();
    assert!(departure.url.starts_with("https://idp.example/authorize?v=2&"));
    assert_eq!(param(&departure.url, "scope").unwrap(), "profile,email");
    assert_eq!(param(&departure.url, "prompt").unwrap(), "login");
    assert_eq!(param(&departure.url, "owner"), None);
    assert_eq!(param(&departure.url, "nonce"), None);

    scene.idp.at("/token", Says::Json(json!({ "data": { "theAccess": "at-2", "expires_in": "60" } })));
    scene.idp.at("/me", Says::Json(json!({ "user": { "theId": 7 } })));
    scene.idp.at("/emails/7", Says::Json(json!(["kim@mail.example"])));
    let callback = [("code", "c1"), ("region", "eu")];
    let arrival = scene.complete(&departure.memory, &callback).await.unwrap();
    let basic = header(&scene.idp.last("/token"), "authorization").unwrap().replace("Basic ", "");
    assert_eq!(BASE64_STANDARD.decode(basic).unwrap(), b"c%3A1:s+3");
    assert_eq!(scene.idp.last("/me").url.query(), Some("fields=id"));
    assert_eq!(scene.idp.last("/emails/7").url.query(), Some("token=at-2"));
    let identity = arrival.identity;
    assert_eq!((identity.uid.as_str(), identity.email.as_deref()), ("7", Some("kim@mail.example")));
    assert_eq!(identity.extra_data["region"], "eu");

    scene.idp.at("/emails/7", Says::Status(404, Value::Null));
    assert_eq!(scene.complete(&departure.memory, &callback).await.unwrap().identity.email, None);
    scene.idp.at("/emails/7", Says::Status(403, Value::Null));
    why(scene.complete(&departure.memory, &callback).await);
    scene.idp.at("/emails/7", Says::Json(json!([])));
    for failed in
        [json!({ "user": { "theId": 7 }, "failure": 1 }), json!({}), json!({ "user": {} }), json!([])]
    {
        scene.idp.at("/me", Says::Json(failed));
        why(scene.complete(&departure.memory, &callback).await);
    }
    scene.idp.at("/me", Says::Json(json!({ "user": { "theId": "../admin" } })));
    // What the provider says fills its place in a URL, and no more.
    scene.complete(&departure.memory, &callback).await.unwrap();
    assert_eq!(scene.idp.calls("/emails/..%2Fadmin"), 1);
}

#[tokio::test]
async fn o1_no_setting_takes_away_what_the_protocol_rests_on() {
    let mine = r#"settings.auth_params = { state = "x", redirect_uri = "https://evil.example", code_challenge = "x", prompt = "consent" }"#;
    let scene = Scene::of(&format!("{OWN_APP}{mine}"), Some(OWN));
    let departure = scene.begin().await.unwrap();
    assert_eq!(param(&departure.url, "state").unwrap(), "state-1");
    assert!(param(&departure.url, "redirect_uri").unwrap().starts_with("https://site.example/"));
    assert_ne!(param(&departure.url, "code_challenge").unwrap(), "x");
    assert_eq!(param(&departure.url, "prompt").unwrap(), "consent");
}

#[tokio::test]
async fn who_says_no_and_who_brings_nothing_gets_nowhere() {
    let scene = Scene::of(OWN_APP, Some(OWN));
    let departure = scene.begin().await.unwrap();
    let cancelled = scene.complete(&departure.memory, &[("error", "access_denied")]).await;
    assert!(matches!(cancelled, Err(ProviderError::Cancelled)));
    for callback in [&[("error", "server_error"), ("code", "c1")][..], &[], &[("code", "")], &[("error", "")]]
    {
        why(scene.complete(&departure.memory, callback).await);
    }
    assert_eq!(scene.idp.calls("/token"), 0);
    for answer in
        [json!({}), json!({ "data": {} }), json!({ "data": { "theAccess": "" } }), json!([]), json!("x")]
    {
        scene.idp.at("/token", Says::Json(answer));
        why(scene.complete(&departure.memory, &[("code", "c1")]).await);
    }
}

#[tokio::test]
async fn tokens_are_refreshed_and_the_former_stays_where_no_new_one_comes() {
    let scene = Scene::new("");
    let provider = &scene.providers.all()[0];
    scene.idp.at("/token", Says::Json(token_answer("")));
    let tokens = scene.providers.refresh(provider, &"rt-0".into()).await.unwrap();
    assert_eq!(tokens.refresh.unwrap().expose_secret(), "rt-1");
    let sent = form(&scene.idp.last("/token"));
    assert_eq!(sent["grant_type"], "refresh_token");
    assert_eq!(sent["refresh_token"], "rt-0");
    assert!(!sent.contains_key("code") && !sent.contains_key("redirect_uri"));
    scene.idp.at("/token", Says::Json(json!({ "access_token": "at-9" })));
    let tokens = scene.providers.refresh(provider, &"rt-0".into()).await.unwrap();
    assert_eq!(tokens.refresh.unwrap().expose_secret(), "rt-0");
    assert_eq!(tokens.expires_at, None);
    scene.idp.at("/token", Says::Status(400, json!({ "error": "invalid_grant" })));
    assert!(matches!(
        scene.providers.refresh(provider, &"rt-0".into()).await,
        Err(ProviderError::Answer(why)) if why == "token request: invalid_grant"
    ));
}
