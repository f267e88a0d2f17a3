//! Logins at an identity provider that lives in this process, and lies when it is told to.

mod attacks;
mod flows;
mod id_tokens;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use url::Url;
use vestibule_base::config::App;
use vestibule_base::outbound::{Answer, Outbound, OutboundError, Played, Stage};
use vestibule_base::security::{Clock, Millis, TestClock};

use crate::error::ProviderError;
use crate::login::{Arrival, Callback, Departure, Memory, Presented, Start};
use crate::providers::Providers;
use crate::rehearsal::NOW;
use crate::world::World;

pub(super) const ISSUER: &str = "https://idp.example";
pub(super) const CLIENT: &str = "client-1";
/// A key that was made for tests, and its certificate.
const RSA_KEY: &str = include_str!("rsa_key.pem");
pub(super) const RSA_CERTIFICATE: &str = include_str!("rsa_certificate.pem");

/// An app at the provider of these tests; further settings are put behind it.
pub(super) const APP: &str = r#"
provider = "openid_connect"
provider_id = "idp"
client_id = "client-1"
secret = "s3cret"
settings.server_url = "https://idp.example"
"#;

/// What the provider does at a URL.
#[derive(Debug, Clone)]
pub(super) enum Says {
    Json(Value),
    Status(u16, Value),
    Down,
    Huge,
}

/// The provider.
#[derive(Debug)]
pub(super) struct Idp {
    clock: Arc<TestClock>,
    says: Mutex<HashMap<String, Says>>,
    asked: Mutex<Vec<Played>>,
}

impl Stage for Idp {
    fn answer(&self, played: Played) -> Pin<Box<dyn Future<Output = Result<Answer, OutboundError>> + Send>> {
        let mut url = played.url.clone();
        url.set_query(None);
        self.asked.lock().unwrap().push(played);
        let says = self.says.lock().unwrap().get(url.as_str()).cloned();
        Box::pin(async move {
            // Whoever else wants the same comes in between.
            tokio::task::yield_now().await;
            let (status, body) = match says {
                Some(Says::Json(body)) => (200, body),
                Some(Says::Status(status, body)) => (status, body),
                Some(Says::Down) => return Err(OutboundError::Timeout),
                Some(Says::Huge) => return Err(OutboundError::TooLarge),
                None => (404, Value::Null),
            };
            Ok(Answer { status, media_type: "application/json".to_owned(), text: body.to_string() })
        })
    }
}

/// A key of the provider.
pub(super) struct Signer {
    pub(super) algorithm: Algorithm,
    key: EncodingKey,
    pub(super) id: Option<String>,
}

impl Signer {
    pub(super) fn rsa(id: &str) -> Self {
        let key = EncodingKey::from_rsa_pem(RSA_KEY.as_bytes()).unwrap();
        Self { algorithm: Algorithm::RS256, key, id: Some(id.to_owned()) }
    }

    pub(super) fn ec(id: &str) -> Self {
        let pair =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let key = EncodingKey::from_ec_der(pair.as_ref());
        Self { algorithm: Algorithm::ES256, key, id: Some(id.to_owned()) }
    }

    pub(super) fn ed(id: &str) -> Self {
        let pair = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).unwrap();
        let key = EncodingKey::from_ed_der(pair.as_ref());
        Self { algorithm: Algorithm::EdDSA, key, id: Some(id.to_owned()) }
    }

    pub(super) fn with(self, algorithm: Algorithm) -> Self {
        Self { algorithm, ..self }
    }

    pub(super) fn unnamed(self) -> Self {
        Self { id: None, ..self }
    }

    /// The public half, as it is published; `more` is added.
    pub(super) fn jwk(&self, more: Value) -> Value {
        let mut jwk =
            serde_json::to_value(Jwk::from_encoding_key(&self.key, self.algorithm).unwrap()).unwrap();
        let object = jwk.as_object_mut().unwrap();
        object.remove("alg");
        if let Some(id) = &self.id {
            object.insert("kid".to_owned(), id.as_str().into());
        }
        object.extend(more.as_object().unwrap().clone());
        jwk
    }

    pub(super) fn sign(&self, claims: &Value) -> String {
        self.sign_with(Header { kid: self.id.clone(), ..Header::new(self.algorithm) }, claims)
    }

    pub(super) fn sign_with(&self, header: Header, claims: &Value) -> String {
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }
}

/// A server with one app, and its provider.
pub(super) struct Scene {
    pub(super) idp: Arc<Idp>,
    pub(super) clock: Arc<TestClock>,
    pub(super) providers: Providers,
}

impl Scene {
    /// With [`APP`], these settings behind it, and a provider that signs with `rsa-1`.
    pub(super) fn new(settings: &str) -> Self {
        Self::of(&format!("{APP}{settings}"), None)
    }

    pub(super) fn of(app: &str, catalogue: Option<&str>) -> Self {
        // Certificates are read once: that takes a while.
        static OUTBOUND: LazyLock<Outbound> = LazyLock::new(|| Outbound::new().unwrap());
        let clock = Arc::new(TestClock::at(NOW));
        let idp = Arc::new(Idp { clock: clock.clone(), says: Mutex::default(), asked: Mutex::default() });
        let world = World {
            outbound: OUTBOUND.clone().staged(idp.clone()),
            clock: clock.clone(),
            site: "https://site.example".parse().unwrap(),
            patience: Duration::from_secs(5),
            query_email: true,
            store_tokens: false,
            oidc_prefix: "oidc".to_owned(),
        };
        let app: App = toml::from_str(app).unwrap();
        let providers = Providers::new(&[app], catalogue, world).unwrap();
        idp.at("/.well-known/openid-configuration", Says::Json(document()));
        idp.publish(&[&Signer::rsa("rsa-1")]);
        idp.at("/userinfo", Says::Json(json!({ "sub": "u1", "email": "kim@mail.example" })));
        Self { idp, clock, providers }
    }

    pub(super) async fn begin(&self) -> Result<Departure, ProviderError> {
        let provider = &self.providers.all()[0];
        self.providers.begin(provider, Start { state: "state-1", query: &[] }).await
    }

    pub(super) async fn complete(
        &self,
        memory: &Memory,
        callback: &[(&str, &str)],
    ) -> Result<Arrival, ProviderError> {
        let params = callback.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let callback = Callback { params: params.collect() };
        self.providers.complete(&self.providers.all()[0], memory, &callback).await
    }

    /// A whole login, in which the provider signs these claims, after `change` has been at them.
    pub(super) async fn login(
        &self,
        signer: &Signer,
        change: impl FnOnce(&mut Value),
    ) -> Result<Arrival, ProviderError> {
        let departure = self.begin().await?;
        let mut claims = self.idp.claims();
        claims["nonce"] = param(&departure.url, "nonce").unwrap().into();
        change(&mut claims);
        self.idp.at("/token", Says::Json(token_answer(&signer.sign(&claims))));
        self.complete(&departure.memory, &[("code", "c1"), ("state", "state-1")]).await
    }

    /// A client brings a token.
    pub(super) async fn bring(&self, id_token: &str) -> Result<Arrival, ProviderError> {
        let presented = Presented { id_token: Some(id_token.into()), access_token: None };
        self.providers.verify_token(&self.providers.all()[0], &presented).await
    }
}

impl Idp {
    pub(super) fn at(&self, path: &str, says: Says) {
        let url = if path.starts_with('/') { format!("{ISSUER}{path}") } else { path.to_owned() };
        self.says.lock().unwrap().insert(url, says);
    }

    pub(super) fn publish(&self, signers: &[&Signer]) {
        let keys: Vec<_> = signers.iter().map(|signer| signer.jwk(json!({ "use": "sig" }))).collect();
        self.at("/keys", Says::Json(json!({ "keys": keys })));
    }

    /// Claims that are true, now.
    pub(super) fn claims(&self) -> Value {
        let now = self.now();
        json!({ "iss": ISSUER, "aud": CLIENT, "sub": "u1", "iat": now, "exp": now + 300 })
    }

    /// In seconds, as tokens have it.
    pub(super) fn now(&self) -> Millis {
        self.clock.now() / 1000
    }

    /// How often a path was asked for.
    pub(super) fn calls(&self, path: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|played| played.url.path() == path).count()
    }

    /// The latest request for a path.
    pub(super) fn last(&self, path: &str) -> Played {
        self.asked.lock().unwrap().iter().rfind(|played| played.url.path() == path).unwrap().clone()
    }
}

pub(super) fn document() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://idp.example/authorize",
        "token_endpoint": "https://idp.example/token",
        "userinfo_endpoint": "https://idp.example/userinfo",
        "jwks_uri": "https://idp.example/keys",
    })
}

pub(super) fn token_answer(id_token: &str) -> Value {
    json!({ "access_token": "at-1", "refresh_token": "rt-1", "expires_in": 3600, "id_token": id_token })
}

/// A parameter of a URL.
pub(super) fn param(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).unwrap();
    let mut all = url.query_pairs().filter(|(key, _)| key == name);
    let value = all.next().map(|(_, value)| value.into_owned());
    assert!(all.next().is_none(), "{name} comes twice");
    value
}

/// Fields of a form.
pub(super) fn form(played: &Played) -> HashMap<String, String> {
    url::form_urlencoded::parse(played.body.as_bytes()).into_owned().collect()
}

/// Why it was refused: the error must be one of an answer or of what was brought.
pub(super) fn why(result: Result<Arrival, ProviderError>) -> String {
    match result {
        Err(ProviderError::Answer(why) | ProviderError::Brought(why)) => why.into_owned(),
        other => panic!("{other:?}"),
    }
}
