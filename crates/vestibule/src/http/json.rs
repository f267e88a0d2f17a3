//! Reads JSON strictly: one object, members once, nested 64 deep at most (RFC 8259; RFC 7493, section 2.3).

use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

const DEEPEST: usize = 64;

/// The object that a body holds. An empty body holds an empty one; `None` for anything else.
pub(super) fn object(body: &[u8]) -> Option<Map<String, Value>> {
    if body.is_empty() {
        return Some(Map::new());
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = Strict { depth: 0 }.deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    match value {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn inside<E: de::Error>(self) -> Result<Self, E> {
        if self.depth >= DEEPEST {
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inside)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(inside)?;
            if members.insert(name, value).is_some() {
                return Err(de::Error::custom("a member comes twice"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn e5_only_plain_objects_are_taken() {
        assert_eq!(object(b"").unwrap().len(), 0);
        assert_eq!(object(br#" {"a": [1, -2, 2.5, null, true, "x", {"b": {}}]} "#).unwrap().len(), 1);
        for wrong in [
            "   ",
            "[]",
            "null",
            "12",
            "\"text\"",
            "true",
            "{}{}",
            "{\"a\":1,\"a\":2}",
            "{\"a\": ",
            "{\"a\":{\"b\":1,\"b\":1}}",
        ] {
            assert!(object(wrong.as_bytes()).is_none(), "{wrong}");
        }
        assert!(object(b"\xef\xbb\xbf{}").is_none());
        assert!(object(b"{\"email\": \"\xe9\"}").is_none());
        assert!(object(br#"{"email": "\ud800"}"#).is_none());
    }

    #[test]
    fn e5_depth_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(object(nested(63).as_bytes()).is_some());
        assert!(object(nested(64).as_bytes()).is_none());
        assert!(object(nested(100_000).as_bytes()).is_none());
    }

    proptest! {
        #[test]
        fn never_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = object(&body);
        }

        #[test]
        fn never_panics_near_json(body in "[\\[\\]{}:,\"0-9eE.+\\\\ua-f -]{0,80}") {
            let _ = object(body.as_bytes());
        }
    }
}
