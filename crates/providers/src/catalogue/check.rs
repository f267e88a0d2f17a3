//! What an entry's types cannot say: whether its names are given a value, and what its URLs are.

use std::collections::BTreeMap;

use url::{Origin, Url};

use super::entry::{Entry, Parameter, TokenIn};
use crate::quirks;
use crate::rule::Rule;
use crate::template::Template;

impl Entry {
    /// Looks for what types cannot say: names that nothing gives a value.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) fn check(&self) -> Result<(), String> {
        let is_given = |name: &str| self.settings.contains_key(name) || KNOWN.contains(&name);
        for (name, derived) in &self.derived {
            // Not from each other: so that following them comes to an end.
            let templates = std::iter::once(&derived.then).chain(&derived.otherwise);
            let mut from = templates.flat_map(Template::names).chain([derived.when.as_str()]);
            if let Some(unknown) = from.find(|name| !is_given(name)) {
                return Err(format!("derived.{name} is made from {unknown:?}, which is no setting"));
            }
        }
        if let Some(name) = self.quirk.as_deref().filter(|name| !quirks::is_known(name)) {
            return Err(format!("there is no quirk {name:?}"));
        }
        let unknown = |name: &&str| !is_given(name) && !self.derived.contains_key(*name);
        match self.templates().into_iter().flat_map(Template::names).find(unknown) {
            Some(name) => Err(format!("{{{name}}} is neither a setting nor known to the flow")),
            None => Ok(()),
        }
    }

    /// The URLs that are called, or that people are sent to.
    pub(crate) fn urls(&self) -> impl Iterator<Item = &Template> {
        let authorize = self.authorize.iter().map(|authorize| &authorize.url);
        let token = self.token.iter().map(|token| &token.url);
        let calls = self.request_token.iter().chain(&self.before_token).map(|call| &call.url);
        let profile = self.profile.iter().map(|step| &step.url);
        let keys = self.id_token.iter().map(|id_token| &id_token.keys);
        authorize.chain(calls).chain(token).chain(profile).chain(keys).chain(&self.openid_server)
    }

    /// The origins that its URLs write out.
    pub(crate) fn written_origins(&self) -> Vec<Origin> {
        let derived = self
            .derived
            .values()
            .flat_map(|derived| std::iter::once(&derived.then).chain(&derived.otherwise));
        let urls = self.urls().chain(derived).filter_map(Template::fixed_origin);
        let defaults = self
            .settings
            .values()
            .filter_map(|setting| Url::parse(setting.default.as_ref()?.as_str()?).ok().filter(Url::has_host));
        urls.chain(defaults.map(|url| url.origin())).collect()
    }

    /// All templates that a flow fills in.
    fn templates(&self) -> Vec<&Template> {
        let mut all: Vec<&Template> = Vec::new();
        for derived in self.derived.values() {
            all.push(&derived.then);
            all.extend(&derived.otherwise);
        }
        if let Some(authorize) = &self.authorize {
            all.push(&authorize.url);
            all.extend(authorize.params.values());
        }
        for call in self.request_token.iter().chain(&self.before_token) {
            all.push(&call.url);
            all.extend(call.query.values().flat_map(Parameter::templates));
            all.extend(call.headers.values().chain(call.form.values()).chain(call.json.values()));
        }
        if let Some(token) = &self.token {
            all.push(&token.url);
            all.extend(token.query.values().flat_map(Parameter::templates));
            all.extend(token.headers.values());
            all.extend(token.fields.iter().flat_map(BTreeMap::values));
        }
        for step in &self.profile {
            all.push(&step.url);
            all.extend(step.query.values().flat_map(Parameter::templates));
            all.extend(step.headers.values().chain(step.form.values()));
            if let Some(TokenIn::Scheme(scheme)) = &step.token_in {
                all.push(scheme);
            }
        }
        all.extend(self.data.add.values());
        if let Some(id_token) = &self.id_token {
            all.extend([&id_token.issuer, &id_token.keys]);
        }
        all.extend(self.discovery.iter().chain(&self.openid_server));
        all.extend(self.display.first.iter().flat_map(Rule::templates));
        all.extend(self.avatar_url.iter().chain(&self.profile_url).flat_map(Rule::templates));
        all
    }
}

/// Names that the flow gives values to.
const KNOWN: &[&str] = &[
    "access_token",
    "app_name",
    "client_id",
    "client_secret",
    "code",
    "key",
    "oauth_token",
    "oauth_verifier",
    "query_email",
    "redirect_uri",
    "site",
    "state",
    "uid",
];
