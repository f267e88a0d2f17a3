//! Reads cases, and mends what cannot be played, or followed, as it was recorded. Each mending is a [`Rule`] and is
//! counted; each leaves something to check.

use std::path::Path;
use std::sync::Arc;

use md5::{Digest, Md5};
use serde_json::Value;
use url::Url;

use crate::case::Case;
use crate::play::STATE;
use crate::rule::{Rule, Used};

/// The recorded logins of one provider.
pub(crate) struct Recorded {
    pub(crate) provider: String,
    pub(crate) cases: Vec<Arc<Case>>,
    /// Cases that are none: name, and why.
    pub(crate) unreadable: Vec<(String, String)>,
}

/// Reads a file of cases.
///
/// # Errors
/// What is wrong with it, and where.
pub(crate) fn read(path: &Path) -> Result<Recorded, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    let mut file: Value =
        serde_json::from_str(&with_long_numbers_marked(&text)).map_err(|error| wrong(&error))?;
    let provider = file.get("provider").and_then(Value::as_str).unwrap_or_default().to_owned();
    let cases = file.get_mut("cases").map(Value::take).unwrap_or_default();
    let cases = cases.as_array().ok_or_else(|| wrong(&"no list `cases`"))?;
    let mut recorded = Recorded { provider, cases: Vec::new(), unreadable: Vec::new() };
    for case in cases {
        let name = case.get("case").and_then(Value::as_str).unwrap_or_default();
        match mended(&recorded.provider, case.clone()) {
            Ok(case) => recorded.cases.push(case),
            Err(error) => recorded.unreadable.push((name.to_owned(), error.to_string())),
        }
    }
    Ok(recorded)
}

/// What stands for a whole number that is too long for 64 bits, until it goes over the wire.
pub(crate) const LONG_NUMBER: &str = "$number:";

/// The text of JSON with its long numbers as they were.
pub(crate) fn with_long_numbers(json: &str) -> String {
    let mut rest = json;
    let mut text = String::new();
    while let Some((before, after)) = rest.split_once(&format!("\"{LONG_NUMBER}")) {
        let (number, after) = after.split_once('"').unwrap_or((after, ""));
        text.push_str(before);
        text.push_str(number);
        rest = after;
    }
    text + rest
}

/// A case, with what has to be mended.
///
/// # Errors
/// It is none.
pub(crate) fn mended(provider: &str, mut case: Value) -> Result<Arc<Case>, serde_json::Error> {
    let mut used = Used::new();
    let defect = match provider {
        "coinbase" => printed_token(&mut case),
        "notion" => copied_address(&mut case),
        "stocktwits" => asked_for_none(&mut case),
        "vk" => nobodys_page(&mut case),
        "weixin" => escaped_names(&mut case),
        _ => false,
    };
    if defect {
        used.insert(Rule::Defect);
    }
    if matches!(provider, "draugiem" | "pocket") && state_in_url(&mut case) {
        used.insert(Rule::StateInUrl);
    }
    if plain_http(&mut case) {
        used.insert(Rule::Https);
    }
    let mut case: Case = serde_json::from_value(case)?;
    case.mended = used;
    Ok(Arc::new(case))
}

/// Coinbase: the reference sends the printed form of an object as the token.
fn printed_token(case: &mut Value) -> bool {
    let token = case.pointer("/requests/0/response/body/access_token").and_then(Value::as_str);
    let Some(token) = token.map(str::to_owned) else {
        return false;
    };
    let Some(requests) = case.get_mut("requests").and_then(Value::as_array_mut) else {
        return false;
    };
    let sent = requests.iter_mut().filter_map(|request| request.pointer_mut("/query/access_token"));
    let mut mended = false;
    for value in sent.filter(|value| value.as_str().is_some_and(|text| text.contains(" token ("))) {
        *value = token.clone().into();
        mended = true;
    }
    mended
}

/// Notion: the reference puts the address into the answer for a second time.
fn copied_address(case: &mut Value) -> bool {
    let user = case.pointer_mut("/expect/account/extra_data/owner/user").and_then(Value::as_object_mut);
    user.is_some_and(|user| {
        let same = user
            .get("email")
            .is_some_and(|email| user.get("person").and_then(|it| it.get("email")) == Some(email));
        same && user.remove("email").is_some()
    })
}

/// VK: the reference makes a link to `None`, as it looks for the uid where it is not.
fn nobodys_page(case: &mut Value) -> bool {
    let uid = case.pointer("/expect/account/uid").and_then(Value::as_str).map(str::to_owned);
    let page = case.pointer_mut("/expect/account/profile_url");
    match (uid, page) {
        (Some(uid), Some(Value::String(page))) if page.ends_with("None") => {
            page.truncate(page.len() - "None".len());
            page.push_str(&uid);
            true
        }
        _ => false,
    }
}

/// Weixin: the reference undoes a wrong decoding; where the decoding was right, escapes come of it.
fn escaped_names(case: &mut Value) -> bool {
    case.get_mut("expect").is_some_and(unescape)
}

fn unescape(value: &mut Value) -> bool {
    match value {
        Value::String(text) if text.contains("\\u") => {
            let unescaped = serde_json::from_str(&format!("\"{text}\""));
            unescaped.map(|unescaped: String| *text = unescaped).is_ok()
        }
        Value::Array(values) => values.iter_mut().fold(false, |any, value| unescape(value) | any),
        Value::Object(object) => object.values_mut().fold(false, |any, value| unescape(value) | any),
        _ => false,
    }
}

/// A protocol that hands nothing back: the callback URL bears the state, and Draugiem's hash is one of secret and URL.
fn state_in_url(case: &mut Value) -> bool {
    let secret = case.pointer("/app/secret").and_then(Value::as_str).unwrap_or_default().to_owned();
    let params = case.pointer_mut("/authorize/params").and_then(Value::as_object_mut);
    let Some(params) = params else {
        return false;
    };
    let url = params.get("redirect").or(params.get("redirect_uri")).and_then(Value::as_str);
    let Some(url) = url.map(str::to_owned) else {
        return false;
    };
    let hash = |url: &str| hex::encode(Md5::digest(format!("{secret}{url}")));
    if params.get("hash").is_some_and(|recorded| *recorded == hash(&url)) {
        params.insert("hash".to_owned(), hash(&format!("{url}?state={STATE}")).into());
    }
    let (from, to) = (format!("\"{url}\""), format!("\"{url}?state=$state\""));
    serde_json::from_str(&case.to_string().replace(&from, &to)).map(|mended| *case = mended).is_ok()
}

/// StockTwits: the reference writes `None` into the next URL, as the recorded token answer lacks what belongs there.
fn asked_for_none(case: &mut Value) -> bool {
    const USER: &str = "4711";
    let answers = case.pointer_mut("/requests/0/response/body").and_then(Value::as_object_mut);
    let Some(answer) = answers.filter(|answer| !answer.contains_key("user_id")) else {
        return false;
    };
    answer.insert("user_id".to_owned(), USER.into());
    match case.pointer_mut("/requests/1/url") {
        Some(Value::String(url)) if url.contains("/None.") => {
            *url = url.replace("/None.", &format!("/{USER}."));
            true
        }
        _ => false,
    }
}

/// What a server names must be https on the public net: where it is not, the whole case is moved there.
fn plain_http(case: &mut Value) -> bool {
    let requests = case.get("requests").and_then(Value::as_array);
    let urls = requests.into_iter().flatten().filter_map(|request| request.get("url")?.as_str());
    let plain = urls.filter_map(|url| Url::parse(url).ok()).find(|url| url.scheme() == "http");
    let Some(plain) = plain else {
        return false;
    };
    let from = plain.origin().ascii_serialization();
    let Ok(moved) = serde_json::from_str(&case.to_string().replace(&from, "https://moved.example")) else {
        return false;
    };
    *case = moved;
    true
}

/// Whole numbers of more than 64 bits become texts, since they would not be read exactly.
pub(crate) fn with_long_numbers_marked(json: &str) -> String {
    let mut marked = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(sign) = rest.chars().next() {
        let length = match sign {
            '"' => string_length(rest),
            '0'..='9' => rest.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(rest.len()),
            _ => sign.len_utf8(),
        };
        let (part, after) = rest.split_at(length);
        let is_long =
            sign.is_ascii_digit() && part.parse::<u64>().is_err() && !after.starts_with(['.', 'e', 'E']);
        if is_long {
            marked.push_str(&format!("\"{LONG_NUMBER}{part}\""));
        } else {
            marked.push_str(part);
        }
        rest = after;
    }
    marked
}

/// The length of the string that JSON begins with, its quotes included.
fn string_length(json: &str) -> usize {
    let mut escaped = false;
    for (at, sign) in json.char_indices().skip(1) {
        match sign {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    json.len()
}
