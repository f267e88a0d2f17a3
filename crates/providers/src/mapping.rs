//! From what a provider said to who it is.

use serde_json::{Map, Value};
use url::Host;

use crate::app_settings::VerifiedEmail;
use crate::catalogue::entry::{EmailList, Entry, ExtraData};
use crate::error::ProviderError;
use crate::identity::{Identity, ProviderEmail};
use crate::rule::Rule;
use crate::template::Values;

/// Characters of a uid, as accounts are stored.
const LONGEST_UID: usize = 191;
/// RFC 5321, section 4.5.3.1.3, less the angle brackets.
const LONGEST_EMAIL: usize = 254;

/// Who it is.
///
/// # Errors
/// [`ProviderError::Answer`] if there is no uid, or none that could be one.
pub(crate) fn identity(
    entry: &Entry,
    data: &Value,
    verified_email: &VerifiedEmail,
    mut values: Values<'_>,
) -> Result<Identity, ProviderError> {
    let map = &entry.map;
    let uid = uid(map.uid.find_whole(data, &values))?;
    values.named.insert("uid", uid.clone());
    let text = |rule: &Option<Rule>| rule.as_ref().and_then(|rule| rule.find_text(data, &values));

    let name = text(&map.name).unwrap_or_default();
    let (first, last) = name.split_once(' ').unwrap_or((&name, ""));
    let part = |part: &str| Some(part.to_owned()).filter(|part| !part.is_empty());

    let common = text(&map.email).and_then(|email| cleaned(&email));
    let common_verified = is_verified(map.email_verified.as_ref(), data, &values);
    let emails =
        emails(map.emails.as_ref(), common.as_deref(), common_verified, verified_email, data, &values);
    Ok(Identity {
        email: common.or_else(|| emails.first().map(|first| first.email.clone())),
        emails,
        username: text(&map.username),
        first_name: text(&map.first_name).or_else(|| part(first)),
        last_name: text(&map.last_name).or_else(|| part(last)),
        phone: text(&map.phone).filter(|phone| is_phone(phone)),
        extra_data: extra_data(&entry.extra_data, data, &values),
        uid,
    })
}

/// Whole numbers are written out. Others are refused: they lose digits, and two people would become one.
fn uid(value: Option<Value>) -> Result<String, ProviderError> {
    let uid = match value {
        Some(Value::String(text)) => text,
        Some(Value::Number(number)) if number.is_i64() || number.is_u64() => number.to_string(),
        Some(_) => return Err(ProviderError::answer("the uid is neither a text nor a whole number")),
        None => return Err(ProviderError::answer("it holds no uid")),
    };
    match uid.chars().count() {
        0 => Err(ProviderError::answer("the uid is empty")),
        1..=LONGEST_UID => Ok(uid),
        _ => Err(ProviderError::answer("the uid is too long")),
    }
}

/// All addresses, the most important first.
fn emails(
    list: Option<&EmailList>,
    common: Option<&str>,
    common_verified: bool,
    verified_email: &VerifiedEmail,
    data: &Value,
    values: &Values<'_>,
) -> Vec<ProviderEmail> {
    let mut emails = list.map(|list| listed(list, data, values)).unwrap_or_default();
    if let Some(common) = common.filter(|common| emails.iter().all(|listed| listed.email != *common)) {
        // Beside a list, what says that an address is verified is the list.
        let verified = common_verified && emails.is_empty();
        emails.push(ProviderEmail { email: common.to_owned(), verified, primary: true });
    }
    for email in &mut emails {
        email.verified |= match verified_email {
            VerifiedEmail::All(all) => *all,
            VerifiedEmail::Domains(domains) => {
                let domain = email.email.rsplit('@').next().unwrap_or_default();
                domains.iter().any(|verified| verified.eq_ignore_ascii_case(domain))
            }
        };
    }
    emails.sort_by(|a, b| (b.primary, b.verified, &b.email).cmp(&(a.primary, a.verified, &a.email)));
    emails
}

fn listed(list: &EmailList, data: &Value, values: &Values<'_>) -> Vec<ProviderEmail> {
    let mut emails: Vec<ProviderEmail> = Vec::new();
    for element in list.list.find(data, values).and_then(Value::as_array).into_iter().flatten() {
        let Some(email) = list.email.find_text(element, values).and_then(|email| cleaned(&email)) else {
            continue;
        };
        let verified = is_verified(list.verified.as_ref(), element, values);
        let primary = is_verified(list.primary.as_ref(), element, values);
        match emails.iter_mut().find(|known| known.email == email) {
            // The same address twice: what holds for one of them and not for the other, does not hold.
            Some(known) => {
                known.verified &= verified;
                known.primary |= primary;
            }
            None => emails.push(ProviderEmail { email, verified, primary }),
        }
    }
    emails
}

/// Only `true` and the text `"true"` are true here: no other value is somebody's word that an address belongs to a person.
fn is_verified(rule: Option<&Rule>, data: &Value, values: &Values<'_>) -> bool {
    match rule.and_then(|rule| rule.find(data, values)) {
        Some(Value::Bool(flag)) => flag,
        Some(Value::String(text)) => text == "true",
        _ => false,
    }
}

/// An address in lower case, if it is one that mail can be sent to: ASCII, `local@domain`.
fn cleaned(email: &str) -> Option<String> {
    let email = email.trim();
    let (local, domain) = email.rsplit_once('@')?;
    let is_local = !local.is_empty() && local.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@');
    let is_domain = domain.contains('.') || domain.eq_ignore_ascii_case("localhost");
    let valid = email.len() <= LONGEST_EMAIL
        && email.is_ascii()
        && is_local
        && is_domain
        && matches!(Host::parse(domain), Ok(Host::Domain(_)));
    valid.then(|| email.to_ascii_lowercase())
}

/// E.164: a plus sign and 6 to 15 digits, the first of them not zero.
fn is_phone(phone: &str) -> bool {
    phone.strip_prefix('+').is_some_and(|digits| {
        (6..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// What is kept.
fn extra_data(rules: &ExtraData, data: &Value, values: &Values<'_>) -> Value {
    let mut kept = rules.select.find(data, values).cloned().unwrap_or_else(|| Value::Object(Map::new()));
    if let (false, Value::Object(object)) = (rules.only.is_empty(), &mut kept) {
        object.retain(|key, _| rules.only.contains(key));
    }
    for pointer in &rules.without {
        pointer.remove(&mut kept);
    }
    if !rules.build.is_empty() {
        kept = Value::Object(Map::new());
    }
    if let Value::Object(object) = &mut kept {
        for (key, rule) in &rules.build {
            object.insert(key.clone(), rule.find(data, values).unwrap_or(Value::Null));
        }
        for (key, rule) in &rules.add {
            if let Some(value) = rule.find(data, values) {
                object.insert(key.clone(), value);
            }
        }
    }
    kept
}
