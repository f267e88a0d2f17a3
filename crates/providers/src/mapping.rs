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
    if uid.chars().any(char::is_control) {
        return Err(ProviderError::answer("the uid has control characters"));
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::template::tests::values;

    const COMMON: &str = "name = 'X'\nmap = { uid = '/id', email = '/email', email_verified = '/ok', name = '/name', phone = '/phone', first_name = '/first' }";
    const LIST: &str = "name = 'X'\nmap = { uid = '/id', email = '/email', email_verified = true, emails = { list = '/list', email = '/e', verified = '/v', primary = '/p' } }";

    fn map_with(entry: &str, data: Value, verified: VerifiedEmail) -> Result<Identity, ProviderError> {
        let entry: Entry = toml::from_str(entry).unwrap();
        identity(&entry, &data, &verified, values(json!({})))
    }

    fn map(data: Value) -> Result<Identity, ProviderError> {
        map_with(COMMON, data, VerifiedEmail::default())
    }

    fn email(email: &str, verified: bool, primary: bool) -> ProviderEmail {
        ProviderEmail { email: email.to_owned(), verified, primary }
    }

    #[test]
    fn a_uid_is_a_text_or_a_whole_number() {
        assert_eq!(map(json!({"id": "a"})).unwrap().uid, "a");
        assert_eq!(map(json!({"id": 18446744073709551615_u64})).unwrap().uid, "18446744073709551615");
        assert_eq!(map(json!({"id": -1})).unwrap().uid, "-1");
        assert_eq!(map(json!({"id": "é".repeat(191)})).unwrap().uid.chars().count(), 191);
        let long = "x".repeat(192);
        for bad in [
            json!(null),
            json!(true),
            json!(false),
            json!(1.5),
            json!(1e300),
            json!([]),
            json!({}),
            json!(""),
            json!("a\0b"),
            json!("a\nb"),
            json!(long),
        ] {
            assert!(matches!(map(json!({ "id": bad })), Err(ProviderError::Answer(_))));
        }
    }

    #[test]
    fn o4_an_error_answer_logs_nobody_in() {
        for answer in
            [json!({"error": "invalid_token"}), json!({}), json!([]), json!(null), json!("error"), json!(404)]
        {
            assert!(matches!(map(answer), Err(ProviderError::Answer(_))));
        }
    }

    #[test]
    fn half_a_composed_uid_is_nobodys() {
        let entry = "name = 'X'\nmap = { uid = '{/team}_{/user}' }";
        let map = |data| map_with(entry, data, VerifiedEmail::default());
        assert_eq!(map(json!({"team": "t", "user": 1})).unwrap().uid, "t_1");
        assert!(map(json!({"team": "t"})).is_err());
        assert!(map(json!({"user": null, "team": null})).is_err());
    }

    #[test]
    fn names_are_cut_out_of_the_whole_name() {
        let names = |data: Value| {
            let identity = map(data).unwrap();
            (identity.first_name, identity.last_name)
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            names(json!({"id": 1, "name": "Ada King Lovelace"})),
            (some("Ada"), some("King Lovelace"))
        );
        assert_eq!(names(json!({"id": 1, "name": "Ada"})), (some("Ada"), None));
        assert_eq!(names(json!({"id": 1, "name": "Ada King", "first": "A."})), (some("A."), some("King")));
        assert_eq!(names(json!({"id": 1, "name": {"first": "Ada"}, "first": true})), (None, None));
    }

    #[test]
    fn only_true_and_its_text_verify_an_address() {
        let verified = |ok: Value| map(json!({"id": 1, "email": "A@B.example", "ok": ok})).unwrap().emails;
        for yes in [json!(true), json!("true")] {
            assert_eq!(verified(yes), [email("a@b.example", true, true)]);
        }
        for no in [
            json!(false),
            json!("false"),
            json!("True"),
            json!(1),
            json!("1"),
            json!(null),
            json!([1]),
            json!({"a": 1}),
        ] {
            assert_eq!(verified(no), [email("a@b.example", false, true)]);
        }
    }

    #[test]
    fn addresses_that_are_none_are_left_out() {
        let at_last = format!("{}@b.example", "a".repeat(250));
        let bad = [
            "",
            "a",
            "@b.example",
            "a@",
            "a@b",
            "ä@b.example",
            "a@bücher.example",
            "a b@c.example",
            "a@@b.example",
            "a@b.example\r\nx",
            &at_last,
        ];
        for bad in bad.map(Value::from).into_iter().chain([json!(null), json!(["a@b.example"]), json!(5)]) {
            let identity = map(json!({ "id": 1, "email": bad })).unwrap();
            assert_eq!((identity.email, identity.emails), (None, Vec::new()));
        }
        assert!(map(json!({"id": 1})).unwrap().emails.is_empty());
    }

    #[test]
    fn a_list_is_merged_and_sorted() {
        let list = json!([
            {"e": "B@x.example", "v": true, "p": false}, {"e": "none"}, "text", {"e": "c@x.example", "v": "false", "p": null},
            {"e": "a@x.example", "v": true, "p": true}, {"e": "b@X.example", "v": false},
        ]);
        let data = json!({"id": 1, "email": "new@x.example", "list": list});
        let identity = map_with(LIST, data, VerifiedEmail::default()).unwrap();
        let expected = [
            email("a@x.example", true, true),
            // The flag for a single address says nothing beside a list.
            email("new@x.example", false, true),
            email("c@x.example", false, false),
            // Once verified, once not: not.
            email("b@x.example", false, false),
        ];
        assert_eq!(identity.emails, expected);
        assert_eq!(identity.email.as_deref(), Some("new@x.example"));
        let alone =
            map_with(LIST, json!({"id": 1, "email": "a@x.example"}), VerifiedEmail::default()).unwrap();
        assert_eq!(alone.emails, [email("a@x.example", true, true)]);
        let listed = json!({"id": 1, "list": [{"e": "a@x.example"}, {"e": "b@x.example"}]});
        assert_eq!(
            map_with(LIST, listed, VerifiedEmail::default()).unwrap().email.as_deref(),
            Some("b@x.example")
        );
    }

    #[test]
    fn the_operator_can_say_that_addresses_are_verified() {
        let data = || json!({"id": 1, "email": "a@Corp.example"});
        let verified = |setting: VerifiedEmail| map_with(COMMON, data(), setting).unwrap().emails[0].verified;
        assert!(verified(VerifiedEmail::All(true)));
        assert!(verified(VerifiedEmail::Domains(vec!["CORP.example".to_owned()])));
        assert!(!verified(VerifiedEmail::Domains(vec!["example".to_owned(), "evilcorp.example".to_owned()])));
    }

    #[test]
    fn phones_are_kept_in_international_form_only() {
        let phone = |phone: &str| map(json!({"id": 1, "phone": phone})).unwrap().phone;
        assert_eq!(phone("+31612345678").as_deref(), Some("+31612345678"));
        for bad in ["0612345678", "+0612345678", "+31 6", "+3161234567890123", "+"] {
            assert_eq!(phone(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_kept_is_what_the_entry_says() {
        let kept = |rules: &str, data: Value| {
            let rules: ExtraData = toml::from_str(rules).unwrap();
            extra_data(&rules, &data, &values(json!({})))
        };
        let data = || json!({"a": 1, "b": {"c": 2, "token": "t"}});
        assert_eq!(kept("", data()), data());
        assert_eq!(kept("only = ['a']", data()), json!({"a": 1}));
        assert_eq!(kept("without = ['/b/token', '/gone']", data()), json!({"a": 1, "b": {"c": 2}}));
        assert_eq!(kept("select = '/b'", data()), json!({"c": 2, "token": "t"}));
        assert_eq!(kept("select = '/gone'", data()), json!({}));
        assert_eq!(kept("build = { x = '/b/c', y = '/gone' }", data()), json!({"x": 2, "y": null}));
        assert_eq!(kept("add = { x = '/b/c' }\nonly = ['a']", data()), json!({"a": 1, "x": 2}));
    }
}
