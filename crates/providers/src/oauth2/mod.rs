//! Logins by OAuth 2.0 (RFC 6749, RFC 7636, RFC 9207) and by OpenID Connect, which is the same with discovery and ID tokens:
//! what the catalogue's entry says, in the order of the protocol.

mod authorize;
mod flow;
mod person;
mod token;

#[cfg(test)]
mod tests;

pub(crate) use authorize::begin;
pub(crate) use token::refresh;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::error::ProviderError;
use crate::login::{Arrival, Callback, Memory, Presented, Tokens};
use crate::oidc::{Oidc, Proven};
use crate::provider::Provider;
use crate::world::World;
use flow::{Flow, Login};

/// What an authorization server answers when the person has said no.
const CANCELLED: &str = "access_denied";

/// The second half of a login: what the browser brought back is turned into tokens, and these into a person.
///
/// # Errors
/// Any of [`ProviderError`].
pub(crate) async fn complete(
    world: &World,
    oidc: &Oidc,
    provider: &Provider,
    memory: &Memory,
    callback: &Callback,
) -> Result<Arrival, ProviderError> {
    let flow = Flow::open(world, oidc, provider, memory).await?;
    flow.check_sender(callback)?;
    if let Some(error) = callback.get("error") {
        return Err(if error == CANCELLED { ProviderError::Cancelled } else { refusal("error", error) });
    }
    if let Some(quirk) = provider.quirk() {
        quirk.callback(provider, memory, callback)?;
    }
    let (answer, tokens) = token::exchange(&flow, memory, callback).await?;
    let access_token = tokens.access.expose_secret();
    let id_token = answer.get("id_token").and_then(Value::as_str).filter(|_| flow.reads_id_tokens());
    let proven = match id_token {
        Some(id_token) => {
            let nonce = memory.0.get(authorize::NONCE).map(String::as_str);
            if nonce.is_none() && provider.nonce() {
                return Err(ProviderError::brought("no login was begun with a nonce"));
            }
            Some(flow.verify_id_token(id_token, nonce, Some(access_token)).await?)
        }
        None => None,
    };
    let claims = proven.map(|proven| Value::Object(proven.claims));
    let login = Login { callback, token_answer: &answer, access_token };
    let identity = person::ask(&flow, login, claims).await?;
    Ok(Arrival { identity, tokens: Some(tokens), replay: None })
}

/// Who it is whose token a client has brought.
///
/// # Errors
/// `Brought` if the token proves nothing; else any of [`ProviderError`].
pub(crate) async fn verify_token(
    world: &World,
    oidc: &Oidc,
    provider: &Provider,
    presented: &Presented,
) -> Result<Arrival, ProviderError> {
    let vouched =
        provider.quirk().and_then(|quirk| quirk.vouch(world, provider, presented.access_token.as_ref()?));
    if let Some(vouched) = vouched {
        return by_access_token(world, oidc, provider, vouched.await?).await;
    }
    let id_token =
        presented.id_token.as_ref().ok_or_else(|| ProviderError::brought("no token that counts"))?;
    let (memory, callback) = (Memory::default(), Callback::default());
    let flow = Flow::open(world, oidc, provider, &memory).await?;
    let access_token = presented.access_token.as_ref().map(SecretString::expose_secret);
    let proven = flow.verify_id_token(id_token.expose_secret(), None, access_token).await;
    let Proven { claims, replay } = proven.map_err(as_brought)?;
    let login = Login {
        callback: &callback,
        token_answer: &Value::Null,
        access_token: access_token.unwrap_or_default(),
    };
    let identity = person::of_claims(&flow, login, claims)?;
    Ok(Arrival { identity, tokens: None, replay: Some(replay) })
}

/// Goes on with an access token that the provider has said to be for us.
async fn by_access_token(
    world: &World,
    oidc: &Oidc,
    provider: &Provider,
    tokens: Tokens,
) -> Result<Arrival, ProviderError> {
    let (memory, callback) = (Memory::default(), Callback::default());
    let flow = Flow::open(world, oidc, provider, &memory).await?;
    let access_token = tokens.access.expose_secret();
    let answer = json!({ "access_token": access_token });
    let login = Login { callback: &callback, token_answer: &answer, access_token };
    let identity = person::ask(&flow, login, None).await?;
    Ok(Arrival { identity, tokens: Some(tokens), replay: None })
}

/// An error that a provider names, by its name: if it looks like one, for it comes from outside.
fn refusal(what: &str, error: &str) -> ProviderError {
    let is_name = error.len() <= 60 && error.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    ProviderError::answer(format!("{what}: {}", if is_name { error } else { "unnamed" }))
}

/// What is wrong with a token is the fault of whoever brought it.
fn as_brought(error: ProviderError) -> ProviderError {
    match error {
        ProviderError::Answer(why) => ProviderError::Brought(why),
        other => other,
    }
}
