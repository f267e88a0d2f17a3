//! Texts that are still to be put into somebody's language.

use std::borrow::Cow;
use std::fmt;

use super::Language;

/// A text in English, as it stands in the source, and the number that takes the place of `{count}` in it, if there is
/// one. Displays in English.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    english: &'static str,
    count: Option<u64>,
}

impl Text {
    /// A text that is always the same.
    #[must_use]
    pub const fn new(english: &'static str) -> Self {
        Self { english, count: None }
    }

    /// A text about a number of things: one sentence for 1, another one for all other numbers.
    #[must_use]
    pub const fn counted(count: u64, one: &'static str, many: &'static str) -> Self {
        Self { english: if count == 1 { one } else { many }, count: Some(count) }
    }

    /// The text in a language.
    #[must_use]
    pub fn to(self, language: Language) -> Cow<'static, str> {
        let text = language.translate(self.english);
        match self.count {
            None => Cow::Borrowed(text),
            Some(count) => Cow::Owned(text.replace("{count}", &count.to_string())),
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to(Language::En))
    }
}

/// Puts values in the place of `{name}`, each as it stands: braces in a value are no placeholder.
///
/// # Errors
/// What `value` gives for a name that it does not know.
pub fn fill<E>(pattern: &str, mut value: impl FnMut(&str) -> Result<String, E>) -> Result<String, E> {
    let mut filled = String::with_capacity(2 * pattern.len());
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{')
        && let Some((name, beyond)) = after.split_once('}')
    {
        filled.push_str(before);
        filled.push_str(&value(name)?);
        rest = beyond;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_many() {
        let things = |count| Text::counted(count, "One thing.", "{count} things.").to_string();
        assert_eq!([things(0), things(1), things(2)], ["0 things.", "One thing.", "2 things."]);
    }

    #[test]
    fn values_take_their_places_once() {
        let value = |name: &str| match name {
            "a" => Ok("{b}".to_owned()),
            "b" => Ok("2".to_owned()),
            other => Err(other.to_owned()),
        };
        assert_eq!(fill("{a} and {b}, {", value).as_deref(), Ok("{b} and 2, {"));
        assert_eq!(fill("{a} {c}", value), Err("c".to_owned()));
    }
}
