//! Where two things differ, and how that is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::placeholder::Known;

/// One thing that is not as expected.
#[derive(Debug, Clone)]
pub(crate) struct Difference {
    what: String,
    expected: Option<String>,
    got: Option<String>,
}

impl Difference {
    pub(crate) fn new(what: impl Into<String>, expected: impl fmt::Display, got: impl fmt::Display) -> Self {
        Self { what: what.into(), expected: Some(expected.to_string()), got: Some(got.to_string()) }
    }

    /// Something that should be there.
    pub(crate) fn missing(what: impl Into<String>, expected: impl fmt::Display) -> Self {
        Self { what: what.into(), expected: Some(expected.to_string()), got: None }
    }

    /// Something that should not be there.
    pub(crate) fn surplus(what: impl Into<String>, got: impl fmt::Display) -> Self {
        Self { what: what.into(), expected: None, got: Some(got.to_string()) }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        writeln!(f, "      - {}", shorten(self.expected.as_deref().unwrap_or("(nothing)")))?;
        write!(f, "      + {}", shorten(self.got.as_deref().unwrap_or("(nothing)")))
    }
}

/// Compares two texts.
pub(crate) fn text(what: &str, expected: &str, got: &str) -> Option<Difference> {
    (expected != got).then(|| Difference::new(what, format!("{expected:?}"), format!("{got:?}")))
}

/// Compares parameters by their names; of a name that comes several times the order counts. A surplus name is a
/// difference unless `allowed`.
pub(crate) fn pairs(
    what: &str,
    expected: &[(String, String)],
    got: &[(String, String)],
    known: &Known,
    mut allowed: impl FnMut(&str, &str) -> bool,
) -> Vec<Difference> {
    let expected = grouped(expected);
    let got = grouped(got);
    let names: BTreeSet<_> = expected.keys().chain(got.keys()).copied().collect();
    let mut differences = Vec::new();
    for name in names {
        let what = format!("{what} `{name}`");
        match (expected.get(name), got.get(name)) {
            (Some(expected), None) => differences.push(Difference::missing(what, expected.join(", "))),
            (None, Some(got)) if !got.iter().all(|value| allowed(name, value)) => {
                differences.push(Difference::surplus(what, got.join(", ")));
            }
            (Some(expected), Some(got)) => {
                let same = expected.len() == got.len()
                    && expected.iter().zip(got).all(|(expected, got)| known.fits(expected, got));
                if !same {
                    differences.push(Difference::new(what, expected.join(", "), got.join(", ")));
                }
            }
            _ => {}
        }
    }
    differences
}

/// The first place where two JSON values differ, placeholders aside.
pub(crate) fn json(what: &str, expected: &Value, got: &Value, known: &Known) -> Option<Difference> {
    match (expected, got) {
        (Value::Object(left), Value::Object(right)) => {
            let names: BTreeSet<_> = left.keys().chain(right.keys()).collect();
            names.into_iter().find_map(|name| {
                let what = format!("{what}/{name}");
                match (left.get(name), right.get(name)) {
                    (Some(left), Some(right)) => json(&what, left, right, known),
                    (Some(left), None) => Some(Difference::missing(what, left)),
                    (None, Some(right)) => Some(Difference::surplus(what, right)),
                    (None, None) => None,
                }
            })
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => left
            .iter()
            .zip(right)
            .enumerate()
            .find_map(|(at, (left, right))| json(&format!("{what}/{at}"), left, right, known)),
        (Value::String(left), Value::String(right)) if known.fits(left, right) => None,
        _ if expected == got => None,
        _ => Some(Difference::new(what, expected, got)),
    }
}

/// The parameters of an object of the format: a list is a repeated parameter.
pub(crate) fn parameters(object: &serde_json::Map<String, Value>) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut pairs = Vec::new();
    for (name, value) in object {
        match value {
            Value::Array(values) => pairs.extend(values.iter().map(|value| (name.clone(), text(value)))),
            value => pairs.push((name.clone(), text(value))),
        }
    }
    pairs
}

fn grouped(pairs: &[(String, String)]) -> BTreeMap<&str, Vec<&str>> {
    let mut grouped = BTreeMap::<&str, Vec<&str>>::new();
    for (name, value) in pairs {
        grouped.entry(name).or_default().push(value);
    }
    grouped
}

/// Long values are cut, since the beginning tells.
fn shorten(text: &str) -> String {
    const ENOUGH: usize = 300;
    let text = text.replace('\n', "\\n");
    if text.chars().count() <= ENOUGH {
        return text;
    }
    let cut: String = text.chars().take(ENOUGH).collect();
    format!("{cut}… ({} characters)", text.chars().count())
}
