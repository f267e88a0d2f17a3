//! A request to a provider, as it is made up: data fills it in, quirks may change it, then it is sent.

use serde_json::Value;
use url::Url;
use vestibule_base::outbound::{Answer, Endpoint};

use crate::catalogue::entry::{Parameter, Verb};
use crate::error::ProviderError;
use crate::template::{Template, Values};

/// A request that is not sent yet. What it holds is secret.
pub(crate) struct Request {
    pub(crate) method: Method,
    /// With its query.
    pub(crate) url: Url,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
}

pub(crate) enum Body {
    None,
    Form(Vec<(String, String)>),
    Json(Value),
}

impl Request {
    /// Adds parameters to the query.
    pub(crate) fn query<'a>(&mut self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let mut pairs = pairs.into_iter().peekable();
        if pairs.peek().is_some() {
            self.url.query_pairs_mut().extend_pairs(pairs);
        }
    }

    /// Sets a field of the form, or of the query where there is no form.
    pub(crate) fn set_field(&mut self, name: &str, value: String) {
        if let Body::Form(fields) = &mut self.body {
            fields.retain(|(known, _)| known != name);
            fields.push((name.to_owned(), value));
        } else {
            self.query([(name, value.as_str())]);
        }
    }

    /// Sends it to its URL, which `endpoint` has judged.
    ///
    /// # Errors
    /// [`ProviderError::Outbound`].
    pub(crate) async fn send(&self, endpoint: &Endpoint) -> Result<Answer, ProviderError> {
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Ok(match (&self.method, &self.body) {
            (Method::Get, _) => endpoint.get_text(&headers).await?,
            (Method::Post, Body::None) => endpoint.post_form([], &headers).await?,
            (Method::Post, Body::Json(value)) => endpoint.post_json(value.to_string(), &headers).await?,
            (Method::Post, Body::Form(fields)) => {
                let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                endpoint.post_form(fields, &headers).await?
            }
        })
    }
}

/// The catalogue's verb.
pub(crate) fn method(verb: Verb) -> Method {
    match verb {
        Verb::Get => Method::Get,
        Verb::Post => Method::Post,
    }
}

/// Fields with their values. Those without are left out.
pub(crate) fn filled<'t>(
    templates: impl IntoIterator<Item = (&'t String, &'t Template)>,
    values: &Values<'_>,
) -> Vec<(String, String)> {
    templates
        .into_iter()
        .filter_map(|(name, template)| Some((name.clone(), template.text(values)?)))
        .collect()
}

/// A form, or nothing where it has no fields.
pub(crate) fn form_body(fields: Vec<(String, String)>) -> Body {
    if fields.is_empty() { Body::None } else { Body::Form(fields) }
}

/// Adds the catalogue's parameters to the query.
pub(crate) fn add_query<'t>(
    request: &mut Request,
    query: impl IntoIterator<Item = (&'t String, &'t Parameter)>,
    values: &Values<'_>,
) {
    for (name, parameter) in query {
        for value in parameter.templates().iter().filter_map(|template| template.text(values)) {
            request.query([(name.as_str(), value.as_str())]);
        }
    }
}
