//! Cases whose recorded outcome is none to follow, as the reference crashed or let in whom it should not. Their advice is
//! turned into something to check: an error, or the login of the case that they are a variant of, changed accordingly.

use serde_json::Value;
use url::form_urlencoded;

use crate::case::{Case, Outcome, Response};
use crate::expectation::{Expectation, Login};

/// What must come of a case with this advice.
///
/// # Errors
/// Why that cannot be said.
pub(crate) fn followed(
    advice: &str,
    case: &Case,
    others: &[impl AsRef<Case>],
) -> Result<Expectation, String> {
    if advice.contains("authentication error") {
        return Ok(Expectation::Error { cancelled: false });
    }
    let absent = advice.contains("treat the email as absent");
    if !absent && !advice.contains("take the uid as text") {
        return Err(format!("an advice that the player does not know: {advice}"));
    }
    let (mut login, changes) = original(case, others)?;
    for change in &changes {
        apply(change, &mut login.account.extra_data);
    }
    if absent {
        without_email(&mut login, &changes);
    } else {
        with_uid_as_text(&mut login, &changes)?;
    }
    Ok(Expectation::Login(Box::new(login)))
}

/// A value that the variant's answers hold elsewise: the name that it has there, what it was, what it is.
#[derive(Debug)]
struct Change {
    name: String,
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
    let was_email =
        |text: &str| changes.iter().any(|change| change.old.as_ref().is_some_and(|old| old == text));
    // Nothing is known of what is shown instead.
    login.display_known = !was_email(&login.account.display);
    login.names.email.clear();
    login.addresses.clear();
    if was_email(&login.names.username) {
        login.names.username.clear();
    }
}

fn with_uid_as_text(login: &mut Login, changes: &[Change]) -> Result<(), String> {
    let mut changed = false;
    for change in changes {
        let (Some(old), Some(new)) = (&change.old, &change.new) else {
            continue;
        };
        let (old, new) = (as_text(old), as_text(new));
        if old.is_empty() {
            continue;
        }
        changed |= login.account.uid.contains(&old);
        let account = &mut login.account;
        for text in [Some(&mut account.uid), account.avatar_url.as_mut(), account.profile_url.as_mut()] {
            if let Some(text) = text {
                *text = text.replace(&old, &new);
            }
        }
        for text in [&mut account.display, &mut login.names.username] {
            if *text == old {
                text.clone_from(&new);
            }
        }
    }
    if changed { Ok(()) } else { Err("the change of the uid is not to be found".to_owned()) }
}

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Makes the same change in what is kept: wherever the name has the old value.
fn apply(change: &Change, data: &mut Value) {
    match data {
        Value::Object(object) => {
            if change.old.is_some() && object.get(&change.name) == change.old.as_ref() {
                match &change.new {
                    Some(new) => object.insert(change.name.clone(), new.clone()),
                    None => object.remove(&change.name),
                };
            }
            object.values_mut().for_each(|value| apply(change, value));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| apply(change, value)),
        _ => {}
    }
}

fn changes(original: &Case, variant: &Case) -> Vec<Change> {
    let data = |response: &Option<Response>| response.as_ref().map(data);
    let mut changes = Vec::new();
    for (left, right) in original.requests.iter().zip(&variant.requests) {
        collect("", data(&left.response).as_ref(), data(&right.response).as_ref(), &mut changes);
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

fn collect(name: &str, old: Option<&Value>, new: Option<&Value>, changes: &mut Vec<Change>) {
    match (old, new) {
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            let added = right.keys().filter(|name| !left.contains_key(*name));
            for name in left.keys().chain(added) {
                collect(name, left.get(name), right.get(name), changes);
            }
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) if left.len() == right.len() => {
            for (left, right) in left.iter().zip(right) {
                collect(name, Some(left), Some(right), changes);
            }
        }
        _ if old == new => {}
        _ => changes.push(Change { name: name.to_owned(), old: old.cloned(), new: new.cloned() }),
    }
}
