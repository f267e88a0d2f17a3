//! Steam: OpenID 2.0 says who it is, and Steam's Web API, asked with the app's secret, what they are called.

use serde_json::{Value, json};

use crate::error::ProviderError;
use crate::identity::Identity;
use crate::login::{Arrival, Callback, Departure, Memory, Start};
use crate::openid2::Server;
use crate::provider::Provider;
use crate::world::World;

const IDENTITY_PREFIX: &str = "https://steamcommunity.com/openid/id/";

/// Sends the person to Steam.
///
/// # Errors
/// Those of [`Server::depart`].
pub(crate) async fn begin(
    world: &World,
    provider: &Provider,
    start: Start<'_>,
) -> Result<Departure, ProviderError> {
    Server::of(world, provider, IDENTITY_PREFIX)?.depart(world, provider, start, &[])
}

/// Who it is, by an assertion that Steam confirms.
///
/// # Errors
/// Those of [`Server::verify`] and [`identity_of`].
pub(crate) async fn complete(
    world: &World,
    provider: &Provider,
    memory: &Memory,
    callback: &Callback,
) -> Result<Arrival, ProviderError> {
    let server = Server::of(world, provider, IDENTITY_PREFIX)?;
    let assertion = server.verify(world, provider, memory, callback).await?;
    let identity = identity_of(world, provider, &assertion.identity_url).await?;
    Ok(Arrival { identity, tokens: None, replay: Some(assertion.replay) })
}

/// Who it is, by a verified identifier: asks the Web API for what Steam knows of them.
///
/// # Errors
/// [`ProviderError::Answer`] if the identifier is none of Steam's, or the API speaks of somebody else.
pub(crate) async fn identity_of(
    world: &World,
    provider: &Provider,
    identity_url: &str,
) -> Result<Identity, ProviderError> {
    let steam_id =
        steam_id(identity_url).ok_or(ProviderError::answer("the identifier is none of Steam's"))?;
    let call = provider.entry().profile.first();
    let call = call.ok_or(ProviderError::settings("the catalogue's entry has no profile"))?;
    let mut url = call.url.url(&provider.values(world))?;
    url.query_pairs_mut().append_pair("key", provider.secret()).append_pair("steamids", steam_id);
    let answer = provider.endpoint(world, url.as_str())?.get_text(&[]).await?.success()?;
    let answer: Value =
        serde_json::from_str(&answer).map_err(|_| ProviderError::answer("the Web API answered no JSON"))?;
    // Nothing said of them: the identifier is proven all the same.
    let player = match answer.pointer("/response/players/0") {
        Some(player) if player.get("steamid").and_then(Value::as_str) == Some(steam_id) => player.clone(),
        Some(_) => return Err(ProviderError::answer("the Web API speaks of somebody else")),
        None => json!({ "steamid": steam_id }),
    };
    let mut identity = provider.identity(&player)?;
    (identity.first_name, identity.last_name) =
        names(player.get("realname").and_then(Value::as_str).unwrap_or_default());
    Ok(identity)
}

fn steam_id(identity_url: &str) -> Option<&str> {
    let id = identity_url.strip_prefix(IDENTITY_PREFIX)?;
    let is_id = (1..=20).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
    is_id.then_some(id)
}

/// A real name is free text: only where it is exactly two words are they taken for given and family name.
fn names(real_name: &str) -> (Option<String>, Option<String>) {
    let some = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    let real_name = real_name.trim();
    match real_name.split_once(' ') {
        Some((first, last)) if !last.contains(' ') => (some(first), some(last)),
        _ => (some(real_name), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearsal::{provider, world};

    const APP: &str = "provider = 'steam'\nclient_id = ''\nsecret = 'hush'";
    const KIM: &str = "https://steamcommunity.com/openid/id/765";

    #[tokio::test]
    async fn people_are_sent_to_steams_server_and_back_with_our_state() {
        let (world, _) = world(&[]);
        let start = Start { state: "s1", query: &[] };
        let departure = begin(&world, &provider(&world, APP), start).await.unwrap();
        assert!(departure.url.starts_with("https://steamcommunity.com/openid/login?openid.ns="));
        assert!(departure.url.contains("callback%2F%3Fstate%3Ds1"));
        assert!(!departure.url.contains("sreg"));
    }

    #[tokio::test]
    async fn the_web_api_says_what_they_are_called() {
        let kim =
            r#"{"response": {"players": [{"steamid": "765", "personaname": "kim", "realname": "Kim Ito"}]}}"#;
        let (world, stage) = world(&[(200, kim), (200, r#"{"response": {"players": []}}"#)]);
        let provider = provider(&world, APP);
        let identity = identity_of(&world, &provider, KIM).await.unwrap();
        assert_eq!((identity.uid.as_str(), identity.username.as_deref()), ("765", Some("kim")));
        assert_eq!(
            (identity.first_name.as_deref(), identity.last_name.as_deref()),
            (Some("Kim"), Some("Ito"))
        );
        let url = stage.asked()[0].url.to_string();
        assert_eq!(
            url,
            "https://api.steampowered.com/ISteamUser/GetPlayerSummaries/v0002/?key=hush&steamids=765"
        );
        assert_eq!(identity_of(&world, &provider, KIM).await.unwrap().uid, "765", "nothing is known of them");
    }

    #[tokio::test]
    async fn o4_the_web_api_cannot_name_somebody_else() {
        for answer in [
            (200, r#"{"response": {"players": [{"steamid": "766"}]}}"#),
            (200, r#"{"response": {"players": [{}]}}"#),
            (403, r#"{"response": {"players": [{"steamid": "765"}]}}"#),
            (200, "<html>"),
        ] {
            let (world, _) = world(&[answer]);
            let refused = identity_of(&world, &provider(&world, APP), KIM).await;
            assert!(
                matches!(refused, Err(ProviderError::Answer(_) | ProviderError::Outbound(_))),
                "{answer:?}"
            );
        }
    }

    #[test]
    fn o4_only_steams_own_identifiers_name_somebody() {
        assert_eq!(
            steam_id("https://steamcommunity.com/openid/id/76561190000000001"),
            Some("76561190000000001")
        );
        for url in [
            "http://steamcommunity.com/openid/id/76561190000000001",
            "https://steamcommunity.com/openid/id/",
            "https://steamcommunity.com/openid/id/7656119000000000a",
            "https://steamcommunity.com/openid/id/../76561190000000001",
            "https://steamcommunity.com/openid/id/123456789012345678901",
            "https://evil.example/?https://steamcommunity.com/openid/id/76561190000000001",
        ] {
            assert_eq!(steam_id(url), None, "{url}");
        }
    }

    #[test]
    fn two_words_are_two_names_and_anything_else_is_one() {
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(names(" Kim Ito "), (some("Kim"), some("Ito")));
        assert_eq!(names("Kim"), (some("Kim"), None));
        assert_eq!(names("Kim van Ito"), (some("Kim van Ito"), None));
        assert_eq!(names(" "), (None, None));
    }
}
