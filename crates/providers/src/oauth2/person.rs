//! What a provider says of a person: the profile requests, what is made of their answers, and whether these are about the
//! person of the ID token.

use serde_json::{Map, Value};

use super::flow::{Flow, Login};
use crate::catalogue::entry::{Protocol, Source, Step, TokenIn};
use crate::error::ProviderError;
use crate::identity::Identity;
use crate::oidc::subject;
use crate::profile::{self, Asked};
use crate::rule::is_true;
use crate::template::Values;

/// Asks the provider, where its tokens have not said all yet. `claims` are those of the ID token.
pub(super) async fn ask(
    flow: &Flow<'_>,
    login: Login<'_>,
    claims: Option<Value>,
) -> Result<Identity, ProviderError> {
    if flow.entry.protocol == Protocol::Oidc {
        return ask_openid(flow, login, claims).await;
    }
    let mut data = match flow.entry.data.from {
        Source::Token => login.token_answer.clone(),
        Source::IdToken => claims.clone().unwrap_or(Value::Null),
        Source::Profile => Value::Null,
    };
    let mut first = None;
    for (number, step) in flow.entry.profile.iter().enumerate() {
        let values = with_first(flow.values_of(login), first.as_ref());
        let asked = Asked {
            scopes: &flow.scopes,
            query_email: flow.world.query_email,
            has_id_token: claims.is_some(),
        };
        if !asked.wants(&step.when, &data, &values) {
            continue;
        }
        let Some(answer) = call(flow, login, number, step, &values).await? else { continue };
        if let (Some(claims), Some(named)) = (&claims, answer.get("sub").or_else(|| answer.get("id"))) {
            same_person(claims, Some(named))?;
        }
        profile::put(step, &answer, &mut data, &values);
        first.get_or_insert(answer);
    }
    let values = with_first(flow.values_of(login), first.as_ref());
    identify(flow, login, data, &values)
}

/// Who an ID token is about that a client has brought.
pub(super) fn of_claims(
    flow: &Flow<'_>,
    login: Login<'_>,
    claims: Map<String, Value>,
) -> Result<Identity, ProviderError> {
    let mut data = Value::Object(claims);
    if let Some(quirk) = flow.provider.quirk() {
        quirk.data(flow.provider, flow.progress(login), &mut data)?;
    }
    flow.provider.identity(&data)
}

/// OpenID Connect: userinfo says more than the ID token, and both are kept.
async fn ask_openid(
    flow: &Flow<'_>,
    login: Login<'_>,
    claims: Option<Value>,
) -> Result<Identity, ProviderError> {
    let values = flow.values_of(login);
    let published = flow.metadata.as_ref().is_some_and(|it| it.text("userinfo_endpoint").is_some());
    let wanted = claims.is_none() || (published && flow.flag_setting("fetch_userinfo") != Some(false));
    let userinfo = match flow.entry.profile.first() {
        Some(step) if wanted => call(flow, login, 0, step, &values).await?,
        _ => None,
    };
    if let (Some(claims), Some(userinfo)) = (&claims, &userinfo) {
        same_person(claims, userinfo.get("sub"))?;
    }
    let data = userinfo.as_ref().filter(|it| is_true(it)).or(claims.as_ref());
    let data = data.cloned().ok_or_else(|| ProviderError::answer("neither userinfo nor an id_token"))?;
    let mut identity = identify(flow, login, data, &values)?;
    let kept = [("userinfo", userinfo), ("id_token", claims)];
    identity.extra_data =
        kept.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    Ok(identity)
}

/// Userinfo counts only if it is about the person of the ID token (OpenID Connect Core 1.0, 5.3.2): an access token could
/// have been put in the place of another.
fn same_person(claims: &Value, named: Option<&Value>) -> Result<(), ProviderError> {
    let named = subject(named);
    let same = named.is_some() && named == subject(claims.get("sub"));
    same.then_some(()).ok_or_else(|| ProviderError::answer("userinfo is about another person"))
}

fn with_first<'v>(mut values: Values<'v>, first: Option<&'v Value>) -> Values<'v> {
    if let Some(first) = first {
        values.first = first;
    }
    values
}

/// The answer to a profile request; nothing, where its status says that there is none and that is no error.
async fn call(
    flow: &Flow<'_>,
    login: Login<'_>,
    number: usize,
    step: &Step,
    values: &Values<'_>,
) -> Result<Option<Value>, ProviderError> {
    let mut request = profile::request(step, values)?;
    let token = login.access_token;
    match &step.token_in {
        None => request.headers.push(("authorization".to_owned(), format!("Bearer {token}"))),
        Some(TokenIn::Scheme(scheme)) => {
            let scheme = scheme.text(values).unwrap_or_else(|| "Bearer".to_owned());
            request.headers.push(("authorization".to_owned(), format!("{scheme} {token}")));
        }
        Some(TokenIn::Header(name)) => request.headers.push((name.clone(), token.to_owned())),
        Some(TokenIn::Query(name)) => request.query([(name.as_str(), token)]),
        Some(TokenIn::Nowhere) => {}
    }
    if let Some(quirk) = flow.provider.quirk() {
        quirk.profile_request(flow.provider, number, flow.progress(login), &mut request)?;
    }
    profile::read(step, &flow.send(&request).await?)
}

/// From the whole answer to who it is.
fn identify(
    flow: &Flow<'_>,
    login: Login<'_>,
    whole: Value,
    values: &Values<'_>,
) -> Result<Identity, ProviderError> {
    let mut data = profile::selected(flow.entry, &whole, values)?;
    if let Some(quirk) = flow.provider.quirk() {
        quirk.data(flow.provider, flow.progress(login), &mut data)?;
    }
    flow.provider.identity(&data)
}
