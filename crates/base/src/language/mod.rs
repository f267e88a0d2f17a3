//! The languages in which people are spoken to: by the messages of the API, by mail and by text message. As with
//! gettext, the English text is the key, and each other language has a table in `locales/`. What is written for
//! programs and for the log stays English.

mod accepted;
mod text;

use std::collections::HashMap;
use std::sync::LazyLock;

pub use accepted::AcceptLanguage;
pub use text::{Text, fill};

/// English texts and what they are in another language.
type Table = HashMap<String, String>;

macro_rules! languages {
    ($($(#[$doc:meta])* $Name:ident = $code:literal in $table:expr;)*) => {
        /// A language.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum Language {
            $($(#[$doc])* #[serde(rename = $code)] $Name,)*
        }

        impl Language {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$Name),*];

            /// Its tag (RFC 5646).
            #[must_use]
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$Name => $code,)*
                }
            }

            fn table(self) -> &'static Table {
                match self {
                    $(Self::$Name => {
                        static TABLE: LazyLock<Table> = LazyLock::new(|| read($table));
                        &TABLE
                    })*
                }
            }
        }
    };
}

languages! {
    /// English, in which the texts are written.
    #[default]
    En = "en" in "{}";
    /// German.
    De = "de" in include_str!("../../locales/de.json");
    /// Spanish.
    Es = "es" in include_str!("../../locales/es.json");
    /// French.
    Fr = "fr" in include_str!("../../locales/fr.json");
    /// Dutch.
    Nl = "nl" in include_str!("../../locales/nl.json");
}

impl Language {
    /// A text in this language; the English text itself if there is no translation.
    #[must_use]
    pub fn translate(self, english: &str) -> &str {
        self.table().get(english).map_or(english, String::as_str)
    }

    /// The language with this tag; English if there is none, for messages that an instance with more languages queued.
    #[must_use]
    pub fn named(code: &str) -> Self {
        Self::ALL.iter().copied().find(|language| language.code() == code).unwrap_or_default()
    }
}

/// The tables are part of the program, and tests read them all: one that cannot be read leaves the texts in English.
fn read(table: &str) -> Table {
    serde_json::from_str(table).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_read_and_what_it_lacks_is_english() {
        for language in Language::ALL {
            assert_eq!(language.table().is_empty(), *language == Language::En, "{}", language.code());
            assert_eq!(language.translate("no such text"), "no such text");
            assert_eq!(Language::named(language.code()), *language);
        }
        assert_eq!(Language::De.translate("This field is required."), "Dieses Feld ist erforderlich.");
        assert_eq!(Language::named("tlh"), Language::En);
    }
}
