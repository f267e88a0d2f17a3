//! The formats in which a hash may be stored: PHC strings of Argon2, and those that Django writes.
//!
//! Reading is strict: one spelling for each hash, and work factors under a ceiling. What passes here can be computed.

use std::str::FromStr;

use argon2::{Algorithm, Version};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};

use super::PasswordHash;
use super::params::{Argon2Params, BadParams, MAX_MEMORY_KIB};

/// Django 6.0 asks for 1.2 million; this many take about a second.
const MAX_PBKDF2_ROUNDS: u32 = 10_000_000;

/// Each step doubles the work: Django asks for 12 (a quarter of a second), this is some four seconds.
const MAX_BCRYPT_COST: u32 = 16;

/// The most that one scrypt hash may write, in KiB: some two seconds. Django asks for 81920.
const MAX_SCRYPT_WORK_KIB: u64 = 1024 * 1024;

/// Long enough for any salt that a hasher made, short enough to cost nothing.
const MAX_SALT_BYTES: usize = 128;

/// Bytes of salt in a new hash.
pub(super) const SALT_BYTES: usize = 16;

/// Bytes of output in a new hash.
pub(super) const OUTPUT_BYTES: usize = 32;

/// Why a stored hash cannot be computed. It goes to the log; to whoever logs in, it is a wrong password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadHash {
    /// It does not begin as any format that is known.
    #[error("the stored password hash has an unknown format")]
    Unknown,
    /// It begins as a known format, but is not one.
    #[error("the stored password hash is damaged")]
    Malformed,
    /// Its work factor is above the ceiling: computing it would be an attack on the machine.
    #[error("the stored password hash asks for more work than is allowed")]
    TooCostly,
}

/// Whether this can verify at all. A blank hash, or one that begins with `!`, stands for an account without a password.
#[must_use]
pub fn usable(hash: &str) -> bool {
    !hash.trim().is_empty() && !hash.starts_with('!')
}

/// Whether a login could be verified against this, for a hash that comes from elsewhere.
///
/// # Errors
/// [`BadHash`] if not.
pub fn check(hash: &str) -> Result<(), BadHash> {
    Stored::parse(hash).map(drop)
}

/// Whether to hash anew once the password is known: true for all but Argon2id PHC strings with exactly `params`.
#[must_use]
pub fn needs_rehash(hash: &PasswordHash, params: &Argon2Params) -> bool {
    let stored = hash.as_str();
    !matches!(Stored::parse(stored), Ok(Stored::Argon2(argon2))
        if stored.starts_with('$')
            && argon2.algorithm == Algorithm::Argon2id
            && argon2.version == Version::V0x13
            && argon2.params == *params
            && argon2.salt.len() >= SALT_BYTES
            && argon2.output.len() >= OUTPUT_BYTES)
}

/// The PHC string of an Argon2id hash.
pub(super) fn write(params: &Argon2Params, salt: &[u8], output: &[u8]) -> PasswordHash {
    let Argon2Params { memory_kib, iterations, parallelism } = params;
    let salt = BASE64_STANDARD_NO_PAD.encode(salt);
    let output = BASE64_STANDARD_NO_PAD.encode(output);
    PasswordHash(format!("$argon2id$v=19$m={memory_kib},t={iterations},p={parallelism}${salt}${output}"))
}

/// A stored hash, read and within its ceiling.
#[derive(PartialEq)]
pub(super) enum Stored<'a> {
    Argon2(Argon2Hash),
    /// Django's `pbkdf2_sha256` and `pbkdf2_sha1`.
    Pbkdf2 {
        digest: Pbkdf2Digest,
        rounds: u32,
        salt: &'a str,
        output: Vec<u8>,
    },
    /// Django's `bcrypt`, and `bcrypt_sha256`, which hashes first because bcrypt reads 72 bytes only.
    Bcrypt {
        prehash: bool,
        encoded: &'a str,
    },
    /// Django's `scrypt`, whose cost is 2 to the power of `log_n`.
    Scrypt {
        log_n: u8,
        r: u32,
        p: u32,
        salt: &'a str,
        output: Vec<u8>,
    },
    /// Django's `md5`: worth nothing, but an import may hold it, and the next login replaces it.
    Md5 {
        salt: &'a str,
        output: Vec<u8>,
    },
}

#[derive(PartialEq)]
pub(super) struct Argon2Hash {
    pub(super) algorithm: Algorithm,
    pub(super) version: Version,
    pub(super) params: Argon2Params,
    pub(super) salt: Vec<u8>,
    pub(super) output: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Pbkdf2Digest {
    Sha1,
    Sha256,
}

impl<'a> Stored<'a> {
    pub(super) fn parse(stored: &'a str) -> Result<Self, BadHash> {
        let (name, rest) = stored.split_once('$').ok_or(BadHash::Unknown)?;
        match name {
            "" | "argon2" => argon2(rest),
            "pbkdf2_sha256" => pbkdf2(Pbkdf2Digest::Sha256, 32, rest),
            "pbkdf2_sha1" => pbkdf2(Pbkdf2Digest::Sha1, 20, rest),
            "bcrypt_sha256" => bcrypt(true, rest),
            "bcrypt" => bcrypt(false, rest),
            "scrypt" => scrypt(rest),
            "md5" => md5(rest),
            _ => Err(BadHash::Unknown),
        }
    }
}

/// `argon2id$v=19$m=19456,t=2,p=1$salt$output`
fn argon2(rest: &str) -> Result<Stored<'_>, BadHash> {
    let [name, version, work, salt, output] = fields(rest)?;
    let algorithm = match name {
        "argon2id" => Algorithm::Argon2id,
        "argon2i" => Algorithm::Argon2i,
        _ => return Err(BadHash::Unknown),
    };
    let version = match version {
        "v=19" => Version::V0x13,
        "v=16" => Version::V0x10,
        _ => return Err(BadHash::Malformed),
    };
    let mut work = work.split(',');
    let mut factor = |name: &str| {
        let digits = work.next().and_then(|field| field.strip_prefix(name)).ok_or(BadHash::Malformed)?;
        number(digits)
    };
    let params =
        Argon2Params { memory_kib: factor("m=")?, iterations: factor("t=")?, parallelism: factor("p=")? };
    if work.next().is_some() {
        return Err(BadHash::Malformed);
    }
    params.check().map_err(|bad| match bad {
        BadParams::TooLittle => BadHash::Malformed,
        BadParams::TooMuch => BadHash::TooCostly,
    })?;
    let salt = BASE64_STANDARD_NO_PAD.decode(salt).map_err(|_| BadHash::Malformed)?;
    let output = BASE64_STANDARD_NO_PAD.decode(output).map_err(|_| BadHash::Malformed)?;
    // Below 8 bytes of salt Argon2 is not defined; a shorter output would be met by chance.
    if !(8..=MAX_SALT_BYTES).contains(&salt.len()) || !(16..=64).contains(&output.len()) {
        return Err(BadHash::Malformed);
    }
    Ok(Stored::Argon2(Argon2Hash { algorithm, version, params, salt, output }))
}

/// `rounds$salt$output`
fn pbkdf2(digest: Pbkdf2Digest, length: usize, rest: &str) -> Result<Stored<'_>, BadHash> {
    let [rounds, salt, output] = fields(rest)?;
    let rounds = number(rounds)?;
    let (salt, output) = (django_salt(salt)?, base64_of(output, length)?);
    match rounds {
        0 => Err(BadHash::Malformed),
        1..=MAX_PBKDF2_ROUNDS => Ok(Stored::Pbkdf2 { digest, rounds, salt, output }),
        _ => Err(BadHash::TooCostly),
    }
}

/// `$2b$12$salt-and-output`
fn bcrypt(prehash: bool, encoded: &str) -> Result<Stored<'_>, BadHash> {
    let parts = bcrypt::HashParts::from_str(encoded).map_err(|_| BadHash::Malformed)?;
    // `2x` marks hashes of an implementation with a fault, which would need the fault to verify.
    if encoded.starts_with("$2x$") || parts.get_cost() < 4 {
        return Err(BadHash::Malformed);
    }
    if parts.get_cost() > MAX_BCRYPT_COST {
        return Err(BadHash::TooCostly);
    }
    Ok(Stored::Bcrypt { prehash, encoded })
}

/// `n$salt$r$p$output`
fn scrypt(rest: &str) -> Result<Stored<'_>, BadHash> {
    let [n, salt, r, p, output] = fields(rest)?;
    let (n, r, p): (u32, u32, u32) = (number(n)?, number(r)?, number(p)?);
    let (salt, output) = (django_salt(salt)?, base64_of(output, 64)?);
    if n < 2 || !n.is_power_of_two() || r == 0 || p == 0 {
        return Err(BadHash::Malformed);
    }
    // N blocks of r times 128 bytes, p times over. Each factor is below 2^32, so that none of these saturates unseen.
    let memory_kib = u64::from(n).saturating_mul(u64::from(r)) / 8;
    let work_kib = memory_kib.max(u64::from(r) / 8).max(1).saturating_mul(u64::from(p));
    if memory_kib > u64::from(MAX_MEMORY_KIB) || work_kib > MAX_SCRYPT_WORK_KIB {
        return Err(BadHash::TooCostly);
    }
    let log_n = u8::try_from(n.ilog2()).map_err(|_| BadHash::Malformed)?;
    Ok(Stored::Scrypt { log_n, r, p, salt, output })
}

/// `salt$output`, in hexadecimal
fn md5(rest: &str) -> Result<Stored<'_>, BadHash> {
    let [salt, output] = fields(rest)?;
    let salt = django_salt(salt)?;
    let output = hex::decode(output).map_err(|_| BadHash::Malformed)?;
    if output.len() != 16 {
        return Err(BadHash::Malformed);
    }
    Ok(Stored::Md5 { salt, output })
}

/// Exactly `N` fields between dollar signs.
fn fields<const N: usize>(rest: &str) -> Result<[&str; N], BadHash> {
    rest.split('$').collect::<Vec<_>>().try_into().map_err(|_| BadHash::Malformed)
}

/// A decimal number without sign or leading zeros. One too large for its type is costly, not malformed.
fn number(digits: &str) -> Result<u32, BadHash> {
    let decimal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !decimal || (digits.starts_with('0') && digits.len() > 1) {
        return Err(BadHash::Malformed);
    }
    digits.parse().map_err(|_| BadHash::TooCostly)
}

fn django_salt(salt: &str) -> Result<&str, BadHash> {
    if (1..=MAX_SALT_BYTES).contains(&salt.len()) { Ok(salt) } else { Err(BadHash::Malformed) }
}

fn base64_of(text: &str, length: usize) -> Result<Vec<u8>, BadHash> {
    BASE64_STANDARD.decode(text).ok().filter(|bytes| bytes.len() == length).ok_or(BadHash::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PHC: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$\
                       9kHaqa8QyJ9ab6ExNNa29hFkBRO2p3OqAOAPPKOhLYY";

    fn refused(stored: &str) -> BadHash {
        Stored::parse(stored).err().unwrap_or_else(|| panic!("{stored} was read"))
    }

    #[test]
    fn p5_absurd_work_factors_are_refused() {
        for stored in [
            "pbkdf2_sha256$10000001$salt$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "pbkdf2_sha1$99999999999999999999$salt$AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "$argon2id$v=19$m=4294967295,t=4294967295,p=255$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
            "argon2$argon2id$v=19$m=262145,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
            "bcrypt$$2b$17$eEQf8K9gqtQjfPyj3ASmBObP/83gvJSpZLsdWdaeVP4ZMuINPXOsi",
            "bcrypt_sha256$$2b$31$eEQf8K9gqtQjfPyj3ASmBObP/83gvJSpZLsdWdaeVP4ZMuINPXOsi",
        ] {
            assert_eq!(refused(stored), BadHash::TooCostly, "{stored}");
        }
        let zeros = BASE64_STANDARD.encode([0; 64]);
        for factors in
            ["1048576$s$8$1", "16384$s$8$128", "2$s$4294967295$1", "2$s$1$4294967295", "2147483648$s$1$1"]
        {
            let stored = format!("scrypt${factors}${zeros}");
            assert_eq!(refused(&stored), BadHash::TooCostly, "{stored}");
        }
        assert!(Stored::parse(&format!("scrypt$131072$s$8$1${zeros}")).is_ok());
    }

    #[test]
    fn one_spelling_for_each_hash() {
        assert!(Stored::parse(PHC).is_ok());
        for (from, to) in [
            ("m=19456,t=2", "t=2,m=19456"),
            ("p=1", "p=1,x=1"),
            ("p=1", "p=+1"),
            ("p=1", "p=01"),
            ("t=2", "t=0"),
            ("v=19", "v=20"),
            ("p=1$", "p=1$$"),
            ("c29tZXNhbHRzb21lc2FsdA", "c29tZXNhbHRzb21lc2FsdA=="),
            ("c29tZXNhbHRzb21lc2FsdA", "c2FsdA"),
            ("9kHaqa8QyJ9ab6ExNNa29hFkBRO2p3OqAOAPPKOhLYY", "9kHaqa8Q"),
        ] {
            assert_eq!(refused(&PHC.replace(from, to)), BadHash::Malformed, "{from} -> {to}");
        }
        for stored in [
            "md5$$5b325b5e190c5204f5a01e4195e922c2",
            "md5$salt$5b325b",
            "pbkdf2_sha256$0$salt$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "pbkdf2_sha256$1_000$salt$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "bcrypt$$2x$12$eEQf8K9gqtQjfPyj3ASmBObP/83gvJSpZLsdWdaeVP4ZMuINPXOsi",
            "bcrypt$$2b$03$eEQf8K9gqtQjfPyj3ASmBObP/83gvJSpZLsdWdaeVP4ZMuINPXOsi",
            "bcrypt$",
        ] {
            assert_eq!(refused(stored), BadHash::Malformed, "{stored}");
        }
        for stored in ["", "!", "plain text", "sha1$salt$00", "$argon2d$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAA"] {
            assert_eq!(refused(stored), BadHash::Unknown, "{stored}");
        }
    }

    #[test]
    fn p6_blank_and_marked_hashes_are_unusable() {
        for stored in ["", " ", "\n", "!", "!BLSxh7J2JFZNzEkHnxVWQVTIoHbUloLDL5VxIYQj"] {
            assert!(!usable(stored), "{stored:?}");
        }
        assert!(usable(PHC));
        assert!(usable("nonsense"), "nonsense is a fault to log, not an account without a password");
    }

    #[test]
    fn p5_everything_but_the_current_argon2id_is_upgraded() {
        let params = Argon2Params::default();
        let rehash = |stored: &str| needs_rehash(&PasswordHash::from_stored(stored.to_owned()), &params);
        assert!(!rehash(PHC));
        assert!(!needs_rehash(&write(&params, &[1; SALT_BYTES], &[2; OUTPUT_BYTES]), &params));
        assert!(rehash(&format!("argon2{PHC}")), "Django's spelling");
        for (from, to) in [("argon2id", "argon2i"), ("v=19", "v=16"), ("t=2", "t=3"), ("m=19456", "m=19457")]
        {
            assert!(rehash(&PHC.replace(from, to)), "{to}");
        }
        for stored in ["", "!", "nonsense", "md5$s$5b325b5e190c5204f5a01e4195e922c2"] {
            assert!(rehash(stored), "{stored}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(stored in ".*") {
            let _ = Stored::parse(&stored);
        }

        #[test]
        fn reading_what_looks_like_a_hash_never_panics(
            name in "(argon2|argon2\\$argon2id|\\$argon2i|pbkdf2_sha256|pbkdf2_sha1|bcrypt|bcrypt_sha256|scrypt|md5)",
            rest in "(\\$(v=19|m=[0-9]{1,11},t=[0-9]{1,11},p=[0-9]{1,3}|\\$2b\\$[0-9é]{2}|[0-9]{1,12}|[A-Za-z0-9+/=é]{0,60})){0,6}",
        ) {
            let _ = Stored::parse(&format!("{name}{rest}"));
        }
    }
}
