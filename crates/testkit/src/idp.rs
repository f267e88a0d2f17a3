//! A fake identity provider in process: what providers answer when the server calls them, and what people do there. It
//! plays two providers of OpenID Connect, GitHub, Facebook, and X (by OAuth 1.0a). No socket is opened.

mod keys;
mod person;
mod script;

pub use keys::Signature;
pub use person::Person;
pub use script::{Instead, Script};

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD as BASE64URL};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use url::Url;
use url::form_urlencoded::{self, Serializer};
use vestibule_base::outbound::{Answer, Outbound, OutboundError, Played, Stage};
use vestibule_base::security::{Clock, TestClock};

use crate::app::START;
use keys::Key;
use person::over;

/// How every provider knows us.
pub const CLIENT: &str = "vestibule";
/// What we prove it with.
pub const SECRET: &str = "the secret of our client";
/// The issuer of the app `idp`.
pub const ISSUER: &str = "https://idp.example";
/// The issuer of the app `other`.
pub const OTHER_ISSUER: &str = "https://other.example";

const GITHUB: &str = "github.com";
const GITHUB_API: &str = "api.github.com";
const FACEBOOK: &str = "graph.facebook.com";
const X: &str = "api.x.com";
/// How long access tokens and ID tokens are good, in seconds.
const LIFETIME: i64 = 3600;

/// The fake identity provider. Clones are one.
#[derive(Clone)]
pub struct Idp(Arc<Inner>);

struct Inner {
    clock: Arc<TestClock>,
    state: Mutex<State>,
    script: watch::Sender<Script>,
}

struct State {
    /// By host.
    keys: BTreeMap<String, Key>,
    /// What people have allowed, by the code that tells of it (the request token of OAuth 1.0a).
    allowed: BTreeMap<String, Allowed>,
    /// Whose access and refresh tokens there are.
    tokens: BTreeMap<String, Allowed>,
    calls: Vec<Played>,
    made: u32,
}

#[derive(Clone)]
struct Allowed {
    host: String,
    client: String,
    person: Person,
    redirect_uri: String,
    challenge: Option<String>,
    nonce: Option<String>,
}

/// What the browser brings back from a provider.
#[derive(Debug, Clone)]
pub struct Return {
    /// The path at our site.
    pub path: String,
    /// The parameters, of the query or of a form.
    pub params: Vec<(String, String)>,
}

impl Return {
    /// Path and query.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}?{}", self.path, self.form())
    }

    /// The parameters as a form has them.
    #[must_use]
    pub fn form(&self) -> String {
        Serializer::new(String::new()).extend_pairs(&self.params).finish()
    }

    /// A parameter; empty if there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.params.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The same without a parameter.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.params.retain(|(key, _)| key != name);
        self
    }

    /// The same with another value of a parameter.
    #[must_use]
    pub fn with(self, name: &str, value: &str) -> Self {
        let mut other = self.without(name);
        other.params.push((name.to_owned(), value.to_owned()));
        other
    }
}

impl Default for Idp {
    fn default() -> Self {
        let keys = [("idp.example", Key::rsa("first")), ("other.example", Key::p256("first"))];
        Self(Arc::new(Inner {
            clock: Arc::new(TestClock::at(START)),
            state: Mutex::new(State {
                keys: keys.into_iter().map(|(host, key)| (host.to_owned(), key)).collect(),
                allowed: BTreeMap::new(),
                tokens: BTreeMap::new(),
                calls: Vec::new(),
                made: 0,
            }),
            script: watch::Sender::new(Script::default()),
        }))
    }
}

impl fmt::Debug for Idp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idp").finish_non_exhaustive()
    }
}

impl Idp {
    /// The clock that it goes by, and the server too.
    #[must_use]
    pub fn clock(&self) -> Arc<TestClock> {
        Arc::clone(&self.0.clock)
    }

    /// A client all of whose calls it answers.
    ///
    /// # Panics
    /// If there can be no client.
    #[must_use]
    pub fn outbound(&self) -> Outbound {
        Outbound::new().expect("a client").staged(Arc::new(self.clone()))
    }

    /// The apps at it, in TOML, each with further `settings`: the members of an inline table.
    #[must_use]
    pub fn apps(settings: &str) -> String {
        let app = |id: &str, more: &str| {
            format!(
                "{{ {id}, client_id = '{CLIENT}', secret = '{SECRET}', settings = {{ {more} {settings} }} }}"
            )
        };
        let openid = |id: &str, issuer: &str| {
            let id = format!("provider = 'openid_connect', provider_id = '{id}', name = 'The {id}'");
            app(&id, &format!("server_url = '{issuer}', "))
        };
        let others = ["github", "facebook", "twitter"].map(|id| app(&format!("provider = '{id}'"), ""));
        let (idp, other) = (openid("idp", ISSUER), openid("other", OTHER_ISSUER));
        format!("socialaccount.apps = [{idp}, {other}, {}]\n", others.join(", "))
    }

    /// Does as the script says from now on.
    pub fn play(&self, script: Script) {
        self.0.script.send_replace(script);
    }

    /// Signs by a new key of another kind, and publishes no other any more.
    pub fn rotate_keys(&self, issuer: &str) {
        let mut state = self.state();
        state.made += 1;
        let key = Key::p256(&format!("key-{}", state.made));
        state.keys.insert(host(issuer), key);
    }

    /// All calls so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Played> {
        self.state().calls.clone()
    }

    /// How often a path was called.
    #[must_use]
    pub fn called(&self, path: &str) -> usize {
        self.state().calls.iter().filter(|call| call.url.path() == path).count()
    }

    /// What `person` brings back from the page that `location` leads to, when they agree.
    ///
    /// # Panics
    /// If the page is none of this provider, or lacks what the protocol asks for.
    #[must_use]
    pub fn authorize(&self, location: &str, person: &Person) -> Return {
        let page = Url::parse(location).expect("a URL");
        assert_eq!(page.scheme(), "https", "{location}");
        let asked: BTreeMap<String, String> = page.query_pairs().into_owned().collect();
        let mut state = self.state();
        if page.host_str() == Some(X) {
            return state.authorize_at_x(&asked["oauth_token"], person);
        }
        for needed in ["client_id", "redirect_uri", "response_type", "state", "code_challenge"] {
            assert!(asked.get(needed).is_some_and(|value| !value.is_empty()), "no {needed} in {location}");
        }
        assert_eq!(asked["client_id"], CLIENT);
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["code_challenge_method"], "S256");
        let host = match page.host_str() {
            Some("www.facebook.com") => FACEBOOK,
            Some(host @ ("idp.example" | "other.example" | GITHUB)) => host,
            _ => panic!("nobody is at {location}"),
        };
        let code = state.name("code");
        let allowed = Allowed {
            host: host.to_owned(),
            client: CLIENT.to_owned(),
            person: person.clone(),
            redirect_uri: asked["redirect_uri"].clone(),
            challenge: asked.get("code_challenge").cloned(),
            nonce: asked.get("nonce").cloned(),
        };
        let mut params =
            vec![("code".to_owned(), code.clone()), ("state".to_owned(), asked["state"].clone())];
        if state.keys.contains_key(host) {
            assert!(allowed.nonce.is_some(), "no nonce in {location}");
            params.push(("iss".to_owned(), format!("https://{host}")));
        }
        let path = Url::parse(&allowed.redirect_uri).expect("a URL").path().to_owned();
        state.allowed.insert(code, allowed);
        Return { path, params }
    }

    /// What somebody brings back who does not agree.
    ///
    /// # Panics
    /// As [`Idp::authorize`].
    #[must_use]
    pub fn deny(&self, location: &str) -> Return {
        self.authorize(location, &Person::new("nobody")).without("code").with("error", "access_denied")
    }

    /// An ID token of an issuer for our client, as its own app gets one, each with a name of its own; `claims` lie over the
    /// true ones.
    #[must_use]
    pub fn id_token(&self, issuer: &str, person: &Person, claims: &Value) -> String {
        let named = over(self.claims(issuer, CLIENT, person), &json!({ "jti": self.state().name("token") }));
        let claims = over(named, claims);
        let signature = self.0.script.borrow().signature;
        self.state().keys[&host(issuer)].sign(&claims, signature)
    }

    /// An access token of Facebook for a client.
    #[must_use]
    pub fn access_token(&self, client: &str, person: &Person) -> String {
        let mut state = self.state();
        let allowed = Allowed {
            host: FACEBOOK.to_owned(),
            client: client.to_owned(),
            person: person.clone(),
            redirect_uri: String::new(),
            challenge: None,
            nonce: None,
        };
        let token = state.name("access");
        state.tokens.insert(token.clone(), allowed);
        token
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claims(&self, issuer: &str, client: &str, person: &Person) -> Map<String, Value> {
        let now = self.0.clock.now() / 1000;
        let more = json!({ "iss": issuer, "aud": client, "iat": now, "exp": now + LIFETIME });
        over(person.claims.clone(), &more)
    }

    fn reply(&self, call: &Played) -> Answer {
        let host = call.url.host_str().unwrap_or_default();
        let script = self.0.script.borrow().clone();
        let mut state = self.state();
        match (host, call.url.path()) {
            (X, path) => return state.reply_at_x(path, call),
            ("limited.facebook.com", _) => return json(200, &json!({ "keys": [] })),
            (GITHUB, "/login/oauth/access_token") => {}
            (GITHUB_API, "/user") => return state.profile(GITHUB, call, &script, Person::at_github),
            (GITHUB_API, "/user/emails") => {
                return state.profile(GITHUB, call, &script, Person::emails_at_github);
            }
            (FACEBOOK, path) if path.ends_with("/oauth/access_token") => {
                let app = pairs(call).get("grant_type").map(String::as_str) == Some("client_credentials");
                if app {
                    return json(200, &json!({ "access_token": "the token of the app itself" }));
                }
            }
            (FACEBOOK, path) if path.ends_with("/debug_token") => return state.debug_token(call),
            (FACEBOOK, path) if path.ends_with("/me") => {
                return state.profile(FACEBOOK, call, &script, Person::at_facebook);
            }
            (_, "/.well-known/openid-configuration") if state.keys.contains_key(host) => {
                return json(200, &Value::Object(over(discovery(host), &script.discovery)));
            }
            (_, "/jwks") if state.keys.contains_key(host) => return json(200, &state.keys[host].published()),
            (_, "/userinfo") if state.keys.contains_key(host) => {
                return state.profile(host, call, &script, |person| Value::Object(person.claims.clone()));
            }
            (_, "/token") if state.keys.contains_key(host) => {}
            _ => panic!("nobody is at {}", call.url),
        }
        let Some(allowed) = state.redeem(host, call) else {
            return json(400, &json!({ "error": "invalid_grant" }));
        };
        let mut answer = state.issue(&allowed);
        if let Some(key) = state.keys.get(host) {
            let mut claims = self.claims(&format!("https://{host}"), &allowed.client, &allowed.person);
            claims = over(claims, &json!({ "nonce": allowed.nonce }));
            let token = key.sign(&over(claims, &script.claims), script.signature);
            answer.insert("id_token".to_owned(), token.into());
        }
        json(200, &Value::Object(over(answer, &script.tokens)))
    }
}

impl Stage for Idp {
    fn answer(&self, call: Played) -> Pin<Box<dyn Future<Output = Result<Answer, OutboundError>> + Send>> {
        let idp = self.clone();
        Box::pin(async move {
            idp.state().calls.push(call.clone());
            let path = call.url.path();
            let mut script = idp.0.script.subscribe();
            drop(script.wait_for(|script| !script.is_silent_at(path)).await);
            let instead = script.borrow().instead_at(path);
            instead.unwrap_or_else(|| Ok(idp.reply(&call)))
        })
    }
}

impl State {
    /// A new text that is found again in logs and databases.
    fn name(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}-{:03}-of-the-identity-provider", self.made)
    }

    /// What a code or a refresh token stands for, if the client may have it. It is spent.
    fn redeem(&mut self, host: &str, call: &Played) -> Option<Allowed> {
        let sent = pairs(call);
        let sent = |name: &str| sent.get(name).map_or("", String::as_str);
        let basic = BASE64_STANDARD.encode(format!("{CLIENT}:{}", SECRET.replace(' ', "+")));
        let by_header = header(call, "authorization") == Some(&format!("Basic {basic}"));
        let by_field = sent("client_id") == CLIENT && sent("client_secret") == SECRET;
        if !by_header && !by_field {
            return None;
        }
        let allowed = match sent("grant_type") {
            "refresh_token" => return self.tokens.remove(sent("refresh_token")),
            _ => self.allowed.remove(sent("code"))?,
        };
        let challenge = BASE64URL.encode(Sha256::digest(sent("code_verifier")));
        let fits = allowed.host == host
            && allowed.redirect_uri == sent("redirect_uri")
            && allowed.challenge == Some(challenge);
        fits.then_some(allowed)
    }

    /// The token endpoint's answer.
    fn issue(&mut self, allowed: &Allowed) -> Map<String, Value> {
        let (access, refresh) = (self.name("access"), self.name("refresh"));
        for token in [&access, &refresh] {
            self.tokens.insert(token.clone(), allowed.clone());
        }
        let answer = json!({
            "access_token": access, "refresh_token": refresh, "token_type": "bearer", "expires_in": LIFETIME,
        });
        over(Map::new(), &answer)
    }

    /// What is told to whoever has an access token.
    fn profile(&self, host: &str, call: &Played, script: &Script, tell: fn(&Person) -> Value) -> Answer {
        let bearer =
            header(call, "authorization").and_then(|value| value.split_once(' ')).map(|(_, token)| token);
        let query: BTreeMap<String, String> = call.url.query_pairs().into_owned().collect();
        let token = bearer.or(query.get("access_token").map(String::as_str)).unwrap_or_default();
        match self.tokens.get(token).filter(|allowed| allowed.host == host) {
            Some(allowed) => json(
                200,
                &match tell(&allowed.person) {
                    Value::Object(told) => Value::Object(over(told, &script.profile)),
                    told => told,
                },
            ),
            None => json(401, &json!({ "error": "invalid_token" })),
        }
    }

    fn debug_token(&self, call: &Played) -> Answer {
        let asked: BTreeMap<String, String> = call.url.query_pairs().into_owned().collect();
        let found = self.tokens.get(&asked["input_token"]);
        let app = found.map(|allowed| allowed.client.clone());
        json(200, &json!({ "data": { "app_id": app, "is_valid": app.is_some() } }))
    }

    fn authorize_at_x(&mut self, request_token: &str, person: &Person) -> Return {
        let allowed = self.allowed.get_mut(request_token).expect("a request token");
        allowed.person = person.clone();
        let params = [("oauth_token", request_token), ("oauth_verifier", "the verifier")];
        let params = params.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Return { path: "/accounts/twitter/login/callback/".to_owned(), params }
    }

    /// OAuth 1.0a; signatures are not checked.
    fn reply_at_x(&mut self, path: &str, call: &Played) -> Answer {
        let signed = header(call, "authorization").map_or("", String::as_str);
        let form = pairs(call);
        let sent = |name: &str| {
            if let Some(value) = form.get(name) {
                return Some(value.clone());
            }
            let start = signed.find(&format!("{name}=\""))? + name.len() + 2;
            signed[start..].split('"').next().map(str::to_owned)
        };
        let token = sent("oauth_token").unwrap_or_default();
        let tokens = |token: &str| Answer {
            status: 200,
            media_type: "application/x-www-form-urlencoded".to_owned(),
            text: format!(
                "oauth_token={token}&oauth_token_secret=secret-of-{token}&oauth_callback_confirmed=true"
            ),
        };
        match path {
            "/oauth/request_token" => {
                let name = self.name("request");
                let allowed = Allowed {
                    host: X.to_owned(),
                    client: CLIENT.to_owned(),
                    person: Person::new("nobody"),
                    redirect_uri: String::new(),
                    challenge: None,
                    nonce: None,
                };
                self.allowed.insert(name.clone(), allowed);
                tokens(&name)
            }
            "/oauth/access_token" => {
                let allowed = self.allowed.remove(&token);
                let verified = sent("oauth_verifier").is_some_and(|verifier| verifier.starts_with("the"));
                match allowed.filter(|_| verified) {
                    Some(allowed) => {
                        let name = self.name("access");
                        self.tokens.insert(name.clone(), allowed);
                        tokens(&name)
                    }
                    None => json(401, &json!({})),
                }
            }
            _ => match self.tokens.get(&token) {
                Some(allowed) => json(200, &allowed.person.at_x()),
                None => json(401, &json!({})),
            },
        }
    }
}

fn discovery(host: &str) -> Map<String, Value> {
    let at = |path: &str| format!("https://{host}/{path}");
    let document = json!({
        "issuer": format!("https://{host}"),
        "authorization_endpoint": at("authorize"),
        "token_endpoint": at("token"),
        "userinfo_endpoint": at("userinfo"),
        "jwks_uri": at("jwks"),
        "authorization_response_iss_parameter_supported": true,
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    });
    over(Map::new(), &document)
}

/// The parameters of a call, of its query and its form.
fn pairs(call: &Played) -> BTreeMap<String, String> {
    let form = form_urlencoded::parse(call.body.as_bytes()).into_owned();
    call.url.query_pairs().into_owned().chain(form).collect()
}

fn header<'a>(call: &'a Played, name: &str) -> Option<&'a String> {
    call.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

fn host(issuer: &str) -> String {
    issuer.trim_start_matches("https://").to_owned()
}

fn json(status: u16, value: &Value) -> Answer {
    Answer { status, media_type: "application/json".to_owned(), text: value.to_string() }
}
