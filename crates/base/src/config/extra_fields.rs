//! Fields of the signup beyond those that a login needs: `[[account.extra_signup_fields]]`.

use serde::{Deserialize, Serialize};

/// A field that new users are asked for, and that is kept with the account.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraField {
    /// The member of the signup, and of the user object.
    pub name: String,
    /// What it holds.
    #[serde(rename = "type")]
    pub kind: ExtraFieldKind,
    /// What people are shown. Left out: the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether it must be given; of a `boolean`, whether it must be true.
    #[serde(default)]
    pub required: bool,
    /// The fewest characters of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_length: Option<u32>,
    /// The most characters of a text. Left out: 255.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u32>,
    /// The least number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The greatest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// What can be chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// Whether clients see it in the user object.
    #[serde(default = "yes")]
    pub show: bool,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtraFieldKind {
    /// A line of text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// Yes or no.
    Boolean,
    /// A day: `2001-12-31`.
    Date,
    /// One of `choices`.
    Choice,
    /// An email address, which nothing is sent to and nobody logs in with.
    Email,
    /// An address of a page: http or https.
    Url,
}

impl ExtraField {
    /// The most characters of a text, where nothing is said.
    pub const MAX_LENGTH: u32 = 255;

    /// What people are shown.
    #[must_use]
    pub fn label(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.name)
    }

    /// The most characters of a text.
    #[must_use]
    pub fn longest(&self) -> u32 {
        self.max_length.unwrap_or(Self::MAX_LENGTH)
    }

    /// Whether it is typed as text.
    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!(self.kind, ExtraFieldKind::Text | ExtraFieldKind::Email | ExtraFieldKind::Url)
    }

    /// Whether it is a number.
    #[must_use]
    pub fn is_number(&self) -> bool {
        matches!(self.kind, ExtraFieldKind::Integer | ExtraFieldKind::Number)
    }
}

fn yes() -> bool {
    true
}
