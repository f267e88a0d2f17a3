//! Texts with `{placeholders}`, as the catalogue writes them, and the values that fill them. In a URL a value can fill the
//! place that it stands in, and nothing beyond: what comes from outside never decides about scheme or host.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;

use serde::Deserialize;
use serde_json::{Map, Value};
use url::{Origin, Url};

use crate::catalogue::entry::Derived;
use crate::error::ProviderError;
use crate::rule::{Pointer, is_true};

/// A text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Place { from: From, default: Option<String> },
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum From {
    /// A setting, a derived name, or one that the flow sets.
    Name(String),
    /// The data that a rule looks at.
    Data(Pointer),
    /// The answer to the request before the token request.
    Before(Pointer),
    /// The token answer.
    Token(Pointer),
    /// The first profile answer.
    First(Pointer),
    /// A parameter of the callback.
    Callback(String),
    /// A parameter of the request that began the login.
    Query(String),
    /// A key of the discovery document.
    Discovery(String),
}

/// What fills placeholders. Holds secrets, so it does not print.
#[derive(Clone)]
pub(crate) struct Values<'a> {
    /// The app's settings, with the catalogue's defaults.
    pub(crate) settings: Cow<'a, Map<String, Value>>,
    pub(crate) derived: &'a BTreeMap<String, Derived>,
    /// What the flow knows: `client_id`, `redirect_uri`, `code`, `access_token` ...
    pub(crate) named: BTreeMap<&'static str, String>,
    pub(crate) before: &'a Value,
    pub(crate) token: &'a Value,
    pub(crate) first: &'a Value,
    pub(crate) discovery: &'a Value,
    pub(crate) callback: &'a [(String, String)],
    pub(crate) query: &'a [(String, String)],
}

/// Why a text is no template.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the template {0:?} has a brace that is not closed, or not opened")]
    Brace(String),
    #[error("the template {0:?} has a placeholder of an unknown kind: {{{1}}}")]
    Kind(String, String),
    #[error("{0:?} is no JSON pointer: it must be empty or begin with a slash")]
    Pointer(String),
}

impl Values<'_> {
    /// The value of a name.
    pub(crate) fn name(&self, name: &str) -> Option<Cow<'_, Value>> {
        if let Some(value) = self.settings.get(name).filter(|value| !value.is_null()) {
            return Some(Cow::Borrowed(value));
        }
        if let Some(text) = self.named.get(name) {
            return Some(Cow::Owned(Value::from(text.as_str())));
        }
        let derived = self.derived.get(name)?;
        // Derived names may depend only on settings: the catalogue is refused otherwise, so this comes to an end.
        let decides = self.name(&derived.when);
        let decided = match &derived.is {
            Some(is) => decides.as_deref() == Some(is),
            None => decides.as_deref().is_some_and(is_true),
        };
        let template = if decided { Some(&derived.then) } else { derived.otherwise.as_ref() };
        template?.text(self).map(Value::from).map(Cow::Owned)
    }

    fn find(&self, from: &From, data: &Value) -> Option<Value> {
        let value = match from {
            From::Name(name) => self.name(name)?.into_owned(),
            From::Data(pointer) => pointer.find(data, self)?.clone(),
            From::Before(pointer) => pointer.find(self.before, self)?.clone(),
            From::Token(pointer) => pointer.find(self.token, self)?.clone(),
            From::First(pointer) => pointer.find(self.first, self)?.clone(),
            From::Callback(name) => parameter(self.callback, name)?,
            From::Query(name) => parameter(self.query, name)?,
            From::Discovery(name) => self.discovery.get(name)?.clone(),
        };
        (!value.is_null()).then_some(value)
    }
}

impl Template {
    /// A text without placeholders.
    pub(crate) fn literal(text: &str) -> Self {
        Self(vec![Part::Text(text.to_owned())])
    }

    /// The text, if every placeholder has a value. Lists are joined by commas.
    pub(crate) fn text(&self, values: &Values<'_>) -> Option<String> {
        self.text_on(&Value::Null, values)
    }

    /// As [`Template::text`], with placeholders that are pointers into `data`.
    pub(crate) fn text_on(&self, data: &Value, values: &Values<'_>) -> Option<String> {
        let mut text = String::new();
        for (at, part) in self.0.iter().enumerate() {
            let part = part.text(data, values)?;
            // Bases of URLs may be written with a final slash.
            if at == 1 && part.starts_with('/') && text.ends_with('/') {
                text.pop();
            }
            text.push_str(&part);
        }
        Some(text)
    }

    /// As [`Template::text_on`], but what has no value is empty, and the ends are trimmed.
    pub(crate) fn text_of_any(&self, data: &Value, values: &Values<'_>) -> String {
        let text: String = self.0.iter().map(|part| part.text(data, values).unwrap_or_default()).collect();
        text.trim().to_owned()
    }

    /// What a single placeholder stands for, of whatever type; else the text.
    pub(crate) fn value(&self, values: &Values<'_>) -> Option<Value> {
        if let [Part::Place { from, default: None }] = self.0.as_slice() {
            return values.find(from, &Value::Null);
        }
        self.text(values).map(Value::from)
    }

    /// The URL. A value at the beginning must be an http or https URL of its own; one in the host can hold only what hosts
    /// are made of; elsewhere it is encoded, and is one segment of the path or a part of the query.
    ///
    /// # Errors
    /// [`ProviderError::Answer`] where a value is missing, or not fit for its place.
    pub(crate) fn url(&self, values: &Values<'_>) -> Result<Url, ProviderError> {
        let mut url = String::new();
        for (at, part) in self.0.iter().enumerate() {
            let Part::Place { .. } = part else {
                url.push_str(&part.text(&Value::Null, values).unwrap_or_default());
                continue;
            };
            let value = part
                .text(&Value::Null, values)
                .ok_or(ProviderError::answer("what a URL is made of was not said"))?;
            let next = match self.0.get(at + 1) {
                Some(Part::Text(text)) => Some(text.as_str()),
                Some(Part::Place { .. }) => Some(""),
                None => None,
            };
            url.push_str(&fit(&url, &value, next).ok_or(UNFIT)?);
        }
        let url = Url::parse(&url).map_err(|_| UNFIT)?;
        if matches!(url.scheme(), "http" | "https") && url.has_host() { Ok(url) } else { Err(UNFIT) }
    }

    /// The names that it uses.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Place { from: From::Name(name), .. } => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether names alone fill it, and all of these have a value.
    pub(crate) fn is_settled(&self, values: &Values<'_>) -> bool {
        self.0.iter().all(|part| match part {
            Part::Text(_) => true,
            Part::Place { from: From::Name(name), .. } => values.name(name).is_some(),
            Part::Place { .. } => false,
        })
    }

    /// The name that is its host, where it begins with `https://{name}`.
    pub(crate) fn host_name(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Part::Text(text), Part::Place { from: From::Name(name), .. }, ..] if text == "https://" => {
                Some(name)
            }
            _ => None,
        }
    }

    /// Its origin, if that is written out.
    pub(crate) fn fixed_origin(&self) -> Option<Origin> {
        let Some(Part::Text(text)) = self.0.first() else { return None };
        let (scheme, rest) = text.split_once("://")?;
        // What ends without a slash may go on with a placeholder that is part of the host.
        let host = rest.split_once('/').map(|(host, _)| host).or((self.0.len() == 1).then_some(rest))?;
        Url::parse(&format!("{scheme}://{host}")).ok().filter(Url::has_host).map(|url| url.origin())
    }
}

const UNFIT: ProviderError = ProviderError::Answer(Cow::Borrowed("what a URL is made of is not fit for it"));

impl Part {
    fn text(&self, data: &Value, values: &Values<'_>) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Place { from, default } => {
                values.find(from, data).as_ref().and_then(text).or_else(|| default.clone())
            }
        }
    }
}

/// A value as text, where it has one.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Array(list) => Some(list.iter().map(text).collect::<Option<Vec<_>>>()?.join(",")),
        Value::Null | Value::Object(_) => None,
    }
}

/// A value as it may stand behind `before` in a URL, with `next` behind it.
fn fit(before: &str, value: &str, next: Option<&str>) -> Option<String> {
    let Some((_, rest)) = before.split_once("://") else {
        return if before.is_empty() { fit_as_base(value, next) } else { None };
    };
    if !rest.contains(['/', '?', '#']) {
        // A port only where the host ends.
        let (host, port) = match value.split_once(':') {
            Some((host, port)) if next.is_none_or(|next| next.starts_with('/')) => (host, port),
            Some(_) => return None,
            None => (value, "0"),
        };
        let is_host = !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
        return (is_host && port.parse::<u16>().is_ok()).then(|| value.to_owned());
    }
    let is_dots = value.bytes().all(|byte| byte == b'.');
    // Dots alone would climb; nothing at all would name something else.
    (!is_dots || rest.contains('?')).then(|| encode(value))
}

/// A value that is the beginning of a URL.
fn fit_as_base(value: &str, next: Option<&str>) -> Option<String> {
    let url = Url::parse(value).ok()?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none();
    if !is_plain {
        return None;
    }
    let Some(next) = next else { return Some(url.into()) };
    if url.query().is_some() || url.fragment().is_some() {
        return None;
    }
    let base = url.as_str().trim_end_matches('/');
    Some(if next.starts_with('/') { base.to_owned() } else { format!("{base}/") })
}

/// Percent-encodes all but what is unreserved (RFC 3986, section 2.3).
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn parameter(params: &[(String, String)], name: &str) -> Option<Value> {
    params.iter().find(|(key, _)| key == name).map(|(_, value)| Value::from(value.as_str()))
}

impl FromStr for Template {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let brace = || Malformed::Brace(text.to_owned());
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (before, behind) = rest.split_at(open);
            let (inside, after) = behind[1..].split_once('}').ok_or_else(brace)?;
            if before.contains('}') || inside.contains('{') {
                return Err(brace());
            }
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(place(text, inside)?);
            rest = after;
        }
        if rest.contains('}') {
            return Err(brace());
        }
        if !rest.is_empty() || parts.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }
}

impl TryFrom<String> for Template {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

/// What stands between braces: a name or a pointer, and a default behind a bar.
fn place(template: &str, inside: &str) -> Result<Part, Malformed> {
    let (what, default) = match inside.split_once('|') {
        Some((what, default)) => (what, Some(default.to_owned())),
        None => (inside, None),
    };
    let is_name = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
    };
    let from = if what.starts_with('/') {
        From::Data(what.parse()?)
    } else if let Some((kind, of)) = what.split_once(':') {
        match kind {
            "before" => From::Before(of.parse()?),
            "token" => From::Token(of.parse()?),
            "step1" => From::First(of.parse()?),
            "callback" => From::Callback(of.to_owned()),
            "query" => From::Query(of.to_owned()),
            "discovery" => From::Discovery(of.to_owned()),
            _ => return Err(Malformed::Kind(template.to_owned(), inside.to_owned())),
        }
    } else if is_name(what) {
        From::Name(what.to_owned())
    } else {
        return Err(Malformed::Kind(template.to_owned(), inside.to_owned()));
    };
    Ok(Part::Place { from, default })
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    static NOTHING: BTreeMap<String, Derived> = BTreeMap::new();

    /// Values of these settings and nothing else.
    pub(crate) fn values(settings: Value) -> Values<'static> {
        let Value::Object(settings) = settings else { panic!("an object") };
        Values {
            settings: Cow::Owned(settings),
            derived: &NOTHING,
            named: BTreeMap::new(),
            before: &Value::Null,
            token: &Value::Null,
            first: &Value::Null,
            discovery: &Value::Null,
            callback: &[],
            query: &[],
        }
    }

    fn template(text: &str) -> Template {
        text.parse().unwrap()
    }

    fn url(text: &str, settings: Value) -> Option<String> {
        template(text).url(&values(settings)).ok().map(String::from)
    }

    #[test]
    fn every_kind_of_placeholder_is_filled() {
        let (token, first) = (json!({"a": {"b": 7}}), json!({"id": "i"}));
        let (before, discovery) = (json!({"t": "app"}), json!({"issuer": "iss"}));
        let params = [("x".to_owned(), "one".to_owned()), ("x".to_owned(), "two".to_owned())];
        let mut values = values(json!({"flag": true, "list": ["a", "b"], "none": null}));
        values.token = &token;
        values.first = &first;
        values.before = &before;
        values.discovery = &discovery;
        values.callback = &params;
        values.named.insert("code", "c".to_owned());
        let text = |text: &str| template(text).text(&values);
        assert_eq!(text("{token:/a/b}-{step1:/id}-{before:/t}-{discovery:issuer}").unwrap(), "7-i-app-iss");
        assert_eq!(text("{callback:x}{code}{flag}({list})").unwrap(), "onectrue(a,b)");
        assert_eq!(text("{token:/nothing|else}").unwrap(), "else");
        assert_eq!(text("a{none}"), None);
        assert_eq!(text("{token:/a}"), None, "an object is no text");
        assert_eq!(template("{token:/a}").value(&values), Some(json!({"b": 7})));
        assert_eq!(template("{token:}").value(&values), Some(token.clone()));
    }

    #[test]
    fn malformed_templates_are_refused() {
        for text in ["{", "}", "a{b", "a}b", "{a{b}}", "{}", "{what:x}", "{a b}", "{token:x}"] {
            assert!(text.parse::<Template>().is_err(), "{text}");
        }
    }

    #[test]
    fn bases_hosts_and_segments_are_put_together() {
        let base = |base: &str| url("{base}/v1", json!({ "base": base }));
        assert_eq!(base("https://a.example").unwrap(), "https://a.example/v1");
        assert_eq!(base("https://a.example/sub/").unwrap(), "https://a.example/sub/v1");
        assert_eq!(base("http://localhost:8080").unwrap(), "http://localhost:8080/v1");
        for bad in ["a.example", "ftp://a.example", "https://u:p@a.example", "https://a.example?x=", ""] {
            assert_eq!(base(bad), None, "{bad}");
        }
        assert_eq!(url("{base}v1", json!({"base": "https://a.example"})).unwrap(), "https://a.example/v1");
        assert_eq!(
            url("{base}", json!({"base": "https://a.example/x?y=1"})).unwrap(),
            "https://a.example/x?y=1"
        );

        let host = |host: &str| url("https://{host}/v1", json!({ "host": host }));
        assert_eq!(host("a.example:8443").unwrap(), "https://a.example:8443/v1");
        for bad in ["", "a/b", "a@b", "a?b", "a#b", "a\\b", "https://a.example", "a:b", "a b"] {
            assert_eq!(host(bad), None, "{bad}");
        }
        assert_eq!(url("https://{x}.a.example/", json!({"x": "evil.example:80"})), None);

        let segment = |segment: &str| url("https://a.example/u/{x}/z", json!({ "x": segment }));
        assert_eq!(segment("a/b ?#%2e").unwrap(), "https://a.example/u/a%2Fb%20%3F%23%252e/z");
        for bad in ["", ".", "..", "..."] {
            assert_eq!(segment(bad), None, "{bad}");
        }
        assert_eq!(url("https://a.example/{x}", json!({})), None, "no value");
    }

    #[test]
    fn origins_are_known_where_they_are_written_out() {
        let origin = |text| template(text).fixed_origin().map(|origin| origin.ascii_serialization());
        assert_eq!(origin("https://a.example/{x}").as_deref(), Some("https://a.example"));
        assert_eq!(origin("https://a.example").as_deref(), Some("https://a.example"));
        assert_eq!(origin("https://a.example{x}"), None);
        assert_eq!(origin("https://{x}/"), None);
        assert_eq!(origin("{x}/a"), None);
        assert_eq!(template("https://{x}.{y}/").host_name(), Some("x"));
    }

    proptest! {
        #[test]
        fn no_value_changes_scheme_or_host(value in ".*", hostile in "[/\\\\.@:?#%a-z0-9 \t\r\n{}]{0,12}") {
            for value in [&value, &hostile] {
                for text in ["https://a.example/{x}", "https://a.example/v/{x}/z", "https://a.example/?q={x}", "https://a.example/{x}{x}"] {
                    if let Ok(url) = template(text).url(&values(json!({ "x": value }))) {
                        prop_assert_eq!(url.origin().ascii_serialization(), "https://a.example");
                        prop_assert_eq!(url.username(), "");
                        let path = url.path().to_owned();
                        prop_assert!(!text.contains("/v/") || (path.starts_with("/v/") && path.ends_with("/z")));
                    }
                }
                if let Ok(url) = template("https://{x}.a.example/p").url(&values(json!({ "x": value }))) {
                    prop_assert_eq!(url.scheme(), "https");
                    prop_assert_eq!(url.port(), None);
                    prop_assert!(url.host_str().unwrap().ends_with(".a.example"));
                    prop_assert_eq!(url.path(), "/p");
                }
            }
        }
    }
}
