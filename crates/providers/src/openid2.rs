//! OpenID Authentication 2.0, the side of who relies on it, without associations: of every assertion the provider is asked
//! directly whether it is its own.
//!
//! There is no discovery. Whose word counts is configured: one server, and the beginning of the identifiers that are its
//! to give. Identifiers that people choose elsewhere, and delegate, are not taken.

mod message;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use url::Url;

use crate::error::ProviderError;
use crate::identity::Identity;
use crate::login::{Arrival, Callback, Departure, Memory, Replay, Start};
use crate::provider::Provider;
use crate::request::{Body, Method, Request};
use crate::world::World;
use message::{AX, Message, NS, SREG, confirms};

/// What makes the server choose the identifier: it knows the person, we do not yet.
const IDENTIFIER_SELECT: &str = "http://specs.openid.net/auth/2.0/identifier_select";
const RETURN_TO: &str = "return_to";

const EMAIL: &str = "http://axschema.org/contact/email";
const FIRST_NAME: [&str; 2] =
    ["http://axschema.org/namePerson/first", "http://openid.net/schema/namePerson/first"];
const LAST_NAME: [&str; 2] =
    ["http://axschema.org/namePerson/last", "http://openid.net/schema/namePerson/last"];
const NAME: [&str; 2] = ["http://axschema.org/namePerson", "http://openid.net/schema/namePerson"];

/// Sends the person to the server that the app's settings name.
///
/// # Errors
/// [`ProviderError::Settings`] without `openid_url` and `identity_prefix`.
pub(crate) async fn begin(
    world: &World,
    provider: &Provider,
    start: Start<'_>,
) -> Result<Departure, ProviderError> {
    let asked = if world.query_email { what_is_asked(provider) } else { Vec::new() };
    server(world, provider)?.depart(world, provider, start, &asked)
}

/// Who it is, by an assertion.
///
/// # Errors
/// Those of [`Server::verify`]; [`ProviderError::Answer`] if the identifier cannot be kept.
pub(crate) async fn complete(
    world: &World,
    provider: &Provider,
    memory: &Memory,
    callback: &Callback,
) -> Result<Arrival, ProviderError> {
    let assertion = server(world, provider)?.verify(world, provider, memory, callback).await?;
    let identity = identity_of(provider, &assertion.identity_url, &assertion.sreg, &assertion.ax)?;
    Ok(Arrival { identity, tokens: None, replay: Some(assertion.replay) })
}

/// Who it is, by what a verified assertion says: the identifier, values of simple registration by name, and values of
/// attribute exchange by URI.
///
/// # Errors
/// [`ProviderError::Answer`] if the identifier cannot be kept.
pub(crate) fn identity_of(
    provider: &Provider,
    identity_url: &str,
    sreg: &BTreeMap<String, String>,
    ax: &BTreeMap<String, String>,
) -> Result<Identity, ProviderError> {
    let of_ax = |uris: &[&str]| uris.iter().find_map(|uri| ax.get(*uri).filter(|value| !value.is_empty()));
    let extra: BTreeMap<_, _> = extra_attributes(provider).map(|(name, uri)| (name, ax.get(uri))).collect();
    let data = |email: Option<&String>| {
        json!({
            "identity_url": identity_url,
            "email": email,
            "first_name": of_ax(&FIRST_NAME),
            "last_name": of_ax(&LAST_NAME),
            "extra_attributes": extra,
            "name": sreg.get("fullname").filter(|name| !name.is_empty()).or_else(|| of_ax(&NAME)),
        })
    };
    let identity = provider.identity(&data(sreg.get("email")))?;
    if identity.email.is_some() { Ok(identity) } else { provider.identity(&data(ax.get(EMAIL))) }
}

fn server(world: &World, provider: &Provider) -> Result<Server, ProviderError> {
    Server::of(world, provider, provider.setting_text("identity_prefix").unwrap_or_default())
}

/// What the app wants to know besides: names for the extra data, and the attributes' URIs.
fn extra_attributes(provider: &Provider) -> impl Iterator<Item = (&str, &str)> {
    let wanted = provider.setting("extra_attributes").and_then(Value::as_object).into_iter().flatten();
    wanted.filter_map(|(name, uri)| Some((name.as_str(), uri.as_str()?)))
}

/// A server of OpenID 2.0.
pub(crate) struct Server {
    /// Where people are sent, and where assertions are confirmed: exactly as the server calls itself.
    pub(crate) endpoint: String,
    /// What all identifiers begin with that are its to give.
    pub(crate) identity_prefix: String,
}

/// What a server has confirmed.
pub(crate) struct Assertion {
    pub(crate) identity_url: String,
    pub(crate) sreg: BTreeMap<String, String>,
    pub(crate) ax: BTreeMap<String, String>,
    pub(crate) replay: Replay,
}

impl Server {
    /// The catalogue's server, which names people by URLs that begin with `identity_prefix`.
    ///
    /// # Errors
    /// [`ProviderError::Settings`] if one of the two is missing, or URLs of others could begin so.
    pub(crate) fn of(
        world: &World,
        provider: &Provider,
        identity_prefix: &str,
    ) -> Result<Self, ProviderError> {
        let endpoint = provider.entry().openid_server.as_ref();
        let endpoint = endpoint.and_then(|server| server.text(&provider.values(world)));
        let endpoint = endpoint.ok_or(ProviderError::settings("openid_url is missing"))?;
        if !is_prefix(identity_prefix) {
            let why = "identity_prefix has to be a URL that goes on behind the host";
            return Err(ProviderError::settings(why));
        }
        Ok(Self { endpoint, identity_prefix: identity_prefix.to_owned() })
    }

    /// Sends the person there, to come back with `state`.
    ///
    /// # Errors
    /// [`ProviderError::Settings`] if the endpoint is no URL.
    pub(crate) fn depart(
        &self,
        world: &World,
        provider: &Provider,
        start: Start<'_>,
        extensions: &[(String, String)],
    ) -> Result<Departure, ProviderError> {
        let return_to = start.return_to(&provider.redirect_uri(world));
        let site = format!("{}/", world.site.as_str().trim_end_matches('/'));
        let realm = provider.setting_text("realm").filter(|realm| !realm.is_empty()).unwrap_or(&site);
        let mut url = Url::parse(&self.endpoint)
            .map_err(|_| ProviderError::settings("the server's endpoint is no URL"))?;
        url.query_pairs_mut()
            .append_pair("openid.ns", NS)
            .append_pair("openid.mode", "checkid_setup")
            .append_pair("openid.claimed_id", IDENTIFIER_SELECT)
            .append_pair("openid.identity", IDENTIFIER_SELECT)
            .append_pair("openid.return_to", &return_to)
            .append_pair("openid.realm", realm)
            .extend_pairs(extensions);
        let mut memory = Memory::default();
        memory.0.insert(RETURN_TO.to_owned(), return_to);
        Ok(Departure { url: url.into(), memory, known_by: None })
    }

    /// What an assertion proves: it is for this login, of this moment, about an identifier of this server, and the server
    /// confirms it.
    ///
    /// # Errors
    /// [`ProviderError::Cancelled`]; [`ProviderError::Brought`] for what is no proof; [`ProviderError::Answer`] and
    /// [`ProviderError::Outbound`] where the server does not confirm.
    pub(crate) async fn verify(
        &self,
        world: &World,
        provider: &Provider,
        memory: &Memory,
        callback: &Callback,
    ) -> Result<Assertion, ProviderError> {
        let message = Message::read(callback)?;
        let return_to = memory.0.get(RETURN_TO).ok_or(ProviderError::brought("nothing was begun"))?;
        let replay = message.check(&self.endpoint, return_to, world.clock.now())?;
        let identity_url = message.signed("claimed_id").filter(|id| self.owns(id));
        let identity_url =
            identity_url.ok_or(ProviderError::brought("the identifier is not that server's"))?.to_owned();

        let endpoint = provider.endpoint(world, &self.endpoint)?;
        let question = Request {
            method: Method::Post,
            url: Url::parse(&self.endpoint)
                .map_err(|_| ProviderError::settings("the server's endpoint is no URL"))?,
            headers: Vec::new(),
            body: Body::Form(message.question()),
        };
        if !confirms(&question.send(&endpoint).await?.success()?) {
            return Err(ProviderError::answer("the server does not confirm its assertion"));
        }
        Ok(Assertion { identity_url, sreg: message.sreg(), ax: message.ax(), replay })
    }

    fn owns(&self, identifier: &str) -> bool {
        identifier.strip_prefix(&self.identity_prefix).is_some_and(|rest| !rest.is_empty())
    }
}

/// Whether a text ends behind the host, so that no other host begins with it.
fn is_prefix(text: &str) -> bool {
    let host_ends = text.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    host_ends && Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// The request for address and names, in both ways that there are.
fn what_is_asked(provider: &Provider) -> Vec<(String, String)> {
    let attributes = [EMAIL].into_iter().chain(NAME).chain(FIRST_NAME).chain(LAST_NAME);
    let attributes = attributes.chain(extra_attributes(provider).map(|(_, uri)| uri));
    let aliased = attributes.enumerate().map(|(at, uri)| (format!("a{at}"), uri.to_owned()));
    let aliased: Vec<_> = aliased.collect();
    let required: Vec<_> = aliased.iter().map(|(alias, _)| alias.as_str()).collect();
    let mut asked = vec![
        ("openid.ns.sreg".to_owned(), SREG.to_owned()),
        ("openid.sreg.required".to_owned(), "email,fullname".to_owned()),
        ("openid.ns.ax".to_owned(), AX.to_owned()),
        ("openid.ax.mode".to_owned(), "fetch_request".to_owned()),
        ("openid.ax.required".to_owned(), required.join(",")),
    ];
    asked.extend(aliased.into_iter().map(|(alias, uri)| (format!("openid.ax.type.{alias}"), uri)));
    asked
}

#[cfg(test)]
mod tests {
    use super::message::tests::{ENDPOINT, RETURN_TO, assertion};
    use super::*;
    use crate::rehearsal::{provider, world};

    const APP: &str = "
        provider = 'openid'
        client_id = ''
        settings = { openid_url = 'https://op.example/server', identity_prefix = 'https://op.example/id/' }
    ";
    const VALID: (u16, &str) = (200, "ns:http://specs.openid.net/auth/2.0\nis_valid:true\n");
    const START: Start<'static> = Start { state: "s1", query: &[] };

    fn memory() -> Memory {
        Memory([(super::RETURN_TO.to_owned(), RETURN_TO.to_owned())].into())
    }

    #[tokio::test]
    async fn people_are_sent_with_our_state_and_asked_for_address_and_names() {
        let (world, _) = world(&[]);
        let departure = begin(&world, &provider(&world, APP), START).await.unwrap();
        assert_eq!(departure.memory.0.get(super::RETURN_TO).map(String::as_str), Some(RETURN_TO));
        let url = Url::parse(&departure.url).unwrap();
        let params: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
        assert!(departure.url.starts_with(&format!("{ENDPOINT}?")));
        for (name, value) in [
            ("openid.mode", "checkid_setup"),
            ("openid.return_to", RETURN_TO),
            ("openid.realm", "https://site.example/"),
            ("openid.claimed_id", IDENTIFIER_SELECT),
            ("openid.sreg.required", "email,fullname"),
            ("openid.ax.type.a0", EMAIL),
        ] {
            assert_eq!(params.get(name).map(String::as_str), Some(value), "{name}");
        }
    }

    #[tokio::test]
    async fn o3_an_assertion_counts_once_its_server_has_confirmed_it() {
        let (world, stage) = world(&[VALID]);
        let provider = provider(&world, APP);
        let callback = Callback { params: assertion() };
        let arrival = complete(&world, &provider, &memory(), &callback).await.unwrap();
        let identity = arrival.identity;
        assert_eq!(identity.uid, "https://op.example/id/kim");
        assert_eq!(
            (identity.first_name.as_deref(), identity.last_name.as_deref()),
            (Some("Kim"), Some("Ito"))
        );
        assert_eq!(identity.email, None, "it is not signed");
        assert_eq!(arrival.replay.unwrap().key, format!("{ENDPOINT} 2026-01-02T03:04:05Zu1"));
        let asked = stage.asked();
        assert_eq!((asked[0].method.as_str(), asked[0].url.as_str()), ("POST", ENDPOINT));
        assert!(asked[0].body.contains("openid.mode=check_authentication"));
        assert!(asked[0].body.contains("openid.sig=c2ln"));
    }

    #[tokio::test]
    async fn o3_what_its_server_does_not_confirm_proves_nothing() {
        for answer in [(200, "is_valid:false\n"), (200, ""), (500, VALID.1), (302, VALID.1)] {
            let (world, _) = world(&[answer]);
            let provider = provider(&world, APP);
            let refused = complete(&world, &provider, &memory(), &Callback { params: assertion() }).await;
            assert!(refused.is_err(), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn o4_a_server_speaks_for_its_own_identifiers_alone() {
        for id in [
            "https://op.example/id/",
            "https://op.example/kim",
            "https://other.example/id/kim",
            "http://op.example/id/kim",
        ] {
            let (world, stage) = world(&[VALID]);
            let provider = provider(&world, APP);
            let mut params = assertion();
            params
                .iter_mut()
                .filter(|(name, _)| name == "openid.claimed_id")
                .for_each(|(_, value)| *value = id.to_owned());
            let refused = complete(&world, &provider, &memory(), &Callback { params }).await;
            assert!(matches!(refused, Err(ProviderError::Brought(_))), "{id}");
            assert!(stage.asked().is_empty());
        }
        for prefix in ["https://op.example", "op.example/id/", "javascript://op.example/"] {
            let (world, _) = world(&[]);
            let app = APP.replace("https://op.example/id/", prefix);
            let begun = begin(&world, &provider(&world, &app), START).await;
            assert!(matches!(begun, Err(ProviderError::Settings(_))), "{prefix}");
        }
    }

    /// The cases of the reference's fixtures.
    #[test]
    fn both_extensions_are_mapped() {
        let (world, _) = world(&[]);
        let provider = provider(&world, APP);
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let sreg = map(&[("email", "kim@mail.example"), ("fullname", "Kim Ito")]);
        let ax = map(&[(EMAIL, "kim@mail.example"), (FIRST_NAME[0], "Kim"), (LAST_NAME[1], "Ito")]);
        let broken = map(&[("email", "nonsense")]);
        for (sreg, ax) in [(sreg, BTreeMap::new()), (BTreeMap::new(), ax.clone()), (broken, ax)] {
            let identity = identity_of(&provider, "https://kim.op.example/", &sreg, &ax).unwrap();
            assert_eq!(identity.uid, "https://kim.op.example/");
            assert_eq!(identity.email.as_deref(), Some("kim@mail.example"));
            assert!(!identity.emails[0].verified);
            assert_eq!(
                (identity.first_name.as_deref(), identity.last_name.as_deref()),
                (Some("Kim"), Some("Ito"))
            );
            assert_eq!(identity.extra_data, json!({}));
        }
    }

    #[test]
    fn further_attributes_are_kept_by_the_names_that_the_app_gives_them() {
        let (world, _) = world(&[]);
        let app =
            APP.replace("settings = {", "settings = { extra_attributes = { a = 'urn:a', b = 'urn:b' },");
        let provider = provider(&world, &app);
        let ax = [("urn:a".to_owned(), "1".to_owned())].into();
        let identity = identity_of(&provider, "https://op.example/id/kim", &BTreeMap::new(), &ax).unwrap();
        assert_eq!(identity.extra_data, json!({"a": "1", "b": null}));
        assert!(what_is_asked(&provider).contains(&("openid.ax.type.a8".to_owned(), "urn:b".to_owned())));
    }
}
