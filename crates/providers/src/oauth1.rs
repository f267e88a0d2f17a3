//! OAuth 1.0a (RFC 5849): a request token, the person's consent, an access token, and signed requests for who it is.

mod signature;

use std::borrow::Cow;
use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use serde_json::Value;
use url::form_urlencoded;
use vestibule_base::outbound::Answer;
use vestibule_base::security::clock::SECOND;
use vestibule_base::security::{Millis, random, same};

use crate::catalogue::entry::{Parameter, Source};
use crate::departure;
use crate::error::ProviderError;
use crate::login::{Arrival, Callback, Departure, Memory, Start, Tokens};
use crate::profile::{self, Asked};
use crate::provider::Provider;
use crate::request::{Body, Method, Request, add_query, filled};
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
    let values = provider.values(world);
    let mut request = token_request(&call.url, &call.query, &call.headers, &values)?;
    let redirect_uri = provider.redirect_uri(world);
    request.query([("oauth_callback", redirect_uri.as_str())]);
    let scopes = provider.scopes(world).join(" ");
    if !scopes.is_empty() {
        request.query([("scope", scopes.as_str())]);
    }
    sign(world, provider, &mut request, None)?;
    let answer = tokens_in(&send(world, provider, &request).await?.success()?);
    if answer.get("oauth_callback_confirmed").is_some_and(|confirmed| confirmed != "true") {
        return Err(ProviderError::answer("the callback is not confirmed"));
    }
    let token = token_of(&answer)?;
    let url = departure::url(provider, &values, &[(TOKEN, &token.token), ("oauth_callback", &redirect_uri)])?;
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
    let mut exchange = token_request(&call.url, &call.query, &call.headers, &values)?;
    exchange.query([(VERIFIER, verifier)]);
    sign(world, provider, &mut exchange, Some(&request))?;
    let answer = tokens_in(&send(world, provider, &exchange).await?.success()?);
    let access = token_of(&answer)?;

    let mut values = Values { token: &answer, ..values };
    values.named.insert(TOKEN, access.token.clone());
    let said = match entry.data.from {
        Source::Token => answer.clone(),
        Source::Profile | Source::IdToken => said(world, provider, &values, &access).await?,
    };
    let data = profile::selected(entry, &said, &values)?;
    Ok(Arrival {
        identity: provider.identity(&data)?,
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

/// What the profile requests bring together.
async fn said(
    world: &World,
    provider: &Provider,
    values: &Values<'_>,
    access: &Token,
) -> Result<Value, ProviderError> {
    let scopes = provider.scopes(world);
    let asked = Asked { scopes: &scopes, query_email: world.query_email, has_id_token: false };
    let mut first = None;
    let mut data = Value::Null;
    for step in &provider.entry().profile {
        let values = Values { first: first.as_ref().unwrap_or(&Value::Null), ..values.clone() };
        if !asked.wants(&step.when, &data, &values) {
            continue;
        }
        let mut request = profile::request(step, &values)?;
        if step.token_in.is_none() {
            sign(world, provider, &mut request, Some(access))?;
        }
        let Some(answer) = profile::read(step, &send(world, provider, &request).await?)? else { continue };
        profile::put(step, &answer, &mut data, &values);
        first.get_or_insert(answer);
    }
    Ok(data)
}

/// A request for a token: what it says is in the query.
fn token_request(
    url: &Template,
    query: &BTreeMap<String, Parameter>,
    headers: &BTreeMap<String, Template>,
    values: &Values<'_>,
) -> Result<Request, ProviderError> {
    let (url, headers) = (url.url(values)?, filled(headers, values));
    let mut request = Request { method: Method::Post, url, headers, body: Body::None };
    add_query(&mut request, query, values);
    Ok(request)
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
    let form = match &request.body {
        Body::Form(fields) => fields.as_slice(),
        Body::None | Body::Json(_) => &[],
    };
    let (nonce, timestamp) = (random::text(NONCE, 32)?, world.clock.now() / SECOND);
    let header = signer.authorization(method, &request.url, form, &nonce, timestamp);
    request.headers.push(("Authorization".to_owned(), header));
    Ok(())
}

async fn send(world: &World, provider: &Provider, request: &Request) -> Result<Answer, ProviderError> {
    request.send(&provider.endpoint(world, request.url.as_str())?).await
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearsal::{provider_of, world};
    use url::Url;

    const APP: &str = "provider = 'bird'\nclient_id = 'key'\nsecret = 'hush'\nkey = 'k'";
    const CATALOGUE: &str = "
        [bird]
        name = 'Bird'
        protocol = 'oauth1'
        authorize = { url = 'https://bird.example/allow', scopes = ['read'], params = { name = '{app_name}' } }
        request_token = { url = 'https://bird.example/request' }
        token = { url = 'https://bird.example/access' }
        data = { select = '/person' }
        map = { uid = '/id', username = '/nick' }
        [[bird.profile]]
        url = 'https://api.bird.example/me'
        query = { method = 'who am i' }
        [[bird.profile]]
        url = 'https://api.bird.example/about'
        query = { id = '{step1:/id}', token = '{oauth_token}', key = '{key}' }
        token_in = 'nowhere'
    ";
    const REQUEST_TOKEN: &str = "oauth_token=r1&oauth_token_secret=rs&oauth_callback_confirmed=true";
    const START: Start<'static> = Start { state: "s1", query: &[] };

    fn callback(params: &[(&str, &str)]) -> Callback {
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Callback { params: params.collect() }
    }

    fn remembered() -> Memory {
        Memory([(TOKEN.to_owned(), "r1".to_owned()), (SECRET.to_owned(), "rs".to_owned())].into())
    }

    #[tokio::test]
    async fn a_login_from_beginning_to_end() {
        let (world, stage) = world(&[
            (200, REQUEST_TOKEN),
            (200, "oauth_token=a1&oauth_token_secret=as&edam_expires=1457994271824"),
            (200, "\n{\"id\": \"7@N00\"}"),
            (200, "{\"person\": {\"id\": 7, \"nick\": \"kim\"}}"),
        ]);
        let provider = provider_of(&world, APP, Some(CATALOGUE));
        let departure = begin(&world, &provider, START).await.unwrap();
        let back = "https://site.example/accounts/bird/login/callback/";
        let url = Url::parse(&departure.url).unwrap();
        assert!(departure.url.starts_with("https://bird.example/allow?"));
        let params: Vec<_> = url.query_pairs().into_owned().collect();
        let expected = [("name", "Bird"), ("oauth_token", "r1"), ("oauth_callback", back)];
        assert_eq!(params, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(departure.known_by.as_deref(), Some("r1"));

        let callback = callback(&[("oauth_token", "r1"), ("oauth_verifier", "v1")]);
        let arrival = complete(&world, &provider, &departure.memory, &callback).await.unwrap();
        assert_eq!((arrival.identity.uid.as_str(), arrival.identity.username.as_deref()), ("7", Some("kim")));
        let tokens = arrival.tokens.unwrap();
        assert_eq!(tokens.access.expose_secret(), "a1");
        assert_eq!(tokens.refresh.unwrap().expose_secret(), "as");
        assert_eq!(tokens.expires_at, Some(1_457_994_271_824));

        let asked = stage.asked();
        let asked: Vec<_> = asked
            .iter()
            .map(|asked| {
                let header = asked.headers.iter().find(|(name, _)| name == "authorization");
                let fields = header.map(|(_, value)| value.split(", "));
                let token =
                    fields.and_then(|mut fields| fields.find(|field| field.starts_with("oauth_token=")));
                (asked.method.as_str(), asked.url.as_str(), header.is_some(), token, asked.body.as_str())
            })
            .collect();
        let encoded = "https%3A%2F%2Fsite.example%2Faccounts%2Fbird%2Flogin%2Fcallback%2F";
        let request = format!("https://bird.example/request?oauth_callback={encoded}&scope=read");
        assert_eq!(
            asked,
            [
                ("POST", request.as_str(), true, None, ""),
                (
                    "POST",
                    "https://bird.example/access?oauth_verifier=v1",
                    true,
                    Some("oauth_token=\"r1\""),
                    ""
                ),
                ("GET", "https://api.bird.example/me?method=who+am+i", true, Some("oauth_token=\"a1\""), ""),
                ("GET", "https://api.bird.example/about?id=7%40N00&key=k&token=a1", false, None, ""),
            ]
        );
    }

    #[tokio::test]
    async fn o1_a_callback_is_for_the_token_that_was_remembered_alone() {
        let (world, stage) = world(&[]);
        let provider = provider_of(&world, APP, Some(CATALOGUE));
        let other = callback(&[("oauth_token", "r2"), ("oauth_verifier", "v1")]);
        for (memory, callback) in [(remembered(), other.clone()), (Memory::default(), other)] {
            let refused = complete(&world, &provider, &memory, &callback).await;
            assert!(matches!(refused, Err(ProviderError::Brought(_))));
        }
        for params in [
            &[("denied", "r1"), ("oauth_verifier", "v")][..],
            &[("oauth_token", "r1")],
            &[("oauth_verifier", "")],
        ] {
            let refused = complete(&world, &provider, &remembered(), &callback(params)).await;
            assert!(matches!(refused, Err(ProviderError::Cancelled)), "{params:?}");
        }
        assert!(stage.asked().is_empty(), "nobody is asked anything");
    }

    #[tokio::test]
    async fn answers_that_are_errors_begin_and_complete_nothing() {
        for answer in [
            (401, REQUEST_TOKEN),
            (302, REQUEST_TOKEN),
            (200, "oauth_token=&oauth_token_secret=rs"),
            (200, "{}"),
            (200, "oauth_token=r1&oauth_token_secret=rs&oauth_callback_confirmed=false"),
        ] {
            let (world, _) = world(&[answer]);
            let begun = begin(&world, &provider_of(&world, APP, Some(CATALOGUE)), START).await;
            assert!(begun.is_err(), "{answer:?}");
        }
        let access = (200, "oauth_token=a1&oauth_token_secret=as");
        let me = (200, "{\"id\": \"7\", \"person\": {\"id\": 7}}");
        for answers in [
            &[(401, access.1)][..],
            &[(200, "")],
            &[access, (401, me.1)],
            &[access, me, (500, me.1)],
            &[access, me, (200, "person=1")],
            &[access, me, (200, "{\"error\": 1}")],
        ] {
            let (world, _) = world(answers);
            let provider = provider_of(&world, APP, Some(CATALOGUE));
            let callback = callback(&[("oauth_verifier", "v1")]);
            assert!(complete(&world, &provider, &remembered(), &callback).await.is_err(), "{answers:?}");
        }
    }
}
