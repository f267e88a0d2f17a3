//! Readers for settings whose notation is wider than their type, or whose errors must not quote them.

use secrecy::SecretString;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use std::fmt;

/// A count, or a flag: `true` is 2, as the reference has it, and `false` 0.
pub(super) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    struct Count;
    impl Visitor<'_> for Count {
        type Value = u32;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("true, false or a number of times")
        }

        fn visit_bool<E: de::Error>(self, on: bool) -> Result<u32, E> {
            Ok(if on { 2 } else { 0 })
        }

        fn visit_i64<E: de::Error>(self, n: i64) -> Result<u32, E> {
            u32::try_from(n).map_err(|_| E::invalid_value(de::Unexpected::Signed(n), &self))
        }
    }
    deserializer.deserialize_any(Count)
}

/// A list without its repetitions, in order.
pub(super) fn unique<'de, D: Deserializer<'de>, T: Deserialize<'de> + PartialEq>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let mut once: Vec<T> = Vec::new();
    for item in Vec::<T>::deserialize(deserializer)? {
        if !once.contains(&item) {
            once.push(item);
        }
    }
    Ok(once)
}

/// A secret text. What is no text is refused without being quoted.
pub(super) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    text(toml::Value::deserialize(deserializer)?).map(Some)
}

/// A secret text that has to be there. What is no text is refused without being quoted.
pub(super) fn needed_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    text(toml::Value::deserialize(deserializer)?)
}

/// A list of secret texts. What is none is refused without being quoted.
pub(super) fn secrets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SecretString>, D::Error> {
    match toml::Value::deserialize(deserializer)? {
        toml::Value::Array(items) => items.into_iter().map(text).collect(),
        _ => Err(de::Error::custom("expected a list of texts in quotes")),
    }
}

fn text<E: de::Error>(value: toml::Value) -> Result<SecretString, E> {
    match value {
        toml::Value::String(text) => Ok(text.into()),
        _ => Err(E::custom("expected a text in quotes")),
    }
}
