//! Usernames: which ones can be taken, how they are compared, and how one is made up.

use vestibule_base::config::Account;
use vestibule_base::security::NoEntropy;
use vestibule_base::security::random;

use crate::refusal::Problem;

const LONGEST: usize = 150;

/// A name that may be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// Takes what somebody typed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(account: &Account, typed: &str) -> Result<Self, Problem> {
        let name = typed.trim();
        let length = name.chars().count();
        if length < account.username_min_length as usize {
            return Err(Problem::min_length(account.username_min_length));
        }
        let key = key(name);
        if account.username_blacklist.iter().any(|kept| self::key(kept) == key) {
            return Err(Problem::username_blacklisted());
        }
        Self::existing(account, name)
    }

    /// Takes the name of somebody who has it already, elsewhere: what nobody may choose, they may keep.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn existing(account: &Account, name: &str) -> Result<Self, Problem> {
        let name = name.trim();
        if name.is_empty() {
            return Err(Problem::min_length(1));
        }
        if name.chars().count() > LONGEST {
            return Err(Problem::max_length(150));
        }
        if !name.chars().all(|c| c.is_alphanumeric() || "_@.+-".contains(c)) {
            return Err(Problem::username_invalid());
        }
        Ok(Self(if account.preserve_username_casing { name.to_owned() } else { key(name) }))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which names are compared.
    #[must_use]
    pub fn key(&self) -> String {
        key(&self.0)
    }
}

/// The form in which names are compared: ASCII letters in lower case. Others are not folded: which letters Unicode
/// makes equal depends on its version, and has taken over accounts (CVE-2019-19844).
#[must_use]
pub fn key(name: &str) -> String {
    name.trim().to_ascii_lowercase()
}

/// A name for somebody who chose none, from `base`; from the second try on with a random ending. `None` if it is one of
/// those that nobody can take.
///
/// # Errors
/// [`NoEntropy`].
pub fn make_up(account: &Account, base: &str, attempt: u32) -> Result<Option<Username>, NoEntropy> {
    let mut name: String = base
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "_.+-".contains(*c))
        .take(LONGEST - 10)
        .collect::<String>()
        .to_ascii_lowercase();
    if name.is_empty() {
        name.push_str("user");
    }
    if attempt > 0 {
        name.push_str(&random::text(b"0123456789", (attempt as usize * 2).min(9))?);
    }
    while name.len() < account.username_min_length as usize && name.len() < LONGEST {
        name.push_str(&random::text(b"0123456789", 1)?);
    }
    Ok(Username::parse(account, &name).ok())
}
