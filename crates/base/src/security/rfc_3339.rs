//! Moments in JSON for people and programs: text of RFC 3339 in UTC, always with milliseconds. For
//! `#[serde(with = "rfc_3339")]`.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

use super::Millis;

/// A moment as text; empty if it is none that has a year of four digits.
#[must_use]
pub fn text(at: Millis) -> String {
    Timestamp::from_millisecond(at).map(|time| format!("{time:.3}")).unwrap_or_default()
}

/// A moment of a text with any offset.
#[must_use]
pub fn parse(text: &str) -> Option<Millis> {
    text.parse::<Timestamp>().ok().map(|time| time.as_millisecond())
}

/// Writes a moment.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(at: &Millis, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(*at))
}

/// Reads a moment.
///
/// # Errors
/// If it is none.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Millis, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| D::Error::custom("no time of RFC 3339"))
}

/// The same for a moment that may be missing.
pub mod option {
    use super::{Deserialize, Deserializer, Error, Millis, Serializer};

    /// Writes a moment, or `null`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(at: &Option<Millis>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => super::serialize(at, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a moment, or `null`.
    ///
    /// # Errors
    /// If it is neither.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Millis>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| super::parse(&text).ok_or_else(|| D::Error::custom("no time of RFC 3339")))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, text};

    #[test]
    fn moments_have_milliseconds_and_their_zone() {
        assert_eq!(text(1_800_000_000_000), "2027-01-15T08:00:00.000Z");
        assert_eq!(text(1_800_000_000_007), "2027-01-15T08:00:00.007Z");
        assert_eq!(parse("2027-01-15T09:00:00+01:00"), Some(1_800_000_000_000));
        assert_eq!(parse(&text(1_800_000_000_007)), Some(1_800_000_000_007));
        assert_eq!((text(i64::MAX).as_str(), parse("yesterday")), ("", None));
    }
}
