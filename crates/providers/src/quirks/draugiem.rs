//! Draugiem: a hash of secret and callback URL says that it is us who ask, and one call turns what comes back into the
//! person. `state` travels in the callback URL, which is what they hand back.

use md5::{Digest, Md5};
use serde_json::Value;

use crate::departure;
use crate::error::ProviderError;
use crate::login::{Arrival, Callback, Departure, Memory, Start, Tokens};
use crate::provider::Provider;
use crate::world::World;

/// Sends the person there.
///
/// # Errors
/// [`ProviderError::Settings`] if the catalogue does not say where.
pub(crate) async fn begin(
    world: &World,
    provider: &Provider,
    start: Start<'_>,
) -> Result<Departure, ProviderError> {
    let redirect = start.return_to(&provider.redirect_uri(world));
    let hash = hash(provider.secret(), &redirect);
    let params = [("app", provider.client_id()), ("hash", &hash), ("redirect", &redirect)];
    let url = departure::url(provider, &provider.values(world), &params)?;
    Ok(Departure { url, memory: Memory::default(), known_by: None })
}

/// Who it is, by the code that came back.
///
/// # Errors
/// [`ProviderError::Cancelled`]; [`ProviderError::Brought`] without a code; [`ProviderError::Answer`] if it is good for
/// nobody.
pub(crate) async fn complete(
    world: &World,
    provider: &Provider,
    _memory: &Memory,
    callback: &Callback,
) -> Result<Arrival, ProviderError> {
    match callback.get("dr_auth_status") {
        Some("ok") => {}
        Some(_) => return Err(ProviderError::Cancelled),
        None => return Err(ProviderError::brought("dr_auth_status is missing")),
    }
    let code = callback.get("dr_auth_code").filter(|code| !code.is_empty());
    let code = code.ok_or(ProviderError::brought("dr_auth_code is missing"))?;

    let call = provider.entry().profile.first();
    let call = call.ok_or(ProviderError::settings("the catalogue's entry has no profile"))?;
    let mut url = call.url.url(&provider.values(world))?;
    url.query_pairs_mut()
        .append_pair("action", "authorize")
        .append_pair("app", provider.secret())
        .append_pair("code", code);
    let answer = provider.endpoint(world, url.as_str())?.get_text(&[]).await?.success()?;
    let answer: Value =
        serde_json::from_str(&answer).map_err(|_| ProviderError::answer("the answer is no JSON"))?;
    let api_key = answer.get("apikey").and_then(Value::as_str).filter(|key| !key.is_empty());
    match (answer.get("error"), api_key) {
        (None, Some(api_key)) => Ok(Arrival {
            identity: provider.identity(&answer)?,
            tokens: Some(Tokens { access: api_key.into(), refresh: None, expires_at: None }),
            replay: None,
        }),
        _ => Err(ProviderError::answer("the code is good for nobody")),
    }
}

/// MD5 is what they want; it signs nothing but our own URL.
fn hash(secret: &str, redirect: &str) -> String {
    hex::encode(Md5::new().chain_update(secret).chain_update(redirect).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearsal::{provider, world};

    const APP: &str = "provider = 'draugiem'\nclient_id = 'c'\nsecret = 'hush'";

    fn callback(params: &[(&str, &str)]) -> Callback {
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Callback { params: params.collect() }
    }

    #[tokio::test]
    async fn a_login_from_beginning_to_end() {
        let (world, stage) =
            world(&[(200, r#"{"apikey": "k1", "uid": "42", "users": {"42": {"name": "Kim"}}}"#)]);
        let provider = provider(&world, APP);
        let start = Start { state: "s1", query: &[] };
        let departure = begin(&world, &provider, start).await.unwrap();
        let back = start.return_to(&provider.redirect_uri(&world));
        let expected =
            format!("https://api.draugiem.lv/authorize?app=c&hash={}&redirect=", hash("hush", &back));
        assert!(departure.url.starts_with(&expected) && departure.url.ends_with("%3Fstate%3Ds1"));

        let back = callback(&[("state", "s1"), ("dr_auth_status", "ok"), ("dr_auth_code", "7")]);
        let arrival = complete(&world, &provider, &departure.memory, &back).await.unwrap();
        assert_eq!(arrival.identity.uid, "42");
        assert_eq!(arrival.identity.first_name.as_deref(), Some("Kim"));
        assert_eq!(arrival.identity.extra_data, serde_json::json!({"name": "Kim"}));
        let url = stage.asked()[0].url.to_string();
        assert_eq!(url, "https://api.draugiem.lv/json?action=authorize&app=hush&code=7");
    }

    #[tokio::test]
    async fn what_is_no_yes_logs_nobody_in() {
        let yes = [("dr_auth_status", "ok"), ("dr_auth_code", "7")];
        for (params, answer) in [
            (&[("dr_auth_status", "failed"), yes[1]][..], None),
            (&yes[1..], None),
            (&yes[..1], None),
            (&yes, Some((200, r#"{"error": 1, "apikey": "k1", "uid": "42"}"#))),
            (&yes, Some((200, r#"{"uid": "42"}"#))),
            (&yes, Some((500, r#"{"apikey": "k1", "uid": "42"}"#))),
        ] {
            let (world, _) = world(answer.as_slice());
            let provider = provider(&world, APP);
            let refused = complete(&world, &provider, &Memory::default(), &callback(params)).await;
            assert!(refused.is_err(), "{params:?} {answer:?}");
        }
    }

    /// From the reference's fixtures.
    #[test]
    fn the_hash_is_of_secret_and_url() {
        let hash = hash("dummy", "http://auth.example.com/accounts/draugiem/callback/");
        assert_eq!(hash, "42801bb5b30366802a9fdf918212f48d");
    }
}
