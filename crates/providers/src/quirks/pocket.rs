//! Pocket: OAuth 1.0a's three steps without its signatures, in JSON. The callback brings nothing of Pocket's, so `state`
//! travels in the callback URL; the code of the first step is remembered, never taken from the browser.

use std::borrow::Cow;

use serde_json::{Value, json};
use url::Url;

use crate::departure;
use crate::error::ProviderError;
use crate::login::{Arrival, Callback, Departure, Memory, Start, Tokens};
use crate::provider::Provider;
use crate::request::{Body, Method, Request};
use crate::world::World;

const CODE: &str = "code";
const INCOMPLETE: ProviderError =
    ProviderError::Settings(Cow::Borrowed("the catalogue's entry lacks what Pocket needs"));

/// Asks for a code, and sends the person to where they can allow it.
///
/// # Errors
/// [`ProviderError::Answer`] if there is no code.
pub(crate) async fn begin(
    world: &World,
    provider: &Provider,
    start: Start<'_>,
) -> Result<Departure, ProviderError> {
    let return_to = start.return_to(&provider.redirect_uri(world));
    let asked = json!({ "consumer_key": provider.client_id(), "redirect_uri": return_to });
    let values = provider.values(world);
    let url = provider.entry().request_token.as_ref().map(|call| &call.url);
    let answer = call(world, provider, url.ok_or(INCOMPLETE)?.url(&values)?, asked).await?;
    let code = answer.get(CODE).and_then(Value::as_str).filter(|code| !code.is_empty());
    let code = code.ok_or(ProviderError::answer("there is no code"))?;

    let url = departure::url(provider, &values, &[("request_token", code), ("redirect_uri", &return_to)])?;
    let mut memory = Memory::default();
    memory.0.insert(CODE.to_owned(), code.to_owned());
    Ok(Departure { url, memory, known_by: None })
}

/// Who it is, by the code that was remembered, if the person has allowed it.
///
/// # Errors
/// [`ProviderError::Answer`] if they have not.
pub(crate) async fn complete(
    world: &World,
    provider: &Provider,
    memory: &Memory,
    _callback: &Callback,
) -> Result<Arrival, ProviderError> {
    let code = memory.0.get(CODE).ok_or(ProviderError::brought("nothing was begun"))?;
    let asked = json!({ "consumer_key": provider.client_id(), "code": code });
    let url = provider.entry().token.as_ref().map(|call| &call.url);
    let url = url.ok_or(INCOMPLETE)?.url(&provider.values(world))?;
    let answer = call(world, provider, url, asked).await?;
    let text = |name| answer.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (Some(token), Some(username)) = (text("access_token"), text("username")) else {
        return Err(ProviderError::answer("there is no token, or nobody that it is for"));
    };
    // As OAuth 1.0a would have said it.
    let data = json!({ "oauth_token": code, "oauth_token_secret": token, "username": username });
    Ok(Arrival {
        identity: provider.identity(&data)?,
        tokens: Some(Tokens { access: code.as_str().into(), refresh: Some(token.into()), expires_at: None }),
        replay: None,
    })
}

async fn call(world: &World, provider: &Provider, url: Url, body: Value) -> Result<Value, ProviderError> {
    let endpoint = provider.endpoint(world, url.as_str())?;
    let request = Request {
        method: Method::Post,
        url,
        headers: vec![("X-Accept".to_owned(), "application/json".to_owned())],
        body: Body::Json(body),
    };
    let answer = request.send(&endpoint).await?.success()?;
    serde_json::from_str(&answer).map_err(|_| ProviderError::answer("the answer is no JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearsal::{provider, world};

    const APP: &str = "provider = 'pocket'\nclient_id = 'c'\nsecret = 'hush'";

    #[tokio::test]
    async fn a_login_from_beginning_to_end() {
        let (world, stage) = world(&[
            (200, r#"{"code": "c1"}"#),
            (200, " {\"access_token\": \"a1\", \"username\": \"kim@mail.example\"} "),
        ]);
        let provider = provider(&world, APP);
        let start = Start { state: "s1", query: &[] };
        let departure = begin(&world, &provider, start).await.unwrap();
        let back = "https%3A%2F%2Fsite.example%2Faccounts%2Fpocket%2Flogin%2Fcallback%2F%3Fstate%3Ds1";
        let expected = format!("https://getpocket.com/auth/authorize?request_token=c1&redirect_uri={back}");
        assert_eq!(departure.url, expected);

        let arrival = complete(&world, &provider, &departure.memory, &Callback::default()).await.unwrap();
        assert_eq!(arrival.identity.uid, "kim@mail.example");
        let asked = stage.asked();
        let asked: Vec<_> = asked.iter().map(|asked| (asked.url.as_str(), asked.body.as_str())).collect();
        let back = "https://site.example/accounts/pocket/login/callback/?state=s1";
        let first = format!(r#"{{"consumer_key":"c","redirect_uri":"{back}"}}"#);
        assert_eq!(
            asked,
            [
                ("https://getpocket.com/v3/oauth/request", first.as_str()),
                ("https://getpocket.com/v3/oauth/authorize", r#"{"code":"c1","consumer_key":"c"}"#),
            ]
        );
    }

    #[tokio::test]
    async fn without_a_name_nobody_is_logged_in() {
        for answer in
            [(200, r#"{"access_token": "a1"}"#), (200, "{}"), (403, r#"{"access_token":"a","username":"k"}"#)]
        {
            let (world, _) = world(&[answer]);
            let memory = Memory([(CODE.to_owned(), "c1".to_owned())].into());
            let provider = provider(&world, APP);
            assert!(complete(&world, &provider, &memory, &Callback::default()).await.is_err(), "{answer:?}");
        }
    }
}
