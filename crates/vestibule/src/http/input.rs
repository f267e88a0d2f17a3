//! From a body to typed fields. Everything that is wrong is gathered, and told at once.

use serde_json::{Map, Value};
use vestibule_base::config::ExtraField;
use vestibule_base::security::password::Password;
use vestibule_core::account::{EmailAddress, PhoneNumber, profile};
use vestibule_core::{Outcome, Problem, Refusal};

/// The fields of a body.
#[derive(Debug)]
pub(super) struct Form {
    members: Map<String, Value>,
    problems: Vec<Problem>,
}

impl Form {
    pub(super) fn new(members: Map<String, Value>) -> Self {
        Self { members, problems: Vec::new() }
    }

    /// Whether a field was sent, whatever it holds.
    pub(super) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// A field that is not text.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// Notes something that is wrong.
    pub(super) fn reject(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// A line of text, without the blanks around it. Numbers count as text.
    pub(super) fn text(&mut self, name: &'static str, required: bool) -> Option<String> {
        let text = self.raw(name, required)?;
        let text = text.trim();
        if text.is_empty() {
            if required {
                self.reject(Problem::required().on(name));
            }
            return None;
        }
        if text.contains('\0') {
            self.reject(Problem::null_characters_not_allowed().on(name));
            return None;
        }
        Some(text.to_owned())
    }

    /// A password: nothing is trimmed or altered.
    pub(super) fn password(&mut self, name: &'static str, required: bool) -> Option<Password> {
        let text = self.raw(name, required)?;
        if text.is_empty() {
            if required {
                self.reject(Problem::required().on(name));
            }
            return None;
        }
        Password::parse(&text).map_err(|error| self.reject(Problem::from(error).on(name))).ok()
    }

    /// An email address.
    pub(super) fn email(&mut self, name: &'static str, required: bool, longest: u32) -> Option<EmailAddress> {
        let nul = self.members.get(name).and_then(Value::as_str).is_some_and(|text| text.contains('\0'));
        let text = self.text(name, required);
        let parsed = text.as_deref().map(|text| EmailAddress::parse(text, longest as usize));
        if nul || matches!(parsed, Some(None)) {
            self.reject(Problem::invalid_email().on(name));
        }
        parsed.flatten()
    }

    /// A phone number.
    pub(super) fn phone(&mut self, name: &'static str, required: bool) -> Option<PhoneNumber> {
        let text = self.text(name, required)?;
        let parsed = PhoneNumber::parse(&text);
        if parsed.is_none() {
            self.reject(Problem::invalid_phone().on(name));
        }
        parsed
    }

    /// Yes or no; what was not sent is a no. Words and numbers for it count.
    pub(super) fn flag(&mut self, name: &'static str) -> bool {
        let word = match self.members.get(name) {
            None | Some(Value::Null) => return false,
            Some(Value::Bool(flag)) => return *flag,
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::String(text)) => text.trim().to_ascii_lowercase(),
            Some(_) => String::from("?"),
        };
        match word.as_str() {
            "true" | "1" | "on" => true,
            "false" | "0" | "off" | "" => false,
            _ => {
                self.reject(Problem::invalid().on(name));
                false
            }
        }
    }

    /// An id, of a list that has no `unknown` ones.
    pub(super) fn id(&mut self, name: &'static str, unknown: &Problem) -> Option<i64> {
        let value = self.members.get(name).unwrap_or(&Value::Null);
        let read = if is_nothing(value) {
            Err(Problem::required())
        } else {
            id(value, unknown).map_err(|_| unknown.clone())
        };
        read.map_err(|problem| self.reject(problem.on(name))).ok()
    }

    /// Some of these ids. As in the reference, whatever stands for nothing counts as missing.
    pub(super) fn ids(&mut self, name: &'static str, unknown: &Problem) -> Option<Vec<i64>> {
        let read = match self.members.get(name).unwrap_or(&Value::Null) {
            nothing if is_nothing(nothing) => Err(Problem::required()),
            Value::Bool(false) => Err(Problem::required()),
            Value::Number(number) if number.as_f64() == Some(0.0) => Err(Problem::required()),
            Value::Array(ids) if !ids.iter().any(|id| id.is_array() || id.is_object()) => {
                ids.iter().map(|value| id(value, unknown)).collect()
            }
            _ => Err(Problem::invalid_list()),
        };
        read.map_err(|problem| self.reject(problem.on(name))).ok()
    }

    /// A member that has a structure of its own.
    pub(super) fn structure(&mut self, name: &'static str) -> Option<Value> {
        let value = self.members.remove(name).filter(|value| !is_nothing(value));
        if value.is_none() {
            self.reject(Problem::required().on(name));
        }
        value
    }

    /// What was entered in the extra fields of the signup.
    pub(super) fn extra(&mut self, fields: &[ExtraField]) -> Map<String, Value> {
        let (read, problems) = profile::read(fields, |name| self.members.get(name));
        self.problems.extend(problems);
        read
    }

    /// All that is wrong so far.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Ends reading.
    pub(super) fn finish(self) -> Outcome<()> {
        if self.problems.is_empty() { Ok(()) } else { Err(Refusal::Invalid(self.problems)) }
    }

    /// What was read, if all of it was there and nothing was wrong.
    pub(super) fn finish_with<T>(self, read: Option<T>) -> Outcome<T> {
        self.finish()?;
        read.ok_or_else(|| Problem::required().into())
    }

    fn raw(&mut self, name: &'static str, required: bool) -> Option<String> {
        match self.members.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            None | Some(Value::Null) => {
                if required {
                    self.reject(Problem::required().on(name));
                }
                None
            }
            Some(_) => {
                self.reject(Problem::invalid().on(name));
                None
            }
        }
    }
}

/// Whether a value counts as none, as in the reference.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// An id, as a number or as its digits.
fn id(value: &Value, unknown: &Problem) -> Result<i64, Problem> {
    match value {
        Value::String(text) if text.contains('\0') => Err(Problem::null_characters_not_allowed()),
        Value::String(text) => text.parse().map_err(|_| Problem::invalid_id()),
        other => other.as_i64().ok_or_else(|| unknown.clone()),
    }
}
