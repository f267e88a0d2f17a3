//! What both versions of OAuth do with the catalogue's profile requests: which are made, what an answer is worth, and what
//! of all answers is mapped.

use serde_json::Value;
use vestibule_base::outbound::Answer;

use crate::catalogue::entry::{Condition, Entry, Expected, Step, When};
use crate::error::ProviderError;
use crate::json;
use crate::request::{Request, add_query, filled, form_body, method};
use crate::rule::is_true;
use crate::template::Values;

/// What a login asks for, as far as conditions of requests look at it.
pub(crate) struct Asked<'a> {
    pub(crate) scopes: &'a [String],
    pub(crate) query_email: bool,
    pub(crate) has_id_token: bool,
}

impl Asked<'_> {
    /// Whether all conditions hold, with the data that there is so far.
    pub(crate) fn wants(&self, when: &When, data: &Value, values: &Values<'_>) -> bool {
        let asked = |scope: &String| self.scopes.contains(scope);
        (!when.query_email || self.query_email)
            && (!when.no_id_token || !self.has_id_token)
            && when.scope.as_ref().is_none_or(asked)
            && !when.no_scope.as_ref().is_some_and(asked)
            && when.present.as_ref().is_none_or(|it| it.find(data, values).is_some_and(is_true))
            && !when.missing.as_ref().is_some_and(|it| it.find(data, values).is_some_and(is_true))
            && when.settings.iter().all(|(name, value)| values.settings.get(name) == Some(value))
    }
}

/// The request of a step, without the token.
///
/// # Errors
/// Those of [`Template::url`](crate::template::Template::url).
pub(crate) fn request(step: &Step, values: &Values<'_>) -> Result<Request, ProviderError> {
    let mut request = Request {
        method: method(step.method),
        url: step.url.url(values)?,
        headers: filled(&step.headers, values),
        body: form_body(filled(&step.form, values)),
    };
    add_query(&mut request, &step.query, values);
    Ok(request)
}

/// The answer to a step; nothing, where its status says that there is none and that is no error. Media types are not to be
/// relied on here.
///
/// # Errors
/// [`ProviderError::Answer`] for any other status, and for what is no JSON.
pub(crate) fn read(step: &Step, answer: &Answer) -> Result<Option<Value>, ProviderError> {
    match answer.status {
        200..300 => {}
        status if step.tolerate_status.contains(&status) => return Ok(None),
        status => return Err(ProviderError::answer(format!("profile request: status {status}"))),
    }
    json::parse(&answer.text).map(Some).map_err(|_| ProviderError::answer("profile request: no JSON"))
}

/// Puts what is used of an answer into what is there.
pub(crate) fn put(step: &Step, answer: &Value, data: &mut Value, values: &Values<'_>) {
    let taken = match &step.take {
        Some(rule) => rule.find(answer, values),
        None => Some(answer.clone()),
    };
    let Some(taken) = taken else { return };
    match (step.merge, data, taken) {
        (true, Value::Object(data), Value::Object(more)) if step.put.is_root() => data.extend(more),
        (_, data, taken) => step.put.put(data, taken, values),
    }
}

/// What is mapped, of all that was answered.
///
/// # Errors
/// [`ProviderError::Answer`] if that is an error, or nothing is where it should be.
pub(crate) fn selected(entry: &Entry, whole: &Value, values: &Values<'_>) -> Result<Value, ProviderError> {
    if entry.error_when.iter().any(|condition| holds(condition, whole, values)) {
        return Err(ProviderError::answer("the profile says that something failed"));
    }
    let rules = &entry.data;
    let selected = rules.select.find(whole, values);
    let selected = selected.ok_or_else(|| ProviderError::answer("the profile is not where it should be"))?;
    let unwrapped = rules.unwrap.as_ref().and_then(|pointer| pointer.find(selected, values));
    let mut data = unwrapped.unwrap_or(selected).clone();
    if let Value::Object(data) = &mut data {
        for (theirs, ours) in &rules.rename {
            if let Some(value) = data.remove(theirs) {
                data.insert(ours.clone(), value);
            }
        }
        for (name, template) in &rules.add {
            if let Some(value) = template.value(values) {
                data.insert(name.clone(), value);
            }
        }
    }
    Ok(data)
}

fn holds(condition: &Condition, whole: &Value, values: &Values<'_>) -> bool {
    match condition {
        Condition::Present(pointer) => pointer.find(whole, values).is_some(),
        Condition::Missing(pointer) => pointer.find(whole, values).is_none(),
        Condition::Differs { pointer, from } => {
            let from = match from {
                Expected::Text(template) => template.text(values).map(Value::from),
                Expected::Other(value) => Some(value.clone()),
            };
            pointer.find(whole, values) != from.as_ref()
        }
    }
}
