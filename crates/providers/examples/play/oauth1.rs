//! `Authorization: OAuth …` (RFC 5849), taken apart, and its signature computed anew.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use url::form_urlencoded;
use vestibule_base::outbound::Played;

use crate::case::Registration;

/// The parameters of such a header, or nothing where it is none.
pub(crate) fn parameters(header: &str) -> Option<BTreeMap<String, String>> {
    let rest = header.strip_prefix("OAuth ")?;
    let part = |part: &str| {
        let (name, value) = part.trim().split_once('=')?;
        Some((decoded(name)?, decoded(value.strip_prefix('"')?.strip_suffix('"')?)?))
    };
    rest.split(',').map(part).collect()
}

/// Whether the request bears the signature that app and token make.
pub(crate) fn is_signed(
    request: &Played,
    header: &BTreeMap<String, String>,
    app: &Registration,
    token_secret: &str,
) -> bool {
    let mut url = request.url.clone();
    let mut parameters: Vec<(String, String)> =
        url.query_pairs().map(|(name, value)| (encoded(&name), encoded(&value))).collect();
    url.set_query(None);
    let is_form = |(name, value): &(String, String)| {
        name == "content-type" && value.starts_with("application/x-www-form-urlencoded")
    };
    if request.headers.iter().any(is_form) {
        let form = form_urlencoded::parse(request.body.as_bytes());
        parameters.extend(form.map(|(name, value)| (encoded(&name), encoded(&value))));
    }
    let signed = header.iter().filter(|(name, _)| *name != "oauth_signature" && *name != "realm");
    parameters.extend(signed.map(|(name, value)| (encoded(name), encoded(value))));
    parameters.sort();
    let parameters: Vec<_> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let base = format!("{}&{}&{}", request.method, encoded(url.as_str()), encoded(&parameters.join("&")));
    let secret = app.secret.as_deref().unwrap_or_default();
    let key = format!("{}&{}", encoded(secret), encoded(token_secret));
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key.as_bytes()) else {
        return false;
    };
    mac.update(base.as_bytes());
    let expected = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    header.get("oauth_signature") == Some(&expected)
}

/// RFC 3986: all but unreserved signs.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn decoded(text: &str) -> Option<String> {
    // As of a form, but `+` is itself.
    let text = text.replace('+', "%2B");
    form_urlencoded::parse(text.as_bytes()).next().map(|(decoded, _)| decoded.into_owned())
}
