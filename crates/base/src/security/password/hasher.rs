//! Computes hashes, on the thread that calls. It keeps Argon2's memory from one hash to the next until told to let go.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use sha2::Digest;

use super::formats::{self, Argon2Hash, OUTPUT_BYTES, Pbkdf2Digest, SALT_BYTES, Stored, usable};
use super::params::Argon2Params;
use super::pool::HashError;
use super::{Password, PasswordHash};
use crate::security::{random, same};

/// From this size on, allocators ask the system for memory and give it back when it is freed, where they would else
/// keep it for themselves: glibc's moving threshold ends at 32 MiB. Blocks that are not touched take no memory.
const RETURNED_WHEN_FREED: usize = 33 * 1024;

/// One thread's hashing. Starts without memory.
#[derive(Default)]
pub(super) struct Hasher {
    blocks: Vec<Block>,
}

impl Hasher {
    /// Hashes with Argon2id and a new salt.
    pub(super) fn hash(
        &mut self,
        password: &Password,
        params: &Argon2Params,
    ) -> Result<PasswordHash, HashError> {
        let salt = random::bytes::<SALT_BYTES>().map_err(|_| HashError::Failed)?;
        let mut output = [0; OUTPUT_BYTES];
        self.argon2(Algorithm::Argon2id, Version::V0x13, params, password, &salt, &mut output)?;
        Ok(formats::write(params, &salt, &output))
    }

    /// Does the work of a verification for nothing, so that there being nothing to verify cannot be told by the clock.
    pub(super) fn spend(&mut self, password: &Password, params: &Argon2Params) -> Result<(), HashError> {
        let mut output = [0; OUTPUT_BYTES];
        self.argon2(Algorithm::Argon2id, Version::V0x13, params, password, &[0; SALT_BYTES], &mut output)?;
        std::hint::black_box(output);
        Ok(())
    }

    /// Whether `stored` is a hash of this password. Where there is no hash that can be computed, it spends the work of
    /// one with `params`; if that is a fault of the stored hash, it is logged.
    pub(super) fn verify(
        &mut self,
        password: &Password,
        stored: Option<&PasswordHash>,
        params: &Argon2Params,
    ) -> Result<bool, HashError> {
        let Some(stored) = stored.filter(|hash| usable(hash.as_str())) else {
            return self.spend(password, params).map(|()| false);
        };
        match Stored::parse(stored.as_str()) {
            Ok(stored) => self.matches(password, &stored),
            Err(bad) => {
                tracing::warn!(reason = %bad, "a login was refused because of what is stored");
                self.spend(password, params).map(|()| false)
            }
        }
    }

    /// Gives back what is held above the need of `params`.
    pub(super) fn shrink(&mut self, params: &Argon2Params) {
        if u32::try_from(self.blocks.len()).is_ok_and(|blocks| blocks > params.memory_kib) {
            self.release();
        }
    }

    /// Gives back all memory.
    pub(super) fn release(&mut self) {
        self.blocks = Vec::new();
    }

    /// Whether there is anything to give back.
    pub(super) fn holds_memory(&self) -> bool {
        !self.blocks.is_empty()
    }

    fn matches(&mut self, password: &Password, stored: &Stored<'_>) -> Result<bool, HashError> {
        let typed = password.expose().as_bytes();
        Ok(match stored {
            Stored::Argon2(Argon2Hash { algorithm, version, params, salt, output }) => {
                let mut computed = vec![0; output.len()];
                self.argon2(*algorithm, *version, params, password, salt, &mut computed)?;
                same(&computed, output)
            }
            Stored::Pbkdf2 { digest, rounds, salt, output } => {
                let mut computed = vec![0; output.len()];
                match digest {
                    Pbkdf2Digest::Sha1 => {
                        pbkdf2::pbkdf2_hmac::<sha1::Sha1>(typed, salt.as_bytes(), *rounds, &mut computed);
                    }
                    Pbkdf2Digest::Sha256 => {
                        pbkdf2::pbkdf2_hmac::<sha2::Sha256>(typed, salt.as_bytes(), *rounds, &mut computed);
                    }
                }
                same(&computed, output)
            }
            // bcrypt reads 72 bytes and no more; whoever had a longer password keeps it until it is hashed anew.
            Stored::Bcrypt { prehash: false, encoded } => bcrypt::verify(typed, encoded).unwrap_or(false),
            Stored::Bcrypt { prehash: true, encoded } => {
                bcrypt::verify(hex::encode(sha2::Sha256::digest(typed)), encoded).unwrap_or(false)
            }
            Stored::Scrypt { log_n, r, p, salt, output } => {
                let params = scrypt::Params::new(*log_n, *r, *p).map_err(|_| HashError::Failed)?;
                let mut computed = vec![0; output.len()];
                scrypt::scrypt(typed, salt.as_bytes(), &params, &mut computed)
                    .map_err(|_| HashError::Failed)?;
                same(&computed, output)
            }
            Stored::Md5 { salt, output } => {
                same(&md5::Md5::new().chain_update(salt).chain_update(typed).finalize(), output)
            }
        })
    }

    fn argon2(
        &mut self,
        algorithm: Algorithm,
        version: Version,
        params: &Argon2Params,
        password: &Password,
        salt: &[u8],
        output: &mut [u8],
    ) -> Result<(), HashError> {
        let params =
            Params::new(params.memory_kib, params.iterations, params.parallelism, Some(output.len()))
                .map_err(|_| HashError::Failed)?;
        let blocks = self.lend(params.block_count())?;
        Argon2::new(algorithm, version, params)
            .hash_password_into_with_memory(password.expose().as_bytes(), salt, output, blocks)
            .map_err(|_| HashError::Failed)
    }

    /// `count` blocks of 1 KiB. What they hold does not matter: Argon2 writes each before it reads it.
    fn lend(&mut self, count: usize) -> Result<&mut [Block], HashError> {
        if self.blocks.len() < count {
            self.release();
            let reserved = count.max(RETURNED_WHEN_FREED);
            self.blocks.try_reserve_exact(reserved).map_err(|_| HashError::Failed)?;
            self.blocks.resize(count, Block::new());
        }
        self.blocks.get_mut(..count).ok_or(HashError::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    const QUICK: Argon2Params = Argon2Params { memory_kib: 64, iterations: 1, parallelism: 1 };

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../../tests/vectors/django_password_hashes.json")).unwrap()
    }

    fn verifies(password: &str, stored: &str) -> bool {
        let stored = PasswordHash::from_stored(stored.to_owned());
        Hasher::default().verify(&Password::parse(password).unwrap(), Some(&stored), &QUICK).unwrap()
    }

    /// PBKDF2 is generic and compiled here, without optimisation in debug builds: there, one row of each other
    /// algorithm at its full work is enough. The cheap rows have the same passwords.
    fn rows(vectors: &Value) -> Vec<&Value> {
        let full = vectors["valid"].as_array().unwrap();
        let mut seen = Vec::new();
        let chosen = full.iter().filter(|row| {
            let algorithm = row["algorithm"].as_str().unwrap();
            let first = !seen.contains(&algorithm);
            seen.push(algorithm);
            let slow = matches!(Stored::parse(row["encoded"].as_str().unwrap()),
                Ok(Stored::Pbkdf2 { rounds, .. }) if rounds > 50_000);
            !cfg!(debug_assertions) || algorithm == "md5" || (!slow && (first || row["note"].is_string()))
        });
        vectors["cheap"].as_array().unwrap().iter().chain(chosen).collect()
    }

    #[test]
    fn p5_hashes_of_every_django_hasher_verify() {
        let vectors = vectors();
        let rows = rows(&vectors);
        assert!(rows.len() > 100, "{}", rows.len());
        for row in rows {
            let password = vectors["passwords"][row["password_id"].as_str().unwrap()].as_str().unwrap();
            assert!(verifies(password, row["encoded"].as_str().unwrap()), "{row}");
        }
    }

    #[test]
    fn p5_other_passwords_do_not_verify() {
        let vectors = vectors();
        for row in vectors["cheap"].as_array().unwrap() {
            let password = vectors["passwords"][row["password_id"].as_str().unwrap()].as_str().unwrap();
            let encoded = row["encoded"].as_str().unwrap();
            let other = format!("x{}", password.get(1..).unwrap_or_default());
            assert!(password == other || !verifies(&other, encoded), "{row}");
            assert!(!verifies("", encoded), "{row}");
        }
    }

    #[test]
    fn p6_what_must_not_verify_does_not() {
        let vectors = vectors();
        for row in vectors["must_not_verify"].as_array().unwrap() {
            let password = row["password"]
                .as_str()
                .or_else(|| vectors["passwords"][row["password_id"].as_str()?].as_str())
                .unwrap();
            let encoded = row["encoded"].as_str().unwrap();
            let slow = matches!(Stored::parse(encoded), Ok(Stored::Pbkdf2 { .. }));
            assert!((cfg!(debug_assertions) && slow) || !verifies(password, encoded), "{row}");
        }
        for row in vectors["unusable"].as_array().unwrap() {
            assert!(!verifies("", row.as_str().unwrap()));
        }
    }

    #[test]
    fn a_new_hash_verifies_and_its_salt_is_its_own() {
        let password = Password::parse("correct horse").unwrap();
        let mut hasher = Hasher::default();
        let first = hasher.hash(&password, &QUICK).unwrap();
        let second = hasher.hash(&password, &QUICK).unwrap();
        assert!(first.as_str().starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
        assert_ne!(first.as_str(), second.as_str());
        assert!(!formats::needs_rehash(&first, &QUICK));
        assert!(verifies("correct horse", first.as_str()));
        assert!(!verifies("correct horse ", first.as_str()));
    }

    #[test]
    fn memory_is_kept_to_the_need_of_a_new_hash() {
        let password = Password::parse("p").unwrap();
        let mut hasher = Hasher::default();
        let large = hasher.hash(&password, &Argon2Params { memory_kib: 4096, ..QUICK }).unwrap();
        hasher.shrink(&QUICK);
        assert!(!hasher.holds_memory());
        assert!(hasher.verify(&password, None, &QUICK).is_ok_and(|matched| !matched));
        hasher.shrink(&QUICK);
        assert!(hasher.holds_memory(), "it was just enough");
        let fresh = Hasher::default().hash(&password, &QUICK).unwrap();
        assert!(hasher.verify(&password, Some(&large), &QUICK).unwrap(), "memory grows when needed");
        assert!(hasher.verify(&password, Some(&fresh), &QUICK).unwrap(), "what was in it does not show");
    }

    proptest! {
        #[test]
        fn random_texts_never_verify(stored in "[ -~]{0,80}", password in "[^\0]{0,20}") {
            prop_assert!(!verifies(&password, &stored));
            prop_assert!(!verifies(&stored, &stored));
        }
    }
}
