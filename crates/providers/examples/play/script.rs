//! The stage on which a case is played: answers requests as the case says, and notes what is not as listed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use url::{Url, form_urlencoded};
use vestibule_base::outbound::{Answer, OutboundError, Played, Stage};

use crate::case::{Case, Listed, Response};
use crate::difference::Difference;
use crate::keys::{Keys, believed};
use crate::placeholder::Known;
use crate::request;
use crate::rule::{Rule, Used};

/// The stage for one case.
pub(crate) struct Script {
    case: Arc<Case>,
    keys: Arc<Keys>,
    state: &'static str,
    now: i64,
    progress: Mutex<Progress>,
}

/// What happened so far.
#[derive(Default)]
struct Progress {
    /// The listed requests that were sent, by their places.
    sent: BTreeSet<usize>,
    /// The first listed request that may come next.
    next: usize,
    code_challenge: Option<String>,
    nonce: Option<String>,
    verified: bool,
    token_secret: String,
    replaced: BTreeMap<String, String>,
    differences: Vec<Difference>,
    used: Used,
}

/// What there is to say when the play is over.
pub(crate) struct Review {
    pub(crate) differences: Vec<Difference>,
    pub(crate) used: Used,
    /// Texts of the case, and what was brought in their place: ID tokens, and values in them.
    pub(crate) replaced: BTreeMap<String, String>,
    pub(crate) nonce: Option<String>,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("case", &self.case.case).finish_non_exhaustive()
    }
}

impl Stage for Script {
    fn answer(&self, played: Played) -> Pin<Box<dyn Future<Output = Result<Answer, OutboundError>> + Send>> {
        let answer = self.answered(&played);
        Box::pin(std::future::ready(answer))
    }
}

impl Script {
    /// A stage for this case. `state` is what its redirect will be named by, `now` the present second.
    pub(crate) fn new(case: Arc<Case>, keys: Arc<Keys>, state: &'static str, now: i64) -> Self {
        Self { case, keys, state, now, progress: Mutex::default() }
    }

    /// What the authorization request bore: challenge and nonce count from here on.
    pub(crate) fn departed(&self, code_challenge: Option<String>, nonce: Option<String>) {
        let mut progress = self.progress();
        progress.code_challenge = code_challenge;
        progress.nonce = nonce;
    }

    /// What values are judged by.
    pub(crate) fn known(&self) -> Known<'_> {
        self.known_in(&self.progress())
    }

    /// An ID token as it comes in this login: with the nonce that was asked for.
    pub(crate) fn brought(&self, token: &str) -> String {
        self.progress().signed_again(token, None, &self.keys)
    }

    /// Closes the play. Whoever wants an error needs not go on once an answer says that there is one.
    pub(crate) fn review(&self, wants_error: bool) -> Review {
        let mut progress = self.progress();
        let listed = &self.case.requests;
        let fails = |listed: &Listed| listed.response.as_ref().is_none_or(Response::is_error);
        let enough = listed.iter().position(fails).map_or(listed.len(), |at| at + 1);
        for (at, request) in listed.iter().enumerate() {
            // Keys and descriptions may be needless by then; but if some were fetched, then these.
            let needless = is_fetch(request) && !progress.used.contains(&Rule::Signature);
            if progress.sent.contains(&at) || (wants_error && (at >= enough || needless)) {
                continue;
            }
            let again = |&other: &usize| listed.get(other).is_some_and(|other| other.url == request.url);
            if is_fetch(request) && progress.sent.iter().any(again) {
                progress.used.insert(Rule::Discovery);
                continue;
            }
            let what = format!("request {} is not sent", at + 1);
            progress
                .differences
                .push(Difference::missing(what, format!("{} {}", request.method, request.url)));
        }
        if progress.code_challenge.is_some() && !progress.verified && !wants_error {
            progress
                .differences
                .push(Difference::missing("the PKCE challenge is never met", "code_verifier"));
        }
        Review {
            differences: std::mem::take(&mut progress.differences),
            used: progress.used.clone(),
            replaced: progress.replaced.clone(),
            nonce: progress.nonce.clone(),
        }
    }

    fn answered(&self, played: &Played) -> Result<Answer, OutboundError> {
        let mut progress = self.progress();
        let place = self.place(&progress, played);
        let Some((at, listed)) = place.and_then(|at| Some((at, self.case.requests.get(at)?))) else {
            return self.answered_unlisted(&mut progress, played);
        };
        let checked = {
            let known = self.known_in(&progress);
            request::check(at + 1, listed, played, &known, &progress.token_secret)
        };
        progress.differences.extend(checked.differences);
        progress.used.extend(&checked.used);
        progress.verified |= checked.verified;
        progress.sent.insert(at);
        if !is_fetch(listed) {
            progress.next = at + 1;
        }
        let response = listed
            .response
            .as_ref()
            .ok_or_else(|| OutboundError::Unreachable("the case says so".to_owned()))?;
        let mut text = response.text();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            if name == "oauth_token_secret" {
                progress.token_secret = value.into_owned();
            }
        }
        let access_token = access_token(&text);
        for token in id_tokens(&text) {
            let again = progress.signed_again(&token, access_token.as_deref(), &self.keys);
            text = text.replace(&token, &again);
        }
        let media_type = response.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let media_type = media_type.map(|(_, value)| value.as_str()).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        // A mock without a status succeeded.
        let status = if response.status == 0 { 200 } else { response.status };
        Ok(Answer { status, media_type, text })
    }

    /// The listed request that this is. Keys and descriptions may be fetched at any time, and again.
    fn place(&self, progress: &Progress, played: &Played) -> Option<usize> {
        let mut candidates: Vec<usize> = (0..self.case.requests.len()).collect();
        candidates.retain(|at| {
            self.case.requests.get(*at).is_some_and(|listed| {
                (*at >= progress.next || is_fetch(listed)) && request::same_endpoint(listed, played)
            })
        });
        let fresh = candidates.iter().find(|at| !progress.sent.contains(at));
        fresh.or(candidates.last()).copied()
    }

    fn answered_unlisted(&self, progress: &mut Progress, played: &Played) -> Result<Answer, OutboundError> {
        let json = |value: &Value| Answer {
            status: 200,
            media_type: "application/json".to_owned(),
            text: value.to_string(),
        };
        let path = played.url.path();
        if played.method == "GET" && is_description(path) {
            progress.used.insert(Rule::Discovery);
            let issuer = played.url.as_str().replace(DESCRIPTION, "");
            return Ok(json(&json!({
                "issuer": issuer,
                "authorization_endpoint": self.case.authorize.as_ref().map(|authorize| &authorize.url),
                "token_endpoint": format!("{issuer}/token"),
                "jwks_uri": format!("{issuer}/jwks"),
            })));
        }
        if played.method == "GET" && is_key_set(path) {
            progress.used.insert(Rule::Signature);
            return Ok(json(self.keys.served_at(path)));
        }
        let request = format!("{} {}", played.method, played.url);
        progress.differences.push(Difference::surplus("a request that is not listed", request));
        Err(OutboundError::Unreachable("the case does not list it".to_owned()))
    }

    fn known_in(&self, progress: &Progress) -> Known<'_> {
        Known {
            state: self.state,
            code_challenge: progress.code_challenge.clone(),
            app: &self.case.app,
            now: self.now,
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    /// The token with the nonce that was asked for, and as the companion of the access token, if it has to be.
    fn signed_again(&mut self, token: &str, access_token: Option<&str>, keys: &Keys) -> String {
        let mut other = Map::new();
        if let Some(nonce) = &self.nonce {
            other.insert("nonce".to_owned(), nonce.clone().into());
        }
        let hash = believed(token).and_then(|claims| Some(claims.get("at_hash")?.as_str()?.to_owned()));
        if let (Some(hash), Some(access_token)) = (hash, access_token) {
            let right = access_token_hash(access_token);
            if right != hash {
                self.used.insert(Rule::AccessTokenHash);
                other.insert("at_hash".to_owned(), right.clone().into());
                self.replaced.insert(hash, right);
            }
        }
        let again = keys.with_claims(token, other).unwrap_or_else(|| token.to_owned());
        self.replaced.insert(token.to_owned(), again.clone());
        again
    }
}

const DESCRIPTION: &str = "/.well-known/openid-configuration";

fn is_description(path: &str) -> bool {
    path.ends_with(DESCRIPTION)
}

fn is_key_set(path: &str) -> bool {
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    ["certs", "jwks", "jwks.json", "keys"].contains(&last)
}

/// Whether a listed request fetches keys or a server's description: things that are kept.
fn is_fetch(listed: &Listed) -> bool {
    let is_keys = |body: &Value| body.get("keys").is_some_and(Value::is_array);
    let is_certificates = |body: &Value| {
        body.as_object().is_some_and(|body| {
            !body.is_empty()
                && body.values().all(|value| {
                    value.as_str().is_some_and(|text| text.starts_with("-----BEGIN CERTIFICATE"))
                })
        })
    };
    let body = listed.response.as_ref().and_then(Response::json);
    listed.method == "GET"
        && (Url::parse(&listed.url).is_ok_and(|url| is_description(url.path()))
            || body.is_some_and(|body| is_keys(&body) || is_certificates(&body)))
}

/// The access token of an answer in JSON.
fn access_token(text: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(text).ok()?;
    answer.get("access_token")?.as_str().map(str::to_owned)
}

/// `at_hash` of a token that is signed with SHA-256 (OpenID Connect Core 1.0, 3.1.3.6).
fn access_token_hash(access_token: &str) -> String {
    let hash = Sha256::digest(access_token);
    BASE64_URL_SAFE_NO_PAD.encode(hash.split_at(hash.len() / 2).0)
}

/// The signed tokens in an answer.
fn id_tokens(text: &str) -> Vec<String> {
    let candidates = text.split(['"', '&', '=', ' ', '\n']);
    let is_token = |text: &&str| text.starts_with("eyJ") && text.matches('.').count() == 2;
    candidates.filter(is_token).map(str::to_owned).collect()
}
