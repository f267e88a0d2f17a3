//! Email addresses and phone numbers, in the one form in which they are stored and compared.

use std::borrow::Cow;
use std::fmt;

/// An email address: local part of ASCII in lower case, domain in lower case as A-labels. Two spellings that differ in
/// this form are two addresses; nothing is folded by Unicode's rules (CVE-2019-19844).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

/// A phone number in E.164.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PhoneNumber(String);

/// RFC 5321, section 4.5.3.1.1. The reference does not look at this length; nothing could be delivered beyond it.
const LONGEST_LOCAL_PART: usize = 64;

impl EmailAddress {
    /// Takes what somebody typed, if it is an address of at most `longest` characters: `dot-atom@domain`
    /// (RFC 5322, section 3.4.1), where the domain is a name with a dot, `localhost`, or an address in brackets.
    #[must_use]
    pub fn parse(typed: &str, longest: usize) -> Option<Self> {
        let typed = typed.trim();
        if typed.chars().count() > longest {
            return None;
        }
        let (local, domain) = typed.rsplit_once('@')?;
        if !is_dot_atom(local) || local.len() > LONGEST_LOCAL_PART {
            return None;
        }
        let domain = canonical_domain(domain)?;
        let address = format!("{}@{domain}", local.to_ascii_lowercase());
        (address.len() <= longest).then_some(Self(address))
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the `@`.
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.0.split('@').next().unwrap_or_default()
    }
}

/// A stored address as people read it: the domain in its own script.
#[must_use]
pub fn shown(stored: &str) -> Cow<'_, str> {
    match stored.split_once('@') {
        Some((local, domain)) if domain.contains("xn--") => {
            let (domain, valid) = idna::domain_to_unicode(domain);
            if valid.is_ok() { format!("{local}@{domain}").into() } else { stored.into() }
        }
        _ => stored.into(),
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PhoneNumber {
    /// Takes what somebody typed: `+`, a digit from 1 to 9 and 5 to 14 more. One number has one spelling: blanks and
    /// hyphens inside are refused.
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        let number = typed.trim();
        let digits = number.strip_prefix('+')?;
        let valid = (6..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|digit| digit.is_ascii_digit());
        valid.then(|| Self(number.to_owned()))
    }

    /// The number.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_dot_atom(local: &str) -> bool {
    local.split('.').all(|atom| {
        !atom.is_empty()
            && atom.bytes().all(|c| c.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&c))
    })
}

fn canonical_domain(domain: &str) -> Option<String> {
    if let Some(literal) = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address = literal.strip_prefix("IPv6:").unwrap_or(literal).parse::<std::net::IpAddr>().ok()?;
        return Some(match address {
            std::net::IpAddr::V4(v4) => format!("[{v4}]"),
            std::net::IpAddr::V6(v6) => format!("[IPv6:{v6}]"),
        });
    }
    let typed = domain;
    let domain = idna::domain_to_ascii_strict(typed).ok()?;
    // What UTS 46 maps to other characters is refused, or two spellings would be one address: a name in its own script
    // is taken in the form in which it would be shown, and no other.
    if !typed.is_ascii() && idna::domain_to_unicode(&domain).0 != typed.to_ascii_lowercase() {
        return None;
    }
    if domain == "localhost" {
        return Some(domain);
    }
    let labels: Vec<&str> = domain.split('.').collect();
    let valid = |label: &&str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
    };
    let top = labels.last()?;
    let named = labels.len() >= 2 && top.len() >= 2 && !top.bytes().all(|c| c.is_ascii_digit());
    (named && labels.iter().all(valid)).then_some(domain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn email(typed: &str) -> Option<String> {
        EmailAddress::parse(typed, 254).map(|address| address.as_str().to_owned())
    }

    #[test]
    fn h6_one_form_and_no_folding() {
        assert_eq!(email(" Alice+Tag@Example.ORG ").unwrap(), "alice+tag@example.org");
        assert_eq!(email("alice@exämple.org"), email("alice@XN--EXMPLE-CUA.org"));
        assert_eq!(email("alice@localhost").unwrap(), "alice@localhost");
        assert_eq!(email("alice@[127.0.0.1]").unwrap(), "alice@[127.0.0.1]");
        for folding in [
            "a@example\u{3002}org",
            "a@\u{ff45}xample.org",
            "a@EXÄMPLE.org",
            "mıke@example.org",
            "\u{212a}ate@example.org",
            "İstanbul@example.org",
            "ﬁle@example.org",
        ] {
            assert_eq!(email(folding), None, "{folding}");
        }
    }

    #[test]
    fn e6_what_is_no_address_is_refused() {
        for wrong in [
            "",
            "plain",
            "a@b",
            "@example.org",
            "alice@",
            "alice@@example.org",
            "a b@example.org",
            "\"a b\"@example.org",
            "alice@example.org\nBcc: victim@example.org",
            "alice@example.org,victim@example.org",
            "alice@-a.org",
            "Alice <alice@example.org>",
            ".alice@example.org",
            "al..ice@example.org",
            "alice@example.org\0",
            "a@b.c",
        ] {
            assert_eq!(email(wrong), None, "{wrong:?}");
        }
        assert_eq!(email(&format!("a@{}.org", "d".repeat(64))), None);
        assert_eq!(email(&format!("{}@example.org", "a".repeat(65))), None);
    }

    #[test]
    fn numbers_have_one_spelling() {
        assert_eq!(PhoneNumber::parse(" +31612345678 ").unwrap().as_str(), "+31612345678");
        for wrong in [
            "31612345678",
            "+31 6 1234-5678",
            "+0612345678",
            "+12345",
            "+1234567890123456",
            "+3161234567a",
            "+٣١٦١٢٣٤٥٦٧٨",
        ] {
            assert_eq!(PhoneNumber::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_is_stable(typed in "\\PC{0,60}") {
            if let Some(address) = EmailAddress::parse(&typed, 254) {
                prop_assert!(address.as_str().is_ascii());
                prop_assert_eq!(EmailAddress::parse(address.as_str(), 254), Some(address));
            }
            let _ = PhoneNumber::parse(&typed);
        }

        #[test]
        fn near_misses_never_panic(typed in "[a-zA-Z0-9.@\\[\\]:äı -]{0,40}") {
            if let Some(address) = EmailAddress::parse(&typed, 254) {
                prop_assert_eq!(EmailAddress::parse(address.as_str(), 254), Some(address));
            }
        }
    }
}
