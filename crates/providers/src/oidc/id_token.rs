//! ID tokens (OpenID Connect Core 1.0, 3.1.3.7): signed statements of a provider about a person, for one client.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256, Sha384, Sha512};
use vestibule_base::security::clock::SECOND;
use vestibule_base::security::{Millis, same};

use super::keys::KeySet;
use crate::error::ProviderError;
use crate::json;
use crate::login::Replay;
use crate::world::World;

/// How far the provider's clock may be from ours.
const LEEWAY: Millis = 60 * SECOND;
/// Two tokens without a name that a provider signs in one second are the same text: for this long they pass for two.
const ALIKE: Millis = 5 * SECOND;
/// No ID token is longer: those with many groups have some ten thousand characters.
const LONGEST: usize = 64 * 1024;

/// What an ID token must say.
#[derive(Debug, Clone)]
pub(crate) struct Expected<'a> {
    /// Who wrote it.
    pub(crate) issuer: &'a str,
    /// The names by which the provider knows us: it is for one of them.
    pub(crate) audiences: &'a [String],
    /// The algorithms that the provider says it signs by, where it says so.
    pub(crate) algorithms: Option<Vec<&'a str>>,
    /// What was sent along with the person, to come back in the token.
    pub(crate) nonce: Option<&'a str>,
    /// The access token that came with it.
    pub(crate) access_token: Option<&'a str>,
}

/// An ID token that is true.
pub(crate) struct Proven {
    /// What it says.
    pub(crate) claims: Map<String, Value>,
    /// What makes it usable once.
    pub(crate) replay: Replay,
}

/// Checks a token. `keys` are those at hand, `newer` those that the provider has by now: it may have changed them since.
///
/// # Errors
/// `Answer` if it proves nothing; what `keys` says.
pub(super) async fn verify<K, N>(
    world: &World,
    token: &str,
    expected: &Expected<'_>,
    keys: impl FnOnce() -> K,
    newer: impl FnOnce(Arc<KeySet>) -> N,
) -> Result<Proven, ProviderError>
where
    K: Future<Output = Result<Arc<KeySet>, ProviderError>>,
    N: Future<Output = Option<Arc<KeySet>>>,
{
    let header = header(token, expected).map_err(refused)?;
    let known = keys().await?;
    let claims = match signed(token, &header, &known) {
        Signature::Good(claims) => claims,
        Signature::Bad => return Err(refused("signature")),
        Signature::NoKey => match newer(known).await.map(|keys| signed(token, &header, &keys)) {
            Some(Signature::Good(claims)) => claims,
            _ => return Err(refused("no key of the provider has signed it")),
        },
    };
    let expires_at = check(&claims, header.alg, expected, world.clock.now()).map_err(refused)?;
    let again_within = if claims.get("jti").is_some_and(Value::is_string) { 0 } else { ALIKE };
    let replay = Replay { key: replay_key(&claims, expected.issuer, token), expires_at, again_within };
    Ok(Proven { claims, replay })
}

/// A person's name, there, as text: decimal for the providers that give a number.
#[must_use]
pub(crate) fn subject(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

/// Whether a token says that it is signed by one of these algorithms.
pub(crate) fn is_signed_by(token: &str, algorithms: &[&str]) -> bool {
    jsonwebtoken::decode_header(token)
        .is_ok_and(|header| algorithms.contains(&format!("{:?}", header.alg).as_str()))
}

/// What is wrong with a token, in a word.
type Flaw = &'static str;

fn refused(flaw: Flaw) -> ProviderError {
    ProviderError::answer(format!("id_token: {flaw}"))
}

fn header(token: &str, expected: &Expected<'_>) -> Result<Header, Flaw> {
    if token.len() > LONGEST {
        return Err("too long");
    }
    // An algorithm that is none of JWS, `none` above all, is no header.
    let header = jsonwebtoken::decode_header(token).map_err(|_| "malformed")?;
    if matches!(header.alg, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) {
        return Err("symmetric algorithm");
    }
    let name = format!("{:?}", header.alg);
    if expected.algorithms.as_ref().is_some_and(|all| !all.contains(&name.as_str())) {
        return Err("the provider does not sign by this algorithm");
    }
    if header.crit.is_some() {
        return Err("its header demands more than we know");
    }
    // An access token or a logout token says so here (RFC 8725, 3.11), and may otherwise look the same.
    if header.typ.as_ref().is_some_and(|typ| typ.to_ascii_lowercase().ends_with("+jwt")) {
        return Err("it is another kind of token");
    }
    Ok(header)
}

enum Signature {
    Good(Map<String, Value>),
    /// The key that the token names has not signed it.
    Bad,
    /// There is no key of that name, and none without a name has signed it.
    NoKey,
}

fn signed(token: &str, header: &Header, keys: &KeySet) -> Signature {
    let id = header.kid.as_deref();
    let mut named = false;
    for key in keys.fitting(id, header.alg) {
        if let Some(claims) = signed_by(token, header.alg, &key.verifying) {
            return Signature::Good(claims);
        }
        named |= id.is_some() && key.id.as_deref() == id;
    }
    if named { Signature::Bad } else { Signature::NoKey }
}

fn signed_by(token: &str, algorithm: Algorithm, key: &DecodingKey) -> Option<Map<String, Value>> {
    let mut validation = Validation::new(algorithm);
    // Time comes from our own clock: the claims are checked below.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    jsonwebtoken::decode::<IgnoredAny>(token, key, &validation).ok()?;
    let claims = token.split('.').nth(1)?;
    let claims = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    match json::parse(&claims) {
        Ok(Value::Object(claims)) => Some(claims),
        _ => None,
    }
}

fn check(
    claims: &Map<String, Value>,
    algorithm: Algorithm,
    expected: &Expected<'_>,
    now: Millis,
) -> Result<Millis, Flaw> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return Err("issuer");
    }
    check_audience(claims, expected.audiences)?;
    let expires_at = moment(claims, "exp")?.ok_or("it never expires")?.saturating_add(LEEWAY);
    if now >= expires_at {
        return Err("expired");
    }
    if moment(claims, "iat")?.ok_or("no time of issue")? > now.saturating_add(LEEWAY) {
        return Err("issued in the future");
    }
    if moment(claims, "nbf")?.is_some_and(|since| since > now.saturating_add(LEEWAY)) {
        return Err("not valid yet");
    }
    if let Some(nonce) = expected.nonce
        && !text("nonce").is_some_and(|theirs| same(theirs.as_bytes(), nonce.as_bytes()))
    {
        return Err("nonce");
    }
    subject(claims.get("sub")).ok_or("no subject")?;
    if let (Some(hash), Some(token)) = (claims.get("at_hash"), expected.access_token)
        && hash.as_str() != Some(&access_token_hash(algorithm, token))
    {
        return Err("it belongs to another access token");
    }
    Ok(expires_at)
}

/// What tells a token from all others: its name, else what is signed. The signature itself may have several spellings.
fn replay_key(claims: &Map<String, Value>, issuer: &str, token: &str) -> String {
    match claims.get("jti").and_then(Value::as_str) {
        Some(jti) => format!("{issuer} {jti}"),
        None => {
            let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
            format!("{issuer} {}", BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(signed)))
        }
    }
}

/// It is for us; where it is for others too and says who asked for it, it was us. (For us alone, an app of ours with a
/// client of its own may have asked.)
fn check_audience(claims: &Map<String, Value>, ours: &[String]) -> Result<(), Flaw> {
    let is_us = |name: &Value| name.as_str().is_some_and(|name| ours.iter().any(|our| our == name));
    let audiences = match claims.get("aud") {
        Some(Value::Array(audiences)) => audiences.as_slice(),
        Some(audience) => std::slice::from_ref(audience),
        None => &[],
    };
    if !audiences.iter().any(is_us) {
        return Err("audience");
    }
    let others = audiences.iter().any(|audience| !is_us(audience));
    let asked_by_another = claims.get("azp").is_some_and(|azp| !is_us(azp));
    if others && asked_by_another { Err("authorized party") } else { Ok(()) }
}

/// A NumericDate (RFC 7519), which may have a fraction.
fn moment(claims: &Map<String, Value>, name: &str) -> Result<Option<Millis>, Flaw> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| seconds.is_finite()).ok_or("a time that is none")?;
    #[expect(clippy::cast_possible_truncation, reason = "as saturates, and milliseconds are exact enough")]
    Ok(Some((seconds * 1000.0) as Millis))
}

/// `at_hash` (OpenID Connect Core 1.0, 3.1.3.6): the left half of the hash that the signature is made with.
fn access_token_hash(algorithm: Algorithm, token: &str) -> String {
    let hash = match algorithm {
        Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384 => Sha384::digest(token).to_vec(),
        Algorithm::RS512 | Algorithm::PS512 | Algorithm::EdDSA => Sha512::digest(token).to_vec(),
        _ => Sha256::digest(token).to_vec(),
    };
    let (left, _) = hash.split_at(hash.len() / 2);
    BASE64_URL_SAFE_NO_PAD.encode(left)
}
