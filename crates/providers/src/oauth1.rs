//! OAuth 1.0a (RFC 5849): a request token, the person's consent, an access token, and signed requests for who it is.

mod signature;

use std::borrow::Cow;
use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use serde_json::Value;
use url::form_urlencoded;
use vestibule_base::security::clock::SECOND;
use vestibule_base::security::{Millis, random, same};

use crate::catalogue::entry::{Parameter, Source};
use crate::departure;
use crate::error::ProviderError;
use crate::login::{Arrival, Callback, Departure, Memory, Start, Tokens};
use crate::provider::Provider;
use crate::request::{Body, Method, Request};
use crate::template::{Template, Values};
use crate::world::World;
use signature::{Signer, Token};

const TOKEN: &str = "oauth_token";
const SECRET: &str = "oauth_token_secret";
const VERIFIER: &str = "oauth_verifier";
const NONCE: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Asks for a request token, and sends the person to where they can allow it. The callback will name it.
///
/// # Errors
/// [`ProviderError::Answer`] if there is none.
pub(crate) async fn begin(
    world: &World,
    provider: &Provider,
    _start: Start<'_>,
) -> Result<Departure, ProviderError> {
    let entry = provider.entry();
    let call = entry.request_token.as_ref().ok_or(INCOMPLETE)?;
    let mut values = provider.values(world);
    let scopes = provider.scopes(world);
    if !scopes.is_empty() {
        values.named.insert("scope", scopes.join(" "));
    }
    let mut request = request_of(Method::Post, &call.url, &call.query, &call.headers, &values)?;
    sign(world, provider, &mut request, None)?;
    let answer = tokens_in(&send(world, provider, &request).await?);
    if answer.get("oauth_callback_confirmed").is_some_and(|confirmed| confirmed != "true") {
        return Err(ProviderError::answer("the callback is not confirmed"));
    }
    let token = token_of(&answer)?;
    let url = departure::url(
        provider,
        &values,
        &[(TOKEN, &token.token), ("oauth_callback", &provider.redirect_uri(world))],
    )?;
    let mut memory = Memory::default();
    memory.0.insert(TOKEN.to_owned(), token.token.clone());
    memory.0.insert(SECRET.to_owned(), token.secret.expose_secret().to_owned());
    Ok(Departure { url, memory, known_by: Some(token.token) })
}

/// Who it is, by the token that the person has allowed.
///
/// # Errors
/// [`ProviderError::Cancelled`] if they have not; [`ProviderError::Brought`] if the callback is for another login;
/// [`ProviderError::Answer`] where the provider says no.
pub(crate) async fn complete(
    world: &World,
    provider: &Provider,
    memory: &Memory,
    callback: &Callback,
) -> Result<Arrival, ProviderError> {
    let remembered = |name| memory.0.get(name).ok_or(ProviderError::brought("nothing was begun"));
    let request = Token { token: remembered(TOKEN)?.clone(), secret: remembered(SECRET)?.as_str().into() };
    if callback.get(TOKEN).is_some_and(|named| !same(named.as_bytes(), request.token.as_bytes())) {
        return Err(ProviderError::brought("the callback is for another login"));
    }
    let verifier = callback.get(VERIFIER).filter(|verifier| !verifier.is_empty());
    let verifier = verifier.filter(|_| callback.get("denied").is_none()).ok_or(ProviderError::Cancelled)?;

    let entry = provider.entry();
    let call = entry.token.as_ref().ok_or(INCOMPLETE)?;
    let mut values = provider.values(world);
    values.callback = &callback.params;
    values.named.insert(VERIFIER, verifier.to_owned());
    let mut exchange = request_of(Method::Post, &call.url, &call.query, &call.headers, &values)?;
    sign(world, provider, &mut exchange, Some(&request))?;
    let answer = tokens_in(&send(world, provider, &exchange).await?);
    let access = token_of(&answer)?;

    let mut values = Values { token: &answer, ..values };
    values.named.insert(TOKEN, access.token.clone());
    let data = match entry.data.from {
        Source::Token => answer.clone(),
        Source::Profile | Source::IdToken => profile(world, provider, values.clone(), &access).await?,
    };
    let data = entry.data.select.find(&data, &values).unwrap_or(&Value::Null);
    Ok(Arrival {
        identity: provider.identity(data)?,
        tokens: Some(Tokens {
            access: access.token.into(),
            refresh: Some(access.secret),
            expires_at: expiry(&answer),
        }),
        replay: None,
    })
}

const INCOMPLETE: ProviderError =
    ProviderError::Settings(Cow::Borrowed("the catalogue's entry lacks what OAuth 1.0a needs"));

/// The last of the profile answers; those before it say what it takes to ask.
async fn profile(
    world: &World,
    provider: &Provider,
    mut values: Values<'_>,
    access: &Token,
) -> Result<Value, ProviderError> {
    let mut first = None;
    let mut data = Value::Null;
    for step in &provider.entry().profile {
        let values = Values { first: first.as_ref().unwrap_or(&Value::Null), ..values.clone() };
        let mut request = request_of(Method::Get, &step.url, &step.query, &step.headers, &values)?;
        if step.token_in.is_none() {
            sign(world, provider, &mut request, Some(access))?;
        }
        let answer = send(world, provider, &request).await?;
        // Media types are not to be relied on here.
        data = serde_json::from_str(&answer).map_err(|_| ProviderError::answer("the profile is no JSON"))?;
        first.get_or_insert_with(|| data.clone());
    }
    Ok(data)
}

fn request_of(
    method: Method,
    url: &Template,
    query: &BTreeMap<String, Parameter>,
    headers: &BTreeMap<String, Template>,
    values: &Values<'_>,
) -> Result<Request, ProviderError> {
    let mut url = url.url(values)?;
    for (name, parameter) in query {
        for text in parameter.templates().iter().filter_map(|template| template.text(values)) {
            url.query_pairs_mut().append_pair(name, &text);
        }
    }
    let headers = headers.iter().filter_map(|(name, value)| Some((name.clone(), value.text(values)?)));
    Ok(Request { method, url, headers: headers.collect(), body: Body::None })
}

fn sign(
    world: &World,
    provider: &Provider,
    request: &mut Request,
    token: Option<&Token>,
) -> Result<(), ProviderError> {
    let signer = Signer { consumer_key: provider.client_id(), consumer_secret: provider.secret(), token };
    let method = match request.method {
        Method::Get => "GET",
        Method::Post => "POST",
    };
    let timestamp = world.clock.now() / SECOND;
    let header = signer.authorization(method, &request.url, &random::text(NONCE, 32)?, timestamp);
    request.headers.push(("Authorization".to_owned(), header));
    Ok(())
}

async fn send(world: &World, provider: &Provider, request: &Request) -> Result<String, ProviderError> {
    let endpoint = provider.endpoint(world, request.url.as_str())?;
    Ok(request.send(&endpoint).await?.success()?)
}

/// A token answer, which is a form, as data. What is empty is left out.
fn tokens_in(answer: &str) -> Value {
    let fields = form_urlencoded::parse(answer.trim().as_bytes());
    let fields = fields.filter(|(_, value)| !value.is_empty());
    Value::Object(fields.map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect())
}

fn token_of(answer: &Value) -> Result<Token, ProviderError> {
    let text = |name: &str| answer.get(name).and_then(Value::as_str);
    let token = text(TOKEN).ok_or(ProviderError::answer("there is no token"))?;
    Ok(Token { token: token.to_owned(), secret: text(SECRET).unwrap_or_default().into() })
}

/// The protocol knows no expiry. Evernote does, and says it in milliseconds since 1970.
fn expiry(answer: &Value) -> Option<Millis> {
    answer.get("edam_expires")?.as_str()?.parse().ok()
}
