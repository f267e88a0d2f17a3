//! Which passwords are too weak: the four validators that Django has, by their names there.

use super::common::is_common;
use crate::language::Text;

/// [`Validator::MinimumLength`] unless configured, in characters.
pub const DEFAULT_MIN_LENGTH: usize = 8;

/// [`Validator::UserAttributeSimilarity`] unless configured: 0 is nothing in common, 1 the same letters.
pub const DEFAULT_MAX_SIMILARITY: f64 = 0.7;

/// The length that is asked for, in characters, where no validators are configured at all.
pub const MIN_LENGTH_WITHOUT_VALIDATORS: usize = 6;

/// One rule for new passwords. Existing ones are never judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Validator {
    /// Not too much like what is known of the user.
    UserAttributeSimilarity {
        /// Refused from this similarity on; below 0.1 nearly all passwords would be.
        max_similarity: f64,
    },
    /// Long enough.
    MinimumLength {
        /// In characters.
        min_length: usize,
    },
    /// Not one of the most used passwords.
    Common,
    /// Not digits only.
    Numeric,
}

/// What is wrong with a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weakness {
    /// Django's code for it, such as `password_too_short`.
    pub code: &'static str,
    /// A sentence for whoever chose the password.
    pub message: Text,
}

/// What is known of a user, and should not be their password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    /// The username.
    Username,
    /// An email address.
    Email,
}

impl Attribute {
    fn too_similar(self) -> Text {
        match self {
            Self::Username => Text::new("This password is too much like your username."),
            Self::Email => Text::new("This password is too much like your email address."),
        }
    }
}

impl Validator {
    /// The validator that has this name in Django, with or without its module, and with Django's defaults.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.strip_prefix("django.contrib.auth.password_validation.").unwrap_or(name) {
            "UserAttributeSimilarityValidator" => {
                Self::UserAttributeSimilarity { max_similarity: DEFAULT_MAX_SIMILARITY }
            }
            "MinimumLengthValidator" => Self::MinimumLength { min_length: DEFAULT_MIN_LENGTH },
            "CommonPasswordValidator" => Self::Common,
            "NumericPasswordValidator" => Self::Numeric,
            _ => return None,
        })
    }

    fn judge(&self, password: &str, attributes: &[(Attribute, &str)]) -> Option<Weakness> {
        let (code, message) = match *self {
            Self::UserAttributeSimilarity { max_similarity } => {
                let (attribute, _) =
                    attributes.iter().find(|(_, value)| resembles(password, value, max_similarity))?;
                ("password_too_similar", attribute.too_similar())
            }
            Self::MinimumLength { min_length } if password.chars().count() < min_length => {
                let message = Text::counted(
                    u64::try_from(min_length).unwrap_or(u64::MAX),
                    "Choose a password of at least one character.",
                    "Choose a password of at least {count} characters.",
                );
                ("password_too_short", message)
            }
            Self::Common if is_common(password) => {
                ("password_too_common", Text::new("Many people use this password: choose another."))
            }
            Self::Numeric if !password.is_empty() && password.chars().all(char::is_numeric) => {
                let message = Text::new("Choose a password that is not made of digits only.");
                ("password_entirely_numeric", message)
            }
            Self::MinimumLength { .. } | Self::Common | Self::Numeric => return None,
        };
        Some(Weakness { code, message })
    }
}

/// Everything that `validators` find wrong with `password`, in their order. `attributes` are what is known of the
/// user.
#[must_use]
pub fn validate(validators: &[Validator], password: &str, attributes: &[(Attribute, &str)]) -> Vec<Weakness> {
    validators.iter().filter_map(|validator| validator.judge(password, attributes)).collect()
}

/// Whether the password is as much as `limit` like the value or one of its parts, such as the name in an address.
fn resembles(password: &str, value: &str, limit: f64) -> bool {
    let (password, value) = (sorted(&password.to_lowercase()), value.to_lowercase());
    let parts = value.split(|c: char| !c.is_alphanumeric() && c != '_');
    parts.chain([value.as_str()]).filter(|part| !part.is_empty()).any(|part| {
        let part = sorted(part);
        !far_shorter(part.len(), password.len(), limit) && similarity(&password, &part) >= limit
    })
}

/// Whether a part is so short beside the password that it counts for nothing in it.
fn far_shorter(part: usize, password: usize, limit: f64) -> bool {
    password >= part.saturating_mul(10) && count(part) < limit / 2.0 * count(password)
}

/// Twice the characters in common, whatever their order, over all characters: what Python's
/// `SequenceMatcher.quick_ratio` gives. Both are sorted.
fn similarity(a: &[char], b: &[char]) -> f64 {
    let (mut left, mut right) = (a.iter().peekable(), b.iter().peekable());
    let mut common = 0;
    while let (Some(x), Some(y)) = (left.peek(), right.peek()) {
        match x.cmp(y) {
            std::cmp::Ordering::Less => _ = left.next(),
            std::cmp::Ordering::Greater => _ = right.next(),
            std::cmp::Ordering::Equal => {
                common += 1;
                left.next();
                right.next();
            }
        }
    }
    2.0 * count(common) / count(a.len() + b.len())
}

fn sorted(text: &str) -> Vec<char> {
    let mut characters: Vec<char> = text.chars().collect();
    characters.sort_unstable();
    characters
}

/// Exact for any text that fits in memory.
fn count(characters: usize) -> f64 {
    u32::try_from(characters).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests {
    use super::Attribute::{Email, Username};
    use super::*;
    use proptest::prelude::*;

    fn codes(
        validators: &[Validator],
        password: &str,
        attributes: &[(Attribute, &str)],
    ) -> Vec<&'static str> {
        validate(validators, password, attributes).into_iter().map(|weakness| weakness.code).collect()
    }

    #[test]
    fn p5_length_counts_characters() {
        let eight = [Validator::MinimumLength { min_length: 8 }];
        assert_eq!(codes(&eight, "1234567", &[]), ["password_too_short"]);
        assert_eq!(codes(&eight, "pässwör", &[]), ["password_too_short"]);
        assert!(
            codes(&eight, "\u{79d8}\u{5bc6}\u{306e}\u{30d1}\u{30b9}\u{30ef}\u{30fc}\u{30c9}", &[]).is_empty()
        );
        assert!(codes(&eight, &"x".repeat(4096), &[]).is_empty());
        let one = validate(&[Validator::MinimumLength { min_length: 1 }], "", &[]);
        assert_eq!(one[0].message.to_string(), "Choose a password of at least one character.");
    }

    #[test]
    fn p5_common_and_numeric() {
        assert_eq!(codes(&[Validator::Common], " PassWord ", &[]), ["password_too_common"]);
        assert!(codes(&[Validator::Common], "correct horse", &[]).is_empty());
        for digits in ["42", "\u{664}\u{662}", "\u{ff11}\u{ff12}"] {
            assert_eq!(codes(&[Validator::Numeric], digits, &[]), ["password_entirely_numeric"]);
        }
        for other in ["", "4 2", "42a", "-42"] {
            assert!(codes(&[Validator::Numeric], other, &[]).is_empty(), "{other}");
        }
    }

    #[test]
    fn similarity_is_what_python_gives() {
        for (a, b, expected) in [
            ("testclient", "testclient", 1.0),
            ("xyz123", "zyx321", 1.0),
            ("password", "wordpass9", 0.941_176_470_588_235_3),
            ("abcd", "abce", 0.75),
            ("jane.doe", "doe-jane1", 0.823_529_411_764_706),
            ("strasse", "straße", 0.769_230_769_230_769_3),
            ("a", "bcd", 0.0),
        ] {
            assert!((similarity(&sorted(a), &sorted(b)) - expected).abs() < 1e-12, "{a} {b}");
        }
    }

    #[test]
    fn p5_similar_to_the_account() {
        let similar = [Validator::UserAttributeSimilarity { max_similarity: DEFAULT_MAX_SIMILARITY }];
        let jane = [(Username, "jdoe99"), (Email, "Jane.Roe-Smith@example.org")];
        for (password, name) in [
            ("jdoe99", "username"),
            ("99eodj", "username"),
            ("JANE.ROE-SMITH@EXAMPLE.ORG", "email address"),
            ("example1", "email address"),
            ("smith", "email address"),
        ] {
            let found = validate(&similar, password, &jane);
            assert_eq!(found[0].code, "password_too_similar", "{password}");
            assert_eq!(found[0].message.to_string(), format!("This password is too much like your {name}."));
            assert_eq!(found.len(), 1);
        }
        for password in ["correct horse battery", "org-and-all-that-comes-with-it", ""] {
            assert!(codes(&similar, password, &jane).is_empty(), "{password}");
        }
        assert!(codes(&similar, "anything", &[(Username, ""), (Email, "@")]).is_empty());
    }

    #[test]
    fn all_weaknesses_are_told_at_once_in_order() {
        let names = [
            "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
            "MinimumLengthValidator",
            "CommonPasswordValidator",
            "NumericPasswordValidator",
        ];
        let all: Vec<_> = names.iter().filter_map(|name| Validator::named(name)).collect();
        let expected = [
            "password_too_similar",
            "password_too_short",
            "password_too_common",
            "password_entirely_numeric",
        ];
        assert_eq!(codes(&all, "123456", &[(Username, "123456")]), expected);
        assert!(codes(&all, "vestibule-of-the-house", &[(Username, "jane")]).is_empty());
        assert!(codes(&[], "", &[]).is_empty());
        assert_eq!(Validator::named("minimumlengthvalidator"), None);
    }

    proptest! {
        #[test]
        fn similarity_is_symmetric_and_between_0_and_1(a in ".{1,30}", b in ".{1,30}") {
            let (a, b) = (sorted(&a), sorted(&b));
            let ratio = similarity(&a, &b);
            prop_assert!((0.0..=1.0).contains(&ratio));
            prop_assert!((ratio - similarity(&b, &a)).abs() < 1e-12);
        }
    }
}
