//! Rates in allauth's notation, `"10/m/ip,5/5m/key"`, as a type.

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// So many times in a window, counted by something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How often; with 0, never.
    pub amount: u32,
    /// The window in milliseconds, at least 1.
    pub window_ms: i64,
    /// By what it counts.
    pub per: Per,
}

/// By what a rate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Per {
    /// The client's address (IPv6: its network).
    Ip,
    /// The user who is logged in.
    User,
    /// What the action aims at: an account, an address, a number.
    Key,
}

/// Several rates that must all hold. Empty: no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates(pub Vec<Rate>);

/// A text that is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no rate; one looks like \"5/10m/ip\": AMOUNT/WINDOW/PER, window in s, m, h or d, per ip, user or key"
)]
pub struct NotARate(String);

const UNITS: [(char, i64); 4] = [('d', 86_400_000), ('h', 3_600_000), ('m', 60_000), ('s', 1_000)];
const LONGEST_MS: i64 = 366 * 86_400_000;

impl Rates {
    /// The rates as a slice.
    #[must_use]
    pub fn as_slice(&self) -> &[Rate] {
        &self.0
    }
}

impl FromStr for Rate {
    type Err = NotARate;

    fn from_str(text: &str) -> Result<Self, NotARate> {
        let refuse = || NotARate(text.to_owned());
        let mut parts = text.split('/');
        let (Some(amount), Some(window)) = (parts.next(), parts.next()) else { return Err(refuse()) };
        let per = match parts.next() {
            None | Some("ip") => Per::Ip,
            Some("user") => Per::User,
            Some("key") => Per::Key,
            Some(_) => return Err(refuse()),
        };
        let digits_only = !amount.is_empty() && amount.bytes().all(|b| b.is_ascii_digit());
        if parts.next().is_some() || !digits_only {
            return Err(refuse());
        }
        Ok(Self {
            amount: amount.parse().map_err(|_| refuse())?,
            window_ms: window_ms(window).ok_or_else(refuse)?,
            per,
        })
    }
}

/// `"10m"`, `"m"`, `"1.5h"` in milliseconds.
fn window_ms(text: &str) -> Option<i64> {
    let unit = text.chars().next_back()?;
    let &(_, unit_ms) = UNITS.iter().find(|&&(letter, _)| letter == unit)?;
    let number = text.strip_suffix(unit)?;
    if number.is_empty() {
        return Some(unit_ms);
    }
    if !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let ms = (number.parse::<f64>().ok()? * unit_ms as f64).round();
    (1.0..=LONGEST_MS as f64).contains(&ms).then_some(ms as i64)
}

impl FromStr for Rates {
    type Err = NotARate;

    fn from_str(text: &str) -> Result<Self, NotARate> {
        let mut rates = Vec::new();
        if text.trim().is_empty() {
            return Ok(Self(rates));
        }
        for part in text.split(',') {
            let rate: Rate = part.trim().parse()?;
            if !rates.contains(&rate) {
                rates.push(rate);
            }
        }
        Ok(Self(rates))
    }
}

impl fmt::Display for Per {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ip => "ip",
            Self::User => "user",
            Self::Key => "key",
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.amount)?;
        match UNITS.iter().find(|&&(_, ms)| self.window_ms % ms == 0) {
            Some(&(unit, ms)) if self.window_ms == ms => write!(f, "{unit}")?,
            Some(&(unit, ms)) => write!(f, "{}{unit}", self.window_ms / ms)?,
            None => write!(f, "{}.{:03}s", self.window_ms / 1000, self.window_ms % 1000)?,
        }
        write!(f, "/{}", self.per)
    }
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, rate) in self.0.iter().enumerate() {
            write!(f, "{}{rate}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Rates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Rates;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a rate like \"5/10m/ip\", or false")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Rates, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_bool<E: de::Error>(self, limited: bool) -> Result<Rates, E> {
                match limited {
                    false => Ok(Rates::default()),
                    true => Err(E::invalid_value(de::Unexpected::Bool(true), &self)),
                }
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl Serialize for Rates {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_the_notation() {
        let rates: Rates = " 10/m/ip, 5/5m/key,5/300s/key,3/d ".parse().unwrap();
        assert_eq!(
            rates.0,
            [
                Rate { amount: 10, window_ms: 60_000, per: Per::Ip },
                Rate { amount: 5, window_ms: 300_000, per: Per::Key },
                Rate { amount: 3, window_ms: 86_400_000, per: Per::Ip },
            ]
        );
        assert_eq!(rates.to_string(), "10/m/ip,5/5m/key,3/d/ip");
        assert_eq!("".parse::<Rates>().unwrap(), Rates::default());
        assert_eq!("1/0.5s/user".parse::<Rate>().unwrap().window_ms, 500);
    }

    #[test]
    fn refuses_what_is_no_rate() {
        for wrong in
            ["5", "5/m/who", "5/m/ip/x", "-5/m", "+5/m", "5/", "5/x", "/m", "5/0s", "5/infs", "5/1e9d", ","]
        {
            assert!(wrong.parse::<Rates>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC*") {
            let _ = text.parse::<Rates>();
        }

        #[test]
        fn never_panics_near_the_notation(text in "[0-9./smhdipukey, é]{0,40}") {
            let _ = text.parse::<Rates>();
        }

        #[test]
        fn prints_what_it_reads(amount: u32, window_ms in 1..=LONGEST_MS, whole: bool, per in 0..3) {
            let window_ms = if whole { (window_ms / 1000).max(1) * 1000 } else { window_ms };
            let per = [Per::Ip, Per::User, Per::Key][per as usize];
            let rate = Rate { amount, window_ms, per };
            prop_assert_eq!(rate.to_string().parse::<Rate>(), Ok(rate));
        }
    }
}
