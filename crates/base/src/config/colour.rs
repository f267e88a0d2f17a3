//! A colour of an operator's, written as in CSS.

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// An opaque colour of the web: red, green and blue from 0 to 255. Written `#rgb` or `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour(pub [u8; 3]);

/// Why a text is no colour.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no colour; write \"#rrggbb\", such as \"#1f6f5c\"")]
pub struct NotAColour(String);

impl std::str::FromStr for Colour {
    type Err = NotAColour;

    fn from_str(text: &str) -> Result<Self, NotAColour> {
        let digits: Option<Vec<u8>> = text.strip_prefix('#').and_then(|digits| {
            digits
                .chars()
                .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
                .collect()
        });
        match digits.as_deref() {
            Some(&[r, g, b]) => Ok(Self([r * 17, g * 17, b * 17])),
            Some(&[r1, r2, g1, g2, b1, b2]) => Ok(Self([r1 * 16 + r2, g1 * 16 + g2, b1 * 16 + b2])),
            _ => Err(NotAColour(text.to_owned())),
        }
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [r, g, b] = self.0;
        write!(f, "#{r:02x}{g:02x}{b:02x}")
    }
}

impl<'de> Deserialize<'de> for Colour {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Colour {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_read_as_css_writes_them() {
        assert_eq!("#1f6F5c".parse(), Ok(Colour([0x1f, 0x6f, 0x5c])));
        assert_eq!("#fa0".parse(), Ok(Colour([0xff, 0xaa, 0])));
        assert_eq!("#fa0".parse::<Colour>().unwrap().to_string(), "#ffaa00");
    }

    #[test]
    fn nothing_else_is_a_colour() {
        for wrong in ["", "#", "fff", "#ffff", "#12345g", "red", "#fff;}", "#1f6f5c ", "#ｆｆｆ"] {
            assert!(wrong.parse::<Colour>().is_err(), "{wrong}");
        }
    }
}
