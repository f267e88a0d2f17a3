//! How much work one Argon2 hash is, and how much is too much.

/// The most memory that one hash may take, in KiB. Django's own setting is 100 MiB.
pub(super) const MAX_MEMORY_KIB: u32 = 256 * 1024;

/// The most memory that one hash may write, over all its iterations, in KiB: some three seconds of one core.
const MAX_WORK_KIB: u64 = 2 * 1024 * 1024;

/// The most lanes. Lanes are computed one after the other, so that they change the hash, not the load.
const MAX_PARALLELISM: u32 = 64;

/// The work factors of Argon2id. The default is OWASP's: 19 MiB, 2 iterations, 1 lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Params {
    /// Memory that one hash fills, in KiB: 8 for each lane, to 262144.
    pub memory_kib: u32,
    /// How often it fills that memory: at least once; `memory_kib` times `iterations` is at most 2097152.
    pub iterations: u32,
    /// Lanes of that memory: 1 to 64.
    pub parallelism: u32,
}

impl Argon2Params {
    /// Whether a hash of this kind would be computed at all: the same bounds hold for new hashes and for stored ones.
    ///
    /// # Errors
    /// [`BadParams`], which names the bound.
    pub fn check(&self) -> Result<(), BadParams> {
        let work = u64::from(self.memory_kib) * u64::from(self.iterations);
        if self.parallelism == 0 || self.iterations == 0 || self.memory_kib / 8 < self.parallelism {
            Err(BadParams::TooLittle)
        } else if self.parallelism > MAX_PARALLELISM
            || self.memory_kib > MAX_MEMORY_KIB
            || work > MAX_WORK_KIB
        {
            Err(BadParams::TooMuch)
        } else {
            Ok(())
        }
    }
}

impl Default for Argon2Params {
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, iterations: 2, parallelism: 1 }
    }
}

/// Argon2 parameters outside their bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadParams {
    /// Less than Argon2 is defined for.
    #[error("argon2 needs at least 1 iteration, a parallelism of 1, and 8 KiB of memory for each of these")]
    TooLittle,
    /// More than one login may cost.
    #[error(
        "argon2 takes at most 262144 KiB of memory, a parallelism of 64, and 2097152 KiB times iterations: \
         more would let few logins occupy the machine"
    )]
    TooMuch,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_at_both_ends_and_never_overflow() {
        let of = |memory_kib, iterations, parallelism| {
            Argon2Params { memory_kib, iterations, parallelism }.check()
        };
        assert_eq!(Argon2Params::default().check(), Ok(()));
        assert_eq!(of(102_400, 2, 8), Ok(()), "Django's default");
        assert_eq!(of(8, 1, 1), Ok(()));
        assert_eq!(of(262_144, 8, 64), Ok(()));
        for little in [of(7, 1, 1), of(8, 0, 1), of(8, 1, 0), of(100, 1, 13)] {
            assert_eq!(little, Err(BadParams::TooLittle));
        }
        for much in [of(262_145, 1, 1), of(262_144, 9, 1), of(8192, 1, 65), of(8, u32::MAX, 1)] {
            assert_eq!(much, Err(BadParams::TooMuch));
        }
        assert!(of(u32::MAX, u32::MAX, u32::MAX).is_err());
    }
}
