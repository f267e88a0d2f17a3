//! Tokens: a code or a refresh token is turned into an access token (RFC 6749 4.1.3, 5, 6).

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use url::form_urlencoded;
use vestibule_base::security::clock::SECOND;

use super::authorize::VERIFIER;
use super::flow::Flow;
use super::refusal;
use crate::catalogue::entry::{ClientAuth, TokenBody, TokenCall};
use crate::client_auth;
use crate::error::ProviderError;
use crate::json;
use crate::login::{Callback, Memory, Tokens};
use crate::oidc::Oidc;
use crate::provider::Provider;
use crate::request::{Body, Method, Request, add_query, filled, method};
use crate::template::{Template, Values};
use crate::world::World;

/// Turns the code that the callback brought into tokens. Gives the answer, too: it may say more.
pub(super) async fn exchange(
    flow: &Flow<'_>,
    memory: &Memory,
    callback: &Callback,
) -> Result<(Value, Tokens), ProviderError> {
    let call = call(flow)?;
    let code = callback.get(&call.code_parameter).filter(|code| !code.is_empty());
    let code = code.ok_or_else(|| ProviderError::brought("the callback has no code"))?;

    let mut before = Value::Null;
    for call in &flow.entry.before_token {
        let mut values = flow.values();
        values.callback = &callback.params;
        values.before = &before;
        let request = flow.request(call, &values)?;
        let text = flow.send(&request).await?.success()?;
        before = json::parse(&text)
            .map_err(|_| ProviderError::answer("the request before the token request: no JSON"))?;
    }

    let mut values = flow.values();
    values.callback = &callback.params;
    values.before = &before;
    values.named.insert("code", code.to_owned());
    let mut fields = Fields(match &call.fields {
        Some(fields) => filled(fields, &values),
        None => own([
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &flow.provider.redirect_uri(flow.world)),
        ]),
    });
    if let Some(verifier) = memory.0.get(VERIFIER) {
        fields.0.push(("code_verifier".to_owned(), verifier.clone()));
    }
    ask(flow, call, fields, &values, callback).await
}

/// New tokens for a refresh token. Where the provider gives no new one, the former stays good, and is given back.
///
/// # Errors
/// Any of [`ProviderError`] but `Cancelled`.
pub(crate) async fn refresh(
    world: &World,
    oidc: &Oidc,
    provider: &Provider,
    refresh_token: &SecretString,
) -> Result<Tokens, ProviderError> {
    let flow = Flow::open(world, oidc, provider, &Memory::default()).await?;
    let call = call(&flow)?;
    let values = flow.values();
    // Fields of a provider's own, less those of the code: no value is at hand for them.
    let mut fields = match &call.fields {
        Some(fields) => Fields(filled(fields.iter().filter(|(_, it)| !is_of_code(it)), &values)),
        None => Fields(Vec::new()),
    };
    fields.set("grant_type", "refresh_token");
    fields.set("refresh_token", refresh_token.expose_secret());
    let (_, tokens) = ask(&flow, call, fields, &values, &Callback::default()).await?;
    Ok(Tokens { refresh: tokens.refresh.or_else(|| Some(refresh_token.clone())), ..tokens })
}

fn call<'a>(flow: &Flow<'a>) -> Result<&'a TokenCall, ProviderError> {
    flow.entry.token.as_ref().ok_or_else(|| ProviderError::settings("it gives no tokens"))
}

/// Whether a field has a value only with a code.
fn is_of_code(template: &Template) -> bool {
    *template == Template::literal("authorization_code")
        || template.names().any(|name| name == "code" || name == "redirect_uri")
}

async fn ask(
    flow: &Flow<'_>,
    call: &TokenCall,
    mut fields: Fields,
    values: &Values<'_>,
    callback: &Callback,
) -> Result<(Value, Tokens), ProviderError> {
    let url = call.url.url(values)?;
    let mut headers = filled(&call.headers, values);
    prove(flow, call, url.as_str(), &mut fields, &mut headers)?;
    let mut request = Request { method: method(call.method), url, headers, body: Body::None };
    add_query(&mut request, &call.query, values);
    match (request.method, call.body) {
        (Method::Get, _) => {
            request.query(fields.0.iter().map(|(name, value)| (name.as_str(), value.as_str())))
        }
        (Method::Post, TokenBody::Form) => request.body = Body::Form(fields.0),
        (Method::Post, TokenBody::Json) => request.body = Body::Json(fields.into_json()),
    }
    if let Some(quirk) = flow.provider.quirk() {
        quirk.token_request(flow.world, flow.provider, callback, &mut request)?;
    }
    let answer = flow.send(&request).await?;
    let read = read(&answer.media_type, &answer.text);
    // Some say so with a status of success.
    if let Some(error) = read.as_ref().and_then(|it| it.get("error")).and_then(Value::as_str) {
        return Err(refusal("token request", error));
    }
    if !matches!(answer.status, 200 | 201) {
        return Err(ProviderError::answer(format!("token request: status {}", answer.status)));
    }
    let answer = read.ok_or_else(|| ProviderError::answer("token request: neither JSON nor a form"))?;
    let mut answer = call.select.find(&answer, values).cloned().unwrap_or(Value::Null);
    rename(&mut answer, &call.rename);
    let tokens = tokens(flow.world, &answer)?;
    Ok((answer, tokens))
}

/// Adds what shows that it is us who ask.
fn prove(
    flow: &Flow<'_>,
    call: &TokenCall,
    token_url: &str,
    fields: &mut Fields,
    headers: &mut Vec<(String, String)>,
) -> Result<(), ProviderError> {
    let client_id = flow.client_id();
    let secret = Some(flow.provider.secret()).filter(|secret| !secret.is_empty());
    match (client_auth(flow, call), secret) {
        // Where the catalogue lists the fields, they are all of them.
        (None, _) => {}
        (Some(ClientAuth::ClientSecretBasic), Some(secret)) => {
            headers.push(("authorization".to_owned(), client_auth::basic(client_id, secret)));
        }
        (Some(ClientAuth::ClientSecretPost), Some(secret)) => {
            fields.set("client_id", client_id);
            fields.set("client_secret", secret);
        }
        (Some(ClientAuth::PrivateKeyJwt), _) => {
            let key = flow.provider.private_key();
            let key = key.ok_or_else(|| ProviderError::settings("private_key is missing"))?.expose_secret();
            fields.set("client_id", client_id);
            fields.0.extend(client_auth::assertion(client_id, key, token_url, flow.world.clock.now())?);
        }
        // Without a secret the client is a public one.
        (Some(ClientAuth::ClientSecretBasic | ClientAuth::ClientSecretPost | ClientAuth::None), _) => {
            fields.set("client_id", client_id);
        }
    }
    Ok(())
}

/// As the app's settings or the catalogue say, or what the provider publishes.
fn client_auth(flow: &Flow<'_>, call: &TokenCall) -> Option<ClientAuth> {
    if call.client_auth.is_some() || call.fields.is_some() {
        return call.client_auth;
    }
    let published = flow.metadata.as_ref();
    let methods = published.and_then(|it| it.list("token_endpoint_auth_methods_supported"));
    let methods = methods.unwrap_or_default();
    let basic = methods.contains(&"client_secret_basic") && !methods.contains(&"client_secret_post");
    Some(if basic { ClientAuth::ClientSecretBasic } else { ClientAuth::ClientSecretPost })
}

/// Some say that JSON is text, and some answer with a form.
fn read(media_type: &str, text: &str) -> Option<Value> {
    if media_type == "application/json" || text.trim_start().starts_with('{') {
        return json::parse(text).ok().filter(Value::is_object);
    }
    let pairs = form_urlencoded::parse(text.trim().as_bytes());
    Some(Value::Object(pairs.map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect()))
}

fn rename(answer: &mut Value, names: &BTreeMap<String, String>) {
    let Value::Object(answer) = answer else { return };
    for (theirs, standard) in names {
        if let Some(value) = answer.remove(theirs) {
            answer.insert(standard.clone(), value);
        }
    }
}

fn tokens(world: &World, answer: &Value) -> Result<Tokens, ProviderError> {
    let text = |name: &str| answer.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let access =
        text("access_token").ok_or_else(|| ProviderError::answer("token request: no access token"))?;
    let seconds = match answer.get("expires_in") {
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(value) => value.as_i64(),
        None => None,
    };
    let expires_at = seconds
        .filter(|seconds| *seconds > 0)
        .map(|seconds| world.clock.now().saturating_add(seconds.saturating_mul(SECOND)));
    Ok(Tokens { access: access.into(), refresh: text("refresh_token").map(SecretString::from), expires_at })
}

/// Fields of a token request.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.to_owned()));
    }

    fn into_json(self) -> Value {
        Value::Object(
            self.0.into_iter().map(|(name, value)| (name, Value::from(value))).collect::<Map<_, _>>(),
        )
    }
}

fn own<const N: usize>(fields: [(&str, &str); N]) -> Vec<(String, String)> {
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}
