//! What both halves of a login need: the app's entry and settings, what its provider has published, and our names there.

use std::borrow::Cow;

use serde_json::{Map, Value};
use vestibule_base::outbound::Answer;
use vestibule_base::security::same;

use crate::catalogue::entry::{Call, Entry, Protocol, Source};
use crate::error::ProviderError;
use crate::login::{Callback, Memory};
use crate::oidc::{Expected, Metadata, Oidc, Proven, is_signed_by};
use crate::provider::Provider;
use crate::quirks::Progress;
use crate::request::{Body, Request, add_query, filled, form_body, method};
use crate::template::{Template, Values};
use crate::world::World;

/// A login under way.
pub(super) struct Flow<'a> {
    pub(super) world: &'a World,
    pub(super) provider: &'a Provider,
    pub(super) entry: &'a Entry,
    /// What is asked for.
    pub(super) scopes: Vec<String>,
    /// Where the provider publishes something of itself.
    pub(super) metadata: Option<Metadata>,
    oidc: &'a Oidc,
    settings: Map<String, Value>,
    discovery: Value,
    /// The first is told; ID tokens may be for any.
    client_ids: Vec<String>,
}

/// What a login has brought so far.
#[derive(Clone, Copy)]
pub(super) struct Login<'a> {
    pub(super) callback: &'a Callback,
    pub(super) token_answer: &'a Value,
    pub(super) access_token: &'a str,
}

impl<'a> Flow<'a> {
    /// Looks up what the login needs to know.
    pub(super) async fn open(
        world: &'a World,
        oidc: &'a Oidc,
        provider: &'a Provider,
        memory: &Memory,
    ) -> Result<Self, ProviderError> {
        let entry = provider.entry();
        let mut settings = provider.settings().clone();
        let quirk = provider.quirk();
        if let Some(quirk) = quirk {
            quirk.settings(memory, &mut settings);
        }
        let metadata = match entry.protocol {
            Protocol::Oidc => Some(oidc.discover(world, provider).await?),
            _ => None,
        };
        Ok(Self {
            world,
            provider,
            entry,
            scopes: provider.scopes(world),
            discovery: metadata.as_ref().map_or(Value::Null, Metadata::to_value),
            metadata,
            oidc,
            settings,
            client_ids: provider.client_ids(),
        })
    }

    /// What fills the catalogue's templates, as far as it is known from the start.
    pub(super) fn values(&self) -> Values<'_> {
        let mut values = self.provider.values(self.world);
        values.settings = Cow::Borrowed(&self.settings);
        values.discovery = &self.discovery;
        values.named.insert("client_id", self.client_id().to_owned());
        values
    }

    /// The same, once there is something of the person's.
    pub(super) fn values_of<'v>(&'v self, login: Login<'v>) -> Values<'v> {
        let mut values = self.values();
        values.token = login.token_answer;
        values.callback = &login.callback.params;
        values.named.insert("access_token", login.access_token.to_owned());
        values
    }

    /// What quirks are told.
    pub(super) fn progress<'p>(&'p self, login: Login<'p>) -> Progress<'p> {
        let Login { callback, token_answer, access_token } = login;
        Progress { callback, token_answer, access_token, scopes: &self.scopes }
    }

    /// How the provider knows us.
    pub(super) fn client_id(&self) -> &str {
        self.client_ids.first().map_or("", String::as_str)
    }

    /// A setting of the app: a flag.
    pub(super) fn flag_setting(&self, name: &str) -> Option<bool> {
        self.settings.get(name).and_then(Value::as_bool)
    }

    /// Sends a request, if it goes where this provider's may go. Redirects are not followed.
    pub(super) async fn send(&self, request: &Request) -> Result<Answer, ProviderError> {
        let endpoint = self.provider.endpoint(self.world, request.url.as_str())?;
        request.send(&endpoint).await
    }

    /// Whether ID tokens of the token endpoint count: then they must repeat the nonce.
    pub(super) fn reads_id_tokens(&self) -> bool {
        self.entry.protocol == Protocol::Oidc
            || (self.entry.id_token.is_some() && self.entry.data.from == Source::IdToken)
    }

    /// The provider's name in ID tokens, where that is known.
    fn issuer(&self) -> Result<Option<String>, ProviderError> {
        match (&self.metadata, &self.entry.id_token) {
            (Some(metadata), _) => metadata.issuer().map(|issuer| Some(issuer.to_owned())),
            (None, Some(id_token)) => Ok(id_token.issuer.text(&self.values())),
            (None, None) => Ok(None),
        }
    }

    /// Whether the callback comes from the provider that the person was sent to (RFC 9207): another one may have been
    /// made to send them here, to get hold of a code.
    pub(super) fn check_sender(&self, callback: &Callback) -> Result<(), ProviderError> {
        let announced = self
            .metadata
            .as_ref()
            .is_some_and(|metadata| metadata.flag("authorization_response_iss_parameter_supported"));
        match (callback.get("iss"), self.issuer()?) {
            (Some(sender), Some(issuer)) if !same(sender.as_bytes(), issuer.as_bytes()) => {
                Err(ProviderError::brought("the callback comes from another issuer"))
            }
            (None, _) if announced => Err(ProviderError::brought("the callback does not say whose it is")),
            _ => Ok(()),
        }
    }

    /// What an ID token of this provider says, if it is true and for us.
    pub(super) async fn verify_id_token(
        &self,
        token: &str,
        nonce: Option<&str>,
        access_token: Option<&str>,
    ) -> Result<Proven, ProviderError> {
        let none = || ProviderError::settings("nothing is known of its ID tokens");
        let keys = match (&self.entry.id_token, &self.metadata) {
            (Some(id_token), _) => id_token.keys.url(&self.values())?.into(),
            (None, Some(metadata)) => metadata.required("jwks_uri")?.to_owned(),
            (None, None) => return Err(none()),
        };
        let issuer = self.issuer()?.ok_or_else(none)?;
        let known = self.metadata.as_ref();
        let mut algorithms = known.and_then(|it| it.list("id_token_signing_alg_values_supported"));
        // A provider that signs by another algorithm than it did may say so by now.
        let renewed = match &algorithms {
            Some(all) if !is_signed_by(token, all) => self.oidc.rediscover(self.world, self.provider).await,
            _ => None,
        };
        if let Some(renewed) = &renewed {
            algorithms = renewed.list("id_token_signing_alg_values_supported");
        }
        let expected =
            Expected { issuer: &issuer, audiences: &self.client_ids, algorithms, nonce, access_token };
        self.oidc.verify(self.world, self.provider, &keys, token, &expected).await
    }

    /// A request as the catalogue describes it. Parameters without a value are left out.
    pub(super) fn request(&self, call: &Call, values: &Values<'_>) -> Result<Request, ProviderError> {
        let body = if call.json.is_empty() {
            form_body(filled(&call.form, values))
        } else {
            let value =
                |(name, template): (&String, &Template)| Some((name.clone(), template.value(values)?));
            Body::Json(Value::Object(call.json.iter().filter_map(value).collect()))
        };
        let mut request = Request {
            method: method(call.method),
            url: call.url.url(values)?,
            headers: filled(&call.headers, values),
            body,
        };
        add_query(&mut request, &call.query, values);
        Ok(request)
    }
}
