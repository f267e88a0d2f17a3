//! The one form in which every section is written: a struct whose fields carry their manual entry and default.

/// One setting as the manual shows it. Its default is looked up in the section's serialised default value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    /// The key in its section.
    pub name: &'static str,
    /// The doc comment, one line of it a line.
    pub doc: &'static str,
}

/// What [`settings!`] writes down of a section for the manual.
pub(super) trait Section {
    /// The doc comment of the section.
    const ABOUT: &'static str;
    /// Its settings in the order of the source.
    const SETTINGS: &'static [Setting];
}

/// Declares a section: `name: Type = default` with a doc comment for each, and from it the struct, its default,
/// its reader (which refuses unknown keys) and its manual entries. `#[serde(..)]` may follow a doc comment.
macro_rules! settings {
    (
        $(#[doc = $about:literal])+
        pub struct $Name:ident {
            $(
                $(#[doc = $doc:literal])+
                $(#[serde($($serde:tt)+)])?
                pub $field:ident: $Type:ty = $default:expr,
            )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $Name {
            $(
                $(#[doc = $doc])+
                #[doc = ""]
                #[doc = concat!("Default: `", stringify!($default), "`.")]
                $(#[serde($($serde)+)])?
                pub $field: $Type,
            )+
        }

        impl Default for $Name {
            fn default() -> Self {
                Self { $($field: $default),+ }
            }
        }

        impl $crate::config::settings::Section for $Name {
            const ABOUT: &'static str = concat!($($about, "\n"),+);
            const SETTINGS: &'static [$crate::config::settings::Setting] = &[
                $($crate::config::settings::Setting {
                    name: stringify!($field),
                    doc: concat!($($doc, "\n"),+),
                }),+
            ];
        }
    };
}

pub(super) use settings;
