//! Cases whose recorded outcome is none to follow, as the reference crashed or let in whom it should not. Their advice is
//! turned into something to check: an error, or the login of the case that they are a variant of, changed accordingly.

use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::case::{Case, Outcome, Response};
use crate::expectation::{Expectation, Login};
use crate::keys::believed;
use crate::mend::LONG_NUMBER;
use crate::rule::Rule;

/// What must come of a case with this advice.
///
/// # Errors
/// Why that cannot be said.
pub(crate) fn followed(
    advice: &str,
    case: &Case,
    others: &[impl AsRef<Case>],
) -> Result<(Expectation, Option<Rule>), String> {
    let error = Expectation::Error { cancelled: false };
    if advice.contains("authentication error") {
        return Ok((error, None));
    }
    let absent = advice.contains("treat the email as absent");
    if !absent && !advice.contains("take the uid as text") {
        return Err(format!("an advice that the player does not know: {advice}"));
    }
    if absent && without_uid(case, others) {
        return Ok((error, Some(Rule::NoUid)));
    }
    login(case, others, absent).map(|login| (Expectation::Login(Box::new(login)), None))
}

/// Whether the uid is gone together with the address that it was.
fn without_uid(case: &Case, others: &[impl AsRef<Case>]) -> bool {
    let Ok((login, changes)) = original(case, others) else {
        return false;
    };
    let gone = |change: &Change| {
        change.new.is_none() && change.old.as_ref().is_some_and(|old| *old == login.account.uid)
    };
    login.account.uid == login.names.email && changes.iter().any(gone)
}

/// Whether the uid was changed to a number where the subject of an ID token is the uid.
pub(crate) fn numeric_subject(case: &Case, others: &[impl AsRef<Case>]) -> Option<Login> {
    let (_, changes) = original(case, others).ok()?;
    let numeric =
        |change: &Change| change.path == ["sub"] && change.new.as_ref().is_some_and(|new| !new.is_string());
    changes.iter().any(numeric).then(|| login(case, others, false).ok()).flatten()
}

fn login(case: &Case, others: &[impl AsRef<Case>], absent: bool) -> Result<Login, String> {
    let (mut login, changes) = original(case, others)?;
    let before = login.account.extra_data.to_string();
    for change in &changes {
        change.make_in(&mut login.account.extra_data);
    }
    if absent {
        without_email(&mut login, &changes);
    } else {
        with_uid_as_text(&mut login, &changes, &before)?;
    }
    Ok(login)
}

/// A value that the variant's answers hold elsewise: where, what it was, what it is.
#[derive(Debug)]
struct Change {
    path: Vec<String>,
    old: Option<Value>,
    new: Option<Value>,
}

/// The login that the case is a variant of, and what was changed in the answers: the nearest of those with its origin.
fn original(case: &Case, others: &[impl AsRef<Case>]) -> Result<(Login, Vec<Change>), String> {
    others
        .iter()
        .map(AsRef::as_ref)
        .filter(|other| other.advice.is_none() && other.expect.outcome == Outcome::Login)
        .filter(|other| other.flow == case.flow && case.origin.ends_with(&other.origin))
        .filter_map(|other| Some((Login::recorded(&other.expect).ok()?, changes(other, case))))
        .filter(|(_, changes)| !changes.is_empty())
        .min_by_key(|(_, changes)| changes.len())
        .ok_or_else(|| "the case that it is a variant of is not there".to_owned())
}

fn without_email(login: &mut Login, changes: &[Change]) {
    // Nothing is known of what is shown in place of it.
    login.display_known = login.account.display != login.names.email;
    login.names.email.clear();
    login.addresses.clear();
    // A name that was taken from what is gone.
    let was = |text: &str| {
        changes.iter().filter_map(|change| change.old.as_ref()).any(|old| old.to_string().contains(text))
    };
    if was(&login.names.username) {
        login.names.username.clear();
    }
}

/// `kept` is the extra data before the change, as a text: what is read out of it is not made of the uid.
fn with_uid_as_text(login: &mut Login, changes: &[Change], kept: &str) -> Result<(), String> {
    let mut changed = false;
    for change in changes {
        let (Some(old), Some(new)) = (&change.old, &change.new) else {
            continue;
        };
        let (is_text, old, new) = (new.is_string(), as_text(old), as_text(new));
        if old.is_empty() {
            continue;
        }
        let account = &mut login.account;
        changed |= account.uid.contains(&old);
        account.uid = account.uid.replace(&old, &new);
        for url in [&mut account.avatar_url, &mut account.profile_url].into_iter().flatten() {
            if !kept.contains(url.as_str()) {
                *url = url.replace(&old, &new);
            }
        }
        let names = &mut login.names;
        for text in [&mut names.username, &mut names.first_name, &mut names.last_name] {
            if *text == old {
                text.clone_from(&new);
            }
        }
        if account.display == old {
            // Only texts are shown; nothing is known of what is shown in place of a number.
            login.display_known = is_text;
            account.display.clone_from(&new);
        }
        // A number is no address.
        login.addresses.retain(|address| address.email != old);
        if names.email == old {
            names.email.clear();
        }
    }
    if changed { Ok(()) } else { Err("the change of the uid is not to be found".to_owned()) }
}

fn as_text(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.strip_prefix(LONG_NUMBER).map(str::to_owned).unwrap_or(text)
}

impl Change {
    /// Makes it in what is kept of the answers: an answer or a part of one, or what was picked out of it.
    fn make_in(&self, data: &mut Value) {
        let Some(old) = &self.old else {
            return;
        };
        for start in 0..self.path.len() {
            let Some((name, place)) = self.path.get(start..).and_then(<[String]>::split_last) else {
                continue;
            };
            let at: String = place.iter().map(|name| format!("/{name}")).collect();
            if let Some(Value::Object(parent)) = data.pointer_mut(&at)
                && parent.get(name) == Some(old)
            {
                self.replace(name, parent);
                return;
            }
        }
        // It may be kept under another name.
        if let Value::Object(object) = data
            && let Some(name) = object.iter().find(|(_, value)| *value == old).map(|(name, _)| name.clone())
        {
            self.replace(&name, object);
        }
    }

    fn replace(&self, name: &str, parent: &mut Map<String, Value>) {
        match &self.new {
            Some(new) => parent.insert(name.to_owned(), new.clone()),
            None => parent.remove(name),
        };
    }
}

fn changes(original: &Case, variant: &Case) -> Vec<Change> {
    let data = |response: &Option<Response>| response.as_ref().map(data);
    let mut changes = Vec::new();
    for (left, right) in original.requests.iter().zip(&variant.requests) {
        collect(&[], data(&left.response).as_ref(), data(&right.response).as_ref(), &mut changes);
    }
    changes
}

/// An answer as data: JSON, or the parameters of a form.
fn data(response: &Response) -> Value {
    response.json().unwrap_or_else(|| {
        form_urlencoded::parse(response.text().as_bytes())
            .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
            .collect()
    })
}

fn collect(path: &[String], old: Option<&Value>, new: Option<&Value>, changes: &mut Vec<Change>) {
    let below = |name: String| [path, &[name]].concat();
    match (old, new) {
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            let added = right.keys().filter(|name| !left.contains_key(*name));
            for name in left.keys().chain(added) {
                collect(&below(name.clone()), left.get(name), right.get(name), changes);
            }
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) if left.len() == right.len() => {
            for (at, (left, right)) in left.iter().zip(right).enumerate() {
                collect(&below(at.to_string()), Some(left), Some(right), changes);
            }
        }
        _ if old == new => {}
        _ => match (claims(old), claims(new)) {
            // What an ID token says is kept beside it.
            (Some(left), Some(right)) => collect(&[], Some(&left), Some(&right), changes),
            _ => changes.push(Change { path: path.to_vec(), old: old.cloned(), new: new.cloned() }),
        },
    }
}

fn claims(value: Option<&Value>) -> Option<Value> {
    value?.as_str().and_then(believed).map(Value::Object)
}
