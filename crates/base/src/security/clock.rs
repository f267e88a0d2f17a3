//! Time, as a parameter: the server reads the system's clock, tests move one of their own.

use std::fmt::Debug;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::UNIX_EPOCH;

/// Milliseconds since 1970-01-01T00:00:00Z, as stored in the database.
pub type Millis = i64;

/// One second in [`Millis`].
pub const SECOND: Millis = 1000;

/// The only way to ask what time it is.
pub trait Clock: Debug + Send + Sync {
    /// The present moment.
    fn now(&self) -> Millis;
}

/// The clock of the operating system.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    fn now(&self) -> Millis {
        // A clock set before 1970 reads as 1970: nothing panics, and whatever was issued later has not expired.
        std::time::SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that stands still until it is told to move.
#[derive(Debug)]
pub struct TestClock(AtomicI64);

impl TestClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: Millis) -> Self {
        Self(AtomicI64::new(now))
    }

    /// Moves the clock by `by` milliseconds; negative values go back.
    pub fn advance(&self, by: Millis) {
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Millis {
        self.0.load(Ordering::SeqCst)
    }
}
