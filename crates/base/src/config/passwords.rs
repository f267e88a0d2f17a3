//! `[passwords]`: how passwords are hashed and which ones are refused.

use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

use super::settings::settings;

settings! {
    /// How passwords are hashed, and which ones are too weak.
    pub struct Passwords {
        /// What a new hash costs: memory in KiB, passes over it, lanes. Hashes of other cost stay good and are renewed at
        /// the next login. Danger: cheaper hashes are guessed faster once stolen. Django: `PASSWORD_HASHERS`.
        pub argon2: Argon2 = Argon2::default(),

        /// What a new password must pass, by Django's names, each as a text or, with options, as
        /// `{ name = "MinimumLengthValidator", min_length = 12 }`: `UserAttributeSimilarityValidator` (`max_similarity`),
        /// `MinimumLengthValidator` (`min_length`), `CommonPasswordValidator`, `NumericPasswordValidator`.
        ///
        /// With an empty list, six characters are still needed. Django: `AUTH_PASSWORD_VALIDATORS`.
        pub validators: Vec<Validator> = vec![
            Validator::UserAttributeSimilarity { max_similarity: 0.7 },
            Validator::MinimumLength { min_length: 8 },
            Validator::CommonPassword,
        ],

        /// A service that knows leaked passwords by the first five digits of their SHA-1, as Have I Been Pwned does:
        /// `"https://api.pwnedpasswords.com/range/"`. New passwords that it knows are refused; while it does not
        /// answer, none is taken. Unset: not asked.
        pub pwned_range_url: Option<String> = None,
    }
}

settings! {
    /// The cost of an Argon2id hash.
    pub struct Argon2 {
        /// Memory in KiB.
        pub memory_kib: u32 = 19_456,
        /// Passes over the memory.
        pub iterations: u32 = 2,
        /// Lanes.
        pub parallelism: u32 = 1,
    }
}

/// What a new password must pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Validator {
    /// Not like the account's name or addresses.
    UserAttributeSimilarity {
        /// From 0.1 (hardly alike) to 1 (the same).
        max_similarity: f64,
    },
    /// Not shorter.
    MinimumLength {
        /// Characters.
        min_length: u32,
    },
    /// Not one of the most common ones.
    CommonPassword,
    /// Not digits alone.
    NumericPassword,
}

const NAMES: [&str; 4] = [
    "UserAttributeSimilarityValidator",
    "MinimumLengthValidator",
    "CommonPasswordValidator",
    "NumericPasswordValidator",
];

impl Validator {
    /// Django's name of it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::UserAttributeSimilarity { .. } => NAMES[0],
            Self::MinimumLength { .. } => NAMES[1],
            Self::CommonPassword => NAMES[2],
            Self::NumericPassword => NAMES[3],
        }
    }

    fn named<E: de::Error>(name: &str) -> Result<Self, E> {
        match name {
            "UserAttributeSimilarityValidator" => Ok(Self::UserAttributeSimilarity { max_similarity: 0.7 }),
            "MinimumLengthValidator" => Ok(Self::MinimumLength { min_length: 8 }),
            "CommonPasswordValidator" => Ok(Self::CommonPassword),
            "NumericPasswordValidator" => Ok(Self::NumericPassword),
            _ => Err(E::unknown_variant(name, &NAMES)),
        }
    }
}

/// A validator with its options, as written.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_length: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_similarity: Option<f64>,
}

impl Written {
    fn read<E: de::Error>(self) -> Result<Validator, E> {
        match (Validator::named(&self.name)?, self.min_length, self.max_similarity) {
            (validator, None, None) => Ok(validator),
            (Validator::MinimumLength { .. }, Some(min_length), None) => {
                Ok(Validator::MinimumLength { min_length })
            }
            (Validator::UserAttributeSimilarity { .. }, None, Some(s)) if (0.1..=1.0).contains(&s) => {
                Ok(Validator::UserAttributeSimilarity { max_similarity: s })
            }
            (Validator::UserAttributeSimilarity { .. }, None, Some(_)) => {
                Err(E::custom("max_similarity must be between 0.1 and 1.0"))
            }
            (validator, ..) => Err(E::custom(format_args!("{} has no such option", validator.name()))),
        }
    }
}

impl<'de> Deserialize<'de> for Validator {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Validator;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a validator, or a table with name and options")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Validator, E> {
                Validator::named(name)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Validator, A::Error> {
                Written::deserialize(de::value::MapAccessDeserializer::new(map))?.read()
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl Serialize for Validator {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let name = self.name().to_owned();
        match *self {
            Self::MinimumLength { min_length } if min_length != 8 => {
                Written { name, min_length: Some(min_length), ..Written::default() }.serialize(serializer)
            }
            Self::UserAttributeSimilarity { max_similarity } if max_similarity != 0.7 => {
                Written { name, max_similarity: Some(max_similarity), ..Written::default() }
                    .serialize(serializer)
            }
            _ => serializer.serialize_str(&name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn validators_by_name_or_with_options() {
        let text = r#"passwords.validators = ["CommonPasswordValidator", { name = "MinimumLengthValidator", min_length = 14 }]"#;
        let validators = Config::from_toml(text).unwrap().passwords.validators;
        assert_eq!(validators, [Validator::CommonPassword, Validator::MinimumLength { min_length: 14 }]);
    }

    #[test]
    fn unknown_validators_and_options_are_refused() {
        for wrong in [
            r#"["ZxcvbnValidator"]"#,
            r#"[{ name = "CommonPasswordValidator", min_length = 3 }]"#,
            r#"[{ name = "MinimumLengthValidator", min = 3 }]"#,
            r#"[{ min_length = 3 }]"#,
            r#"[{ name = "UserAttributeSimilarityValidator", max_similarity = 7.0 }]"#,
        ] {
            assert!(Config::from_toml(&format!("passwords.validators = {wrong}")).is_err(), "{wrong}");
        }
    }
}
