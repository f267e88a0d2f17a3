//! Whether a password was in a known breach, asked of a range service in the manner of Have I Been Pwned without
//! telling it the password. Only the arithmetic is here; who asks must also say how long to wait and what a failure
//! means.

use std::fmt;

use sha1::{Digest, Sha1};

use super::Password;

/// What the service is told: five hexadecimal digits, shared by hundreds of breached passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// Five upper-case hexadecimal digits, to end the URL with.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the service is not told: the other 35 digits. Prints as dots.
#[derive(Clone)]
pub struct Suffix(String);

impl fmt::Debug for Suffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Suffix(…)")
    }
}

/// The range to ask for, and what to look for in the answer.
#[must_use]
pub fn range_of(password: &Password) -> (Prefix, Suffix) {
    let mut prefix = hex::encode_upper(Sha1::digest(password.expose()));
    let suffix = prefix.split_off(5);
    (Prefix(prefix), Suffix(suffix))
}

/// Whether the answer `body` (lines of `SUFFIX:COUNT`) has the suffix with a count of at least `threshold`. Entries
/// with a count of 0 are padding and never match; lines that are neither are passed over.
#[must_use]
pub fn appears(body: &str, suffix: &Suffix, threshold: u64) -> bool {
    body.lines().filter_map(|line| line.split_once(':')).any(|(candidate, count)| {
        candidate.trim().eq_ignore_ascii_case(&suffix.0)
            && count.trim().parse().is_ok_and(|count: u64| count >= threshold.max(1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "1D2DA4053E34E76F6576ED1DA63134B5E2A:2\r\n\
                        1e4c9b93f3f0682250b6cf8331b7ee68fd8:42\r\n\
                        1F2B668E8AABEF1C59E9EC6F82E3F3CD786:0\r\nnonsense\r\n:\r\n1F00:x";

    fn suffix(text: &str) -> Suffix {
        Suffix(text.to_owned())
    }

    #[test]
    fn five_digits_leave_the_house() {
        let (prefix, rest) = range_of(&Password::parse("password").unwrap());
        assert_eq!(prefix.as_str(), "5BAA6");
        assert_eq!(rest.0, "1E4C9B93F3F0682250B6CF8331B7EE68FD8");
        assert_eq!(format!("{rest:?}"), "Suffix(…)");
    }

    #[test]
    fn counts_below_the_threshold_and_padding_do_not_matter() {
        let password = suffix("1E4C9B93F3F0682250B6CF8331B7EE68FD8");
        assert!(appears(BODY, &password, 1));
        assert!(appears(BODY, &password, 42));
        assert!(!appears(BODY, &password, 43));
        assert!(!appears(BODY, &suffix("1F2B668E8AABEF1C59E9EC6F82E3F3CD786"), 0), "padding");
        for other in ["1F00", "", "00000000000000000000000000000000000"] {
            assert!(!appears(BODY, &suffix(other), 0), "{other}");
        }
        assert!(!appears("", &password, 0));
    }
}
