//! Whether a request that went out is the listed one.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use std::collections::BTreeMap;
use url::{Url, form_urlencoded};
use vestibule_base::outbound::Played;

use crate::case::{Body, Header, Listed};
use crate::difference::{self, Difference};
use crate::oauth1;
use crate::placeholder::Known;
use crate::rule::{Rule, Used};

/// What came of the comparison.
#[derive(Default)]
pub(crate) struct Checked {
    pub(crate) differences: Vec<Difference>,
    pub(crate) used: Used,
    /// Whether it bore the verifier of the PKCE challenge.
    pub(crate) verified: bool,
}

/// Whether it goes to the same place, queries aside.
pub(crate) fn same_endpoint(listed: &Listed, played: &Played) -> bool {
    let bare = |mut url: Url| {
        url.set_query(None);
        url
    };
    listed.method == played.method
        && Url::parse(&listed.url).is_ok_and(|url| bare(url) == bare(played.url.clone()))
}

/// Compares a request with the listed one, the `number`th.
pub(crate) fn check(
    number: usize,
    listed: &Listed,
    played: &Played,
    known: &Known,
    token_secret: &str,
) -> Checked {
    let mut checked = Checked::default();
    let what = |part: &str| format!("request {number}: {part}");
    let in_url = Url::parse(&listed.url).map(|url| owned(url.query_pairs())).unwrap_or_default();
    let expected = [in_url, difference::parameters(&listed.query)].concat();
    checked.pairs(&what("query"), &expected, &owned(played.url.query_pairs()), known);
    match &listed.body {
        None => {
            let nothing = difference::text(&what("body"), "", &played.body);
            checked.differences.extend(nothing);
        }
        Some(Body::Form(expected)) => {
            let got = owned(form_urlencoded::parse(played.body.as_bytes()));
            checked.pairs(&what("form"), &difference::parameters(expected), &got, known);
            checked.content_type(&what("header `Content-Type`"), "application/x-www-form-urlencoded", played);
        }
        Some(Body::Json(expected)) => {
            checked.json(&what("body"), expected, &played.body, known);
            checked.content_type(&what("header `Content-Type`"), "application/json", played);
        }
    }
    for (name, expected) in &listed.headers {
        let what = what(&format!("header `{name}`"));
        match (expected, header(played, name)) {
            (_, None) => checked.differences.push(Difference::missing(what, format!("{expected:?}"))),
            (Header::Text(expected), Some(got)) => checked.header(&what, name, expected, got, known),
            (Header::Parts(expected), Some(got)) => {
                checked.authorization(&what, expected, got, played, known, token_secret);
            }
        }
    }
    let listed_authorization = listed.headers.keys().any(|name| name.eq_ignore_ascii_case("authorization"));
    if let (false, Some(got)) = (listed_authorization, header(played, "authorization")) {
        checked.differences.push(Difference::surplus(what("header `Authorization`"), got));
    }
    checked
}

impl Checked {
    fn pairs(&mut self, what: &str, expected: &[(String, String)], got: &[(String, String)], known: &Known) {
        self.verified |= got.iter().any(|(name, value)| name == "code_verifier" && known.verifies(value));
        let used = &mut self.used;
        self.differences.extend(difference::pairs(what, expected, got, known, |name, value| {
            let allowed = name == "code_verifier" && known.verifies(value);
            if allowed {
                used.insert(Rule::Pkce);
            }
            allowed
        }));
    }

    fn json(&mut self, what: &str, expected: &Value, got: &str, known: &Known) {
        let Ok(mut got) = serde_json::from_str::<Value>(got) else {
            self.differences.push(Difference::new(what, expected, got));
            return;
        };
        let verifies = |value: &Value| value.as_str().is_some_and(|value| known.verifies(value));
        if let Some(object) = got.as_object_mut()
            && object.get("code_verifier").is_some_and(verifies)
        {
            self.verified = true;
            if expected.get("code_verifier").is_none() {
                self.used.insert(Rule::Pkce);
                object.remove("code_verifier");
            }
        }
        self.differences.extend(difference::json(what, expected, &got, known));
    }

    fn content_type(&mut self, what: &str, expected: &str, played: &Played) {
        let got = header(played, "content-type").unwrap_or_default();
        if !got.starts_with(expected) {
            self.differences.push(Difference::new(what, expected, got));
        }
    }

    fn header(&mut self, what: &str, name: &str, expected: &str, got: &str, known: &Known) {
        if known.fits(expected, got) {
            return;
        }
        let own_name = name.eq_ignore_ascii_case("user-agent")
            && expected.starts_with("django-allauth")
            && got.starts_with("vestibule");
        if own_name {
            self.used.insert(Rule::OwnName);
        } else {
            self.differences.push(Difference::new(what, expected, got));
        }
    }

    fn authorization(
        &mut self,
        what: &str,
        expected: &BTreeMap<String, String>,
        got: &str,
        played: &Played,
        known: &Known,
        token_secret: &str,
    ) {
        let expected: Vec<_> = expected.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let basic = got.strip_prefix("Basic ").and_then(|text| BASE64_STANDARD.decode(text).ok());
        let basic = basic.and_then(|bytes| String::from_utf8(bytes).ok());
        let signed = oauth1::parameters(got);
        let mut parts = Vec::new();
        if let Some(user_pass) = basic {
            parts.extend([("scheme", "Basic".to_owned()), ("user_pass", user_pass)]);
        }
        if let Some(signed) = &signed {
            parts.push(("scheme", "OAuth1".to_owned()));
            parts.extend(signed.iter().map(|(name, value)| (name.as_str(), value.clone())));
        }
        let parts: Vec<_> = parts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        self.differences.extend(difference::pairs(what, &expected, &parts, known, |_, _| false));
        if let Some(signed) = signed
            && !oauth1::is_signed(played, &signed, known.app, token_secret)
        {
            let got = signed.get("oauth_signature").map(String::as_str).unwrap_or_default();
            let what = format!("{what}: the signature");
            self.differences.push(Difference::new(what, "(that of RFC 5849)", got));
        }
    }
}

fn header<'a>(played: &'a Played, name: &str) -> Option<&'a str> {
    let found = played.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

fn owned<'a>(
    pairs: impl Iterator<Item = (std::borrow::Cow<'a, str>, std::borrow::Cow<'a, str>)>,
) -> Vec<(String, String)> {
    pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}
