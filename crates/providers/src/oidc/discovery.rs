//! The document in which an OpenID provider says where its endpoints are (OpenID Connect Discovery 1.0).

use serde_json::{Map, Value};

use crate::error::ProviderError;

const WELL_KNOWN: &str = "/.well-known/";

/// What a provider publishes of itself.
#[derive(Debug, Clone)]
pub(crate) struct Metadata(Map<String, Value>);

impl Metadata {
    pub(super) fn read(text: &str) -> Result<Self, ProviderError> {
        serde_json::from_str(text)
            .map(Self)
            .map_err(|_| ProviderError::answer("the discovery document is no JSON object"))
    }

    /// With some values in the place of those that are published.
    pub(super) fn overridden(&self, overrides: Option<&Value>) -> Self {
        let mut values = self.0.clone();
        if let Some(Value::Object(overrides)) = overrides {
            values.extend(overrides.clone());
        }
        Self(values)
    }

    /// A document that names another issuer than the one it was asked of could lend that one's name to whoever wrote it.
    /// It may be the one that the operator names, too: in settings, or by an override that has been laid over the document.
    pub(super) fn check_issuer(&self, url: &str, configured: Option<&str>) -> Result<(), ProviderError> {
        let issuer = self.issuer()?;
        // Both `X` and `X/` publish at `X/.well-known/openid-configuration`.
        let asked = url.split(WELL_KNOWN).next().unwrap_or_default().trim_end_matches('/');
        let same = configured.map_or(issuer.strip_suffix('/').unwrap_or(issuer) == asked, |it| it == issuer);
        same.then_some(()).ok_or_else(|| ProviderError::answer("the discovery document is another issuer's"))
    }

    /// All of it.
    pub(crate) fn to_value(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// The provider's name in ID tokens.
    pub(crate) fn issuer(&self) -> Result<&str, ProviderError> {
        self.required("issuer")
    }

    /// A text that a login cannot do without.
    ///
    /// # Errors
    /// `Answer` where the document does not have it.
    pub(crate) fn required(&self, name: &'static str) -> Result<&str, ProviderError> {
        self.text(name).ok_or_else(|| ProviderError::answer(format!("the discovery document lacks {name}")))
    }

    /// A text, if it is there and not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// A flag; absent is `false`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Value::Bool(true))
    }

    /// A list of texts, where there is one.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<&str>> {
        Some(self.0.get(name)?.as_array()?.iter().filter_map(Value::as_str).collect())
    }
}
