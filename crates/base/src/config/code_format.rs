//! What a code looks like that people read and type.

use serde::{Deserialize, Serialize};

/// The look of a code. Written as a table of which any part may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(from = "Written")]
pub struct CodeFormat {
    /// Digits, instead of the letters of RFC 8628, section 6.1.
    pub numeric: bool,
    /// Shown in groups with dashes between them. Dashes never count when a code is typed in.
    pub dashed: bool,
    /// Characters, dashes not counted. Left out: 8 letters, or 9 digits.
    pub length: u32,
}

impl Default for CodeFormat {
    fn default() -> Self {
        Written { numeric: false, dashed: true, length: None }.into()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    numeric: bool,
    #[serde(default = "yes")]
    dashed: bool,
    length: Option<u32>,
}

fn yes() -> bool {
    true
}

impl From<Written> for CodeFormat {
    fn from(Written { numeric, dashed, length }: Written) -> Self {
        Self { numeric, dashed, length: length.unwrap_or(if numeric { 9 } else { 8 }) }
    }
}
