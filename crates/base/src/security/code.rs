//! Codes that people read in a mail or a text message and type in (RFC 8628, section 6.1).

use std::fmt;

use super::keyring::{Keyring, Purpose};
use super::random::{self, NoEntropy};
use super::token::Digest;

/// Consonants that are hard to confuse and spell no words: RFC 8628, section 6.1.
const LETTERS: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ";
const DIGITS: &[u8] = b"0123456789";

/// A code, without the dashes it is shown with. Prints as dots.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

impl Code {
    /// A new code of `length` letters, or digits if `numeric`.
    ///
    /// # Errors
    /// [`NoEntropy`] if the system's generator fails.
    pub fn generate(numeric: bool, length: usize) -> Result<Self, NoEntropy> {
        random::text(if numeric { DIGITS } else { LETTERS }, length).map(Self)
    }

    /// Takes what somebody typed: case, blanks and punctuation do not count. `None` if nothing is left, or if it
    /// holds anything but ASCII: other scripts have look-alikes that must not pass as letters.
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        if !typed.is_ascii() || typed.len() > 64 {
            return None;
        }
        let code: String = typed
            .chars()
            .filter(|c| !c.is_ascii_punctuation() && !c.is_ascii_whitespace())
            .map(|c| c.to_ascii_uppercase())
            .collect();
        (!code.is_empty()).then_some(Self(code))
    }

    /// As it is shown to a person: in two groups up to eight characters and three above, if `dashed`.
    #[must_use]
    pub fn show(&self, dashed: bool) -> String {
        if !dashed {
            return self.0.clone();
        }
        let groups = if self.0.len() <= 8 { 2 } else { 3 };
        let size = self.0.len().div_ceil(groups).max(1);
        let parts: Vec<&str> = (0..self.0.len())
            .step_by(size)
            .filter_map(|at| self.0.get(at..(at + size).min(self.0.len())))
            .collect();
        parts.join("-")
    }

    /// Its letters and digits, to be compared with a code that no digest is kept of.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The keyed hash to store in its place: codes are short, a plain hash could be searched.
    #[must_use]
    pub fn digest(&self, keyring: &Keyring) -> Digest {
        keyring.mac(Purpose::Code, self.0.as_bytes())
    }

    /// Whether `stored` is the digest of this code, under the present key or a former one. Constant time.
    #[must_use]
    pub fn matches(&self, keyring: &Keyring, stored: &[u8]) -> bool {
        keyring.verify(Purpose::Code, self.0.as_bytes(), stored)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn c2_shown_with_dashes_and_read_back_in_any_spelling() {
        let code = Code::parse("bcdfghjk").unwrap();
        assert_eq!(code.show(true), "BCDF-GHJK");
        assert_eq!(code.show(false), "BCDFGHJK");
        assert_eq!(Code::parse("123456789").unwrap().show(true), "123-456-789");
        for spelling in ["bcdf-ghjk", " BCDF GHJK ", "b.c.d.f_g/h\tjk"] {
            assert_eq!(Code::parse(spelling), Some(code.clone()));
        }
        assert_eq!(Code::parse("--- "), None);
        assert_eq!(Code::parse("ＢＣＤＦ-ＧＨＪＫ"), None);
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_shows_what_it_reads(typed in ".{0,70}", dashed: bool) {
            if let Some(code) = Code::parse(&typed) {
                prop_assert_eq!(Code::parse(&code.show(dashed)), Some(code));
            }
        }
    }
}
