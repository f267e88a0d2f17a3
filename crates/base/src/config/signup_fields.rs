//! What a new account is asked for, in allauth's notation: `["email*", "password1*"]`.

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

/// A field of the signup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignupField {
    /// The user name.
    Username,
    /// The email address.
    Email,
    /// The email address again, against typing errors.
    Email2,
    /// The phone number.
    Phone,
    /// The password.
    Password1,
    /// The password again, against typing errors.
    Password2,
}

/// Whether a field of the signup must be filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It must.
    Required,
    /// It may.
    Optional,
}

/// The fields of the signup in their order, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignupFields(Vec<(SignupField, Presence)>);

const NAMES: [&str; 6] = ["username", "email", "email2", "phone", "password1", "password2"];

impl SignupField {
    /// Every field.
    pub const ALL: [Self; 6] =
        [Self::Username, Self::Email, Self::Email2, Self::Phone, Self::Password1, Self::Password2];

    /// Its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES[self as usize]
    }
}

impl SignupFields {
    /// These fields; of a field that comes twice, the first counts.
    #[must_use]
    pub fn new(fields: &[(SignupField, Presence)]) -> Self {
        let mut once: Vec<(SignupField, Presence)> = Vec::new();
        for &(field, presence) in fields {
            if !once.iter().any(|&(f, _)| f == field) {
                once.push((field, presence));
            }
        }
        Self(once)
    }

    /// Whether and how `field` is asked for.
    #[must_use]
    pub fn get(&self, field: SignupField) -> Option<Presence> {
        self.iter().find(|&(f, _)| f == field).map(|(_, presence)| presence)
    }

    /// Whether `field` must be filled in.
    #[must_use]
    pub fn requires(&self, field: SignupField) -> bool {
        self.get(field) == Some(Presence::Required)
    }

    /// The fields in their order.
    pub fn iter(&self) -> impl Iterator<Item = (SignupField, Presence)> + '_ {
        self.0.iter().copied()
    }
}

impl<'de> Deserialize<'de> for SignupFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields: Vec<(SignupField, Presence)> = Vec::new();
        for written in Vec::<String>::deserialize(deserializer)? {
            let (name, presence) = match written.strip_suffix('*') {
                Some(name) => (name, Presence::Required),
                None => (written.as_str(), Presence::Optional),
            };
            if name == "password" {
                return Err(de::Error::custom("the field is called \"password1\", not \"password\""));
            }
            let field = SignupField::ALL.into_iter().find(|f| f.name() == name);
            let field = field.ok_or_else(|| de::Error::unknown_variant(name, &NAMES))?;
            if fields.iter().any(|&(f, _)| f == field) {
                return Err(de::Error::custom(format_args!("\"{name}\" is listed twice")));
            }
            fields.push((field, presence));
        }
        Ok(Self(fields))
    }
}

impl Serialize for SignupFields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|(field, presence)| match presence {
            Presence::Required => format!("{}*", field.name()),
            Presence::Optional => field.name().to_owned(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(list: &[&str]) -> Result<SignupFields, toml::de::Error> {
        toml::Value::try_from(list).unwrap().try_into()
    }

    #[test]
    fn asterisks_make_fields_required_and_order_is_kept() {
        let fields = parse(&["phone", "email*", "password1*"]).unwrap();
        assert_eq!(fields.get(SignupField::Phone), Some(Presence::Optional));
        assert_eq!(fields.get(SignupField::Email), Some(Presence::Required));
        assert_eq!(fields.get(SignupField::Username), None);
        let order: Vec<_> = fields.iter().map(|(field, _)| field.name()).collect();
        assert_eq!(order, ["phone", "email", "password1"]);
        assert_eq!(
            toml::Value::try_from(&fields).unwrap().to_string(),
            r#"["phone", "email*", "password1*"]"#
        );
    }

    #[test]
    fn what_is_no_field_is_refused() {
        for wrong in [&["password*"][..], &["mail"], &["email", "email*"], &["email**"], &[""]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
