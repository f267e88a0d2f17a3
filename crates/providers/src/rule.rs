//! Rules: where in a provider's answer a value is found, and what is made of it. They are written in the catalogue.

use std::str::FromStr;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::template::{Malformed, Template, Values, text};

/// A JSON pointer (RFC 6901), where a key may be `{name}`: then it is that name's value.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Pointer(Vec<Key>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Fixed(String),
    Named(String),
}

/// Where a value is found.
#[derive(Debug, Clone)]
pub(crate) enum Rule {
    /// A flag that is always the same.
    Const(bool),
    /// A value of the data: a text that is empty or begins with a slash.
    Pointer(Pointer),
    /// A text made of several: any other text.
    Template(Template),
    /// The first that gives a true value: a list.
    FirstOf(Vec<Rule>),
    /// Anything else: a table.
    Full(Box<FullRule>),
}

/// A rule that is written as a table.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Table")]
pub(crate) struct FullRule {
    /// Nothing, unless all of these are true values.
    conditions: Vec<Pointer>,
    source: Source,
    changes: Vec<Change>,
    default: Option<Value>,
}

#[derive(Debug, Clone)]
enum Source {
    Value(Rule),
    AnyTrue(Vec<Pointer>),
    Element { list: Pointer, conditions: Vec<Pointer>, take: Pointer, or_first: bool },
    FirstEntry { object: Pointer, take: Pointer },
}

#[derive(Debug, Clone)]
enum Change {
    Equals(Value),
    UnlessEquals(Value),
    UnlessSuffix(String),
    Before(String),
    After(String),
    LastSegment,
    Replace(String, String),
    Lower,
}

/// What [`FullRule`] is read from: one key that says where the value is found, and others that change it, in this order.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default, rename = "if")]
    conditions: Vec<Pointer>,
    /// Any rule.
    value: Option<Rule>,
    /// True if one of these is a true value.
    any_true: Option<Vec<Pointer>>,
    /// A list: `take` of its first element where all of `where` are true values.
    find_in: Option<Pointer>,
    #[serde(default, rename = "where")]
    element: Vec<Pointer>,
    /// With `find_in`: if there is no such element, the first of all.
    #[serde(default)]
    or_first: bool,
    /// An object: `take` of its first value.
    first_entry_of: Option<Pointer>,
    #[serde(default)]
    take: Pointer,
    /// Whether the value is this.
    equals: Option<Value>,
    /// Nothing, if the value is this.
    unless_equals: Option<Value>,
    /// Nothing, if the value ends like this, in whatever case.
    unless_suffix: Option<String>,
    /// The part before this text; the whole, where it is not there.
    before: Option<String>,
    /// The part behind this text; nothing, where it is not there.
    after: Option<String>,
    /// The last part of a path.
    #[serde(default)]
    last_segment: bool,
    /// This text, and what stands in its place.
    replace: Option<(String, String)>,
    #[serde(default)]
    lower: bool,
    /// The value, where there is none.
    default: Option<Value>,
}

impl Rule {
    /// The value, where there is one that is not null.
    pub(crate) fn find(&self, data: &Value, values: &Values<'_>) -> Option<Value> {
        self.evaluate(data, values, false)
    }

    /// As [`Rule::find`], but a template has a value only if all of its parts have one: what is half a name is nobody's.
    pub(crate) fn find_whole(&self, data: &Value, values: &Values<'_>) -> Option<Value> {
        self.evaluate(data, values, true)
    }

    /// The value as text: not empty.
    pub(crate) fn find_text(&self, data: &Value, values: &Values<'_>) -> Option<String> {
        match self.find(data, values)? {
            value @ (Value::String(_) | Value::Number(_)) => text(&value).filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    fn evaluate(&self, data: &Value, values: &Values<'_>, whole: bool) -> Option<Value> {
        match self {
            Self::Const(flag) => Some(Value::Bool(*flag)),
            Self::Pointer(pointer) => pointer.find(data, values).cloned(),
            Self::Template(template) if whole => template.text_on(data, values).map(Value::from),
            Self::Template(template) => {
                Some(template.text_of_any(data, values)).filter(|text| !text.is_empty()).map(Value::from)
            }
            Self::FirstOf(rules) => {
                rules.iter().filter_map(|rule| rule.evaluate(data, values, whole)).find(is_true)
            }
            Self::Full(rule) => rule.evaluate(data, values, whole),
        }
    }

    /// The templates in it.
    pub(crate) fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Template(template) => vec![template],
            Self::FirstOf(rules) => rules.iter().flat_map(Self::templates).collect(),
            Self::Full(rule) => match &rule.source {
                Source::Value(rule) => rule.templates(),
                _ => Vec::new(),
            },
            Self::Const(_) | Self::Pointer(_) => Vec::new(),
        }
    }
}

impl FullRule {
    fn evaluate(&self, data: &Value, values: &Values<'_>, whole: bool) -> Option<Value> {
        let holds = |pointer: &Pointer| pointer.find(data, values).is_some_and(is_true);
        if !self.conditions.iter().all(holds) {
            return None;
        }
        let found = match &self.source {
            Source::Value(rule) => rule.evaluate(data, values, whole),
            Source::AnyTrue(pointers) => Some(Value::Bool(pointers.iter().any(holds))),
            Source::Element { list, conditions, take, or_first } => {
                let list = list.find(data, values).and_then(Value::as_array);
                list.and_then(|list| {
                    let fits = |element: &&Value| {
                        conditions.iter().all(|is| is.find(element, values).is_some_and(is_true))
                    };
                    let first = list.first().filter(|_| *or_first);
                    list.iter().find(fits).or(first)?.clone_at(take, values)
                })
            }
            Source::FirstEntry { object, take } => object
                .find(data, values)
                .and_then(Value::as_object)
                .and_then(|object| object.values().next())
                .and_then(|value| value.clone_at(take, values)),
        };
        let changed =
            found.and_then(|found| self.changes.iter().try_fold(found, |value, change| change.apply(value)));
        changed.or_else(|| self.default.clone())
    }
}

trait CloneAt {
    fn clone_at(&self, pointer: &Pointer, values: &Values<'_>) -> Option<Value>;
}

impl CloneAt for Value {
    fn clone_at(&self, pointer: &Pointer, values: &Values<'_>) -> Option<Value> {
        pointer.find(self, values).cloned()
    }
}

impl Change {
    fn apply(&self, value: Value) -> Option<Value> {
        if let Self::Equals(other) = self {
            return Some(Value::Bool(value == *other));
        }
        if let Self::UnlessEquals(other) = self {
            return (value != *other).then_some(value);
        }
        let text = text(&value)?;
        let changed = match self {
            Self::Equals(_) | Self::UnlessEquals(_) => return None,
            Self::UnlessSuffix(suffix) => {
                (!text.to_lowercase().ends_with(&suffix.to_lowercase())).then_some(text)?
            }
            Self::Before(mark) => {
                text.split_once(mark).map_or(text.as_str(), |(before, _)| before).to_owned()
            }
            Self::After(mark) => text.split_once(mark)?.1.to_owned(),
            Self::LastSegment => text.rsplit('/').next()?.to_owned(),
            Self::Replace(mark, with) => text.replace(mark, with),
            Self::Lower => text.to_lowercase(),
        };
        Some(Value::from(changed))
    }
}

impl Pointer {
    /// What it points at in `data`: not null.
    pub(crate) fn find<'a>(&self, data: &'a Value, values: &Values<'_>) -> Option<&'a Value> {
        let found = self.0.iter().try_fold(data, |at, key| match key {
            Key::Fixed(key) => step(at, key),
            Key::Named(name) => step(at, &text(&*values.name(name)?)?),
        });
        found.filter(|value| !value.is_null())
    }

    /// Puts a value there; objects on the way are made where there are none.
    pub(crate) fn put(&self, data: &mut Value, value: Value, values: &Values<'_>) {
        let mut at = data;
        for key in &self.0 {
            let key = match key {
                Key::Fixed(key) => Some(key.clone()),
                Key::Named(name) => values.name(name).as_deref().and_then(text),
            };
            let Some(key) = key else { return };
            if !at.is_object() {
                *at = Value::Object(serde_json::Map::new());
            }
            let Value::Object(object) = at else { return };
            at = object.entry(key).or_insert(Value::Null);
        }
        *at = value;
    }

    /// Takes out what it points at, if that is in an object.
    pub(crate) fn remove(&self, data: &mut Value) {
        let Some((Key::Fixed(last), before)) = self.0.split_last() else { return };
        let mut at = data;
        for key in before {
            let Key::Fixed(key) = key else { return };
            let Some(next) = at.get_mut(key) else { return };
            at = next;
        }
        if let Value::Object(object) = at {
            object.remove(last);
        }
    }

    /// Whether it points at everything.
    pub(crate) fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

fn step<'a>(at: &'a Value, key: &str) -> Option<&'a Value> {
    match at {
        Value::Object(object) => object.get(key),
        Value::Array(list) => list.get(key.parse::<usize>().ok()?),
        _ => None,
    }
}

/// Whether a value counts as true: there, and not empty, zero or false.
pub(crate) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(object) => !object.is_empty(),
    }
}

impl FromStr for Pointer {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let keys = text.strip_prefix('/').ok_or_else(|| Malformed::Pointer(text.to_owned()))?;
        let key = |key: &str| match key.strip_prefix('{').and_then(|key| key.strip_suffix('}')) {
            Some(name) => Key::Named(name.to_owned()),
            None => Key::Fixed(key.replace("~1", "/").replace("~0", "~")),
        };
        Ok(Self(keys.split('/').map(key).collect()))
    }
}

impl TryFrom<String> for Pointer {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl TryFrom<Table> for FullRule {
    type Error = &'static str;

    fn try_from(table: Table) -> Result<Self, Self::Error> {
        let source = match (table.value, table.any_true, table.find_in, table.first_entry_of) {
            (Some(rule), None, None, None) => Source::Value(rule),
            (None, Some(pointers), None, None) => Source::AnyTrue(pointers),
            (None, None, Some(list), None) => Source::Element {
                list,
                conditions: table.element,
                take: table.take,
                or_first: table.or_first,
            },
            (None, None, None, Some(object)) => Source::FirstEntry { object, take: table.take },
            _ => return Err("a rule needs one of value, any_true, find_in, first_entry_of"),
        };
        let changes = [
            table.equals.map(Change::Equals),
            table.unless_equals.map(Change::UnlessEquals),
            table.unless_suffix.map(Change::UnlessSuffix),
            table.before.map(Change::Before),
            table.after.map(Change::After),
            table.last_segment.then_some(Change::LastSegment),
            table.replace.map(|(mark, with)| Change::Replace(mark, with)),
            table.lower.then_some(Change::Lower),
        ];
        Ok(Self {
            conditions: table.conditions,
            source,
            changes: changes.into_iter().flatten().collect(),
            default: table.default,
        })
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RuleVisitor)
    }
}

struct RuleVisitor;

impl<'de> Visitor<'de> for RuleVisitor {
    type Value = Rule;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a rule: a pointer, a template, true, false, a list of rules, or a table")
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Rule, E> {
        Ok(Rule::Const(flag))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Rule, E> {
        if text.is_empty() || text.starts_with('/') {
            text.parse().map(Rule::Pointer).map_err(E::custom)
        } else {
            text.parse().map(Rule::Template).map_err(E::custom)
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, rules: A) -> Result<Rule, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(rules)).map(Rule::FirstOf)
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Rule, A::Error> {
        FullRule::deserialize(MapAccessDeserializer::new(table)).map(|rule| Rule::Full(Box::new(rule)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::template::tests::values;

    fn rule(text: &str) -> Rule {
        let mut table: toml::Table = toml::from_str(&format!("rule = {text}")).unwrap();
        table.remove("rule").unwrap().try_into().unwrap()
    }

    fn find(text: &str, data: Value) -> Option<Value> {
        rule(text).find(&data, &values(json!({ "field": "b" })))
    }

    #[test]
    fn pointers_find_what_is_not_null() {
        let data = json!({"a": [{"b": 1}], "x/y": {"~": true}, "n": null});
        assert_eq!(find("'/a/0/b'", data.clone()), Some(json!(1)));
        assert_eq!(find("'/a/0/{field}'", data.clone()), Some(json!(1)));
        assert_eq!(find("'/x~1y/~0'", data.clone()), Some(json!(true)));
        assert_eq!(find("''", json!(5)), Some(json!(5)));
        for nothing in ["'/n'", "'/a/1'", "'/a/-1'", "'/a/b'", "'/x'", "'/a/0/{nobody}'"] {
            assert_eq!(find(nothing, data.clone()), None, "{nothing}");
        }
        assert!("a".parse::<Pointer>().is_err());
    }

    #[test]
    fn pointers_put_and_remove() {
        let none = values(json!({}));
        let mut data = json!({"a": {"b": 1}, "l": [1]});
        "/a/c/d".parse::<Pointer>().unwrap().put(&mut data, json!(2), &none);
        "/a/b".parse::<Pointer>().unwrap().remove(&mut data);
        "/l/0".parse::<Pointer>().unwrap().remove(&mut data);
        assert_eq!(data, json!({"a": {"c": {"d": 2}}, "l": [1]}));
        Pointer::default().put(&mut data, json!(3), &none);
        assert_eq!(data, json!(3));
    }

    #[test]
    fn templates_of_data_are_trimmed_and_whole_where_that_is_asked() {
        assert_eq!(find("'{/a} {/b}'", json!({"a": "x"})), Some(json!("x")));
        assert_eq!(find("'{/a} {/b}'", json!({})), None);
        let uid = rule("['{/a}_{/b}', '/c']");
        let none = values(json!({}));
        assert_eq!(uid.find_whole(&json!({"a": 1, "b": 2}), &none), Some(json!("1_2")));
        assert_eq!(uid.find_whole(&json!({"a": 1, "c": "c"}), &none), Some(json!("c")));
        assert_eq!(uid.find_whole(&json!({"a": 1}), &none), None);
    }

    #[test]
    fn the_first_true_value_counts() {
        let data = json!({"no": false, "zero": 0, "empty": "", "list": [], "yes": "x"});
        assert_eq!(
            find("['/gone', '/no', '/zero', '/empty', '/list', '/yes']", data.clone()),
            Some(json!("x"))
        );
        assert_eq!(find("['/no', '/zero']", data), None);
        assert_eq!(find("true", json!({})), Some(json!(true)));
    }

    #[test]
    fn tables_choose_and_change() {
        let data = json!({
            "name": "Ada King Lovelace", "mail": "a@Relay.example", "state": "registered", "yes": 1,
            "list": [{"id": 1}, {"id": 2, "main": true}], "roles": {"teacher": {"u": "ada"}}, "uri": "/users/77",
        });
        let find = |text: &str| find(text, data.clone());
        assert_eq!(find("{ value = '/name', before = ' ' }"), Some(json!("Ada")));
        assert_eq!(find("{ value = '/name', after = ' ' }"), Some(json!("King Lovelace")));
        assert_eq!(find("{ value = '/state', before = ' ' }"), Some(json!("registered")));
        assert_eq!(find("{ value = '/state', after = ' ' }"), None);
        assert_eq!(
            find("{ value = '/name', replace = ['a', 'o'], lower = true }"),
            Some(json!("ado king loveloce"))
        );
        assert_eq!(find("{ value = '/uri', last_segment = true }"), Some(json!("77")));
        assert_eq!(find("{ value = '/state', equals = 'registered' }"), Some(json!(true)));
        assert_eq!(find("{ value = '/name', equals = 'registered' }"), Some(json!(false)));
        assert_eq!(find("{ value = '/state', unless_equals = 'registered' }"), None);
        assert_eq!(find("{ value = '/mail', unless_suffix = '@relay.example' }"), None);
        assert_eq!(find("{ value = '/gone', default = 'd' }"), Some(json!("d")));
        assert_eq!(find("{ value = '/name', if = ['/yes', '/gone'] }"), None);
        assert_eq!(find("{ any_true = ['/gone', '/yes'] }"), Some(json!(true)));
        assert_eq!(find("{ any_true = ['/gone'] }"), Some(json!(false)));
        assert_eq!(find("{ find_in = '/list', where = ['/main'], take = '/id' }"), Some(json!(2)));
        assert_eq!(find("{ find_in = '/list', where = ['/gone'], take = '/id' }"), None);
        assert_eq!(
            find("{ find_in = '/list', where = ['/gone'], take = '/id', or_first = true }"),
            Some(json!(1))
        );
        assert_eq!(find("{ first_entry_of = '/roles', take = '/u' }"), Some(json!("ada")));
    }
}
