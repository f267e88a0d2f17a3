//! Rate limits, exact under concurrency and shared by all instances, since they count in the database.
//!
//! A limit holds for every window of its length, not for windows on the clock: the hits of the last window are kept.
//! Large limits keep them in groups of a thousandth of the window, so that a counter stays small; a group counts
//! until its last moment is out of the window, so that no window ever holds more hits than allowed.

use sha2::{Digest as _, Sha256};

use crate::config::{Per, Rate};
use crate::security::{Digest, Millis};
use crate::storage::{Conn, StorageError, limits};

/// How many groups a counter may have before hits are put together.
const EXACT: u32 = 1000;
const PAIR: usize = 12;

/// Whose hits are counted.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The client's network.
    pub ip: &'a str,
    /// The user who acts or is acted upon.
    pub user: Option<i64>,
    /// The account, address or number that is aimed at.
    pub key: Option<&'a str>,
}

/// Hits that were counted, to be taken back where they turn out not to count.
#[derive(Debug, Default, Clone)]
pub struct Usage(Vec<(Per, Digest, Millis)>);

/// Counts one hit for each rate of an action, in order. `None`: one of them is used up, and the action is refused.
///
/// # Errors
/// [`StorageError`]: then the action must be refused, too.
pub async fn take(
    tx: &mut Conn,
    action: &str,
    rates: &[Rate],
    subject: Subject<'_>,
    now: Millis,
) -> Result<Option<Usage>, StorageError> {
    let mut usage = Usage::default();
    for rate in rates {
        let bucket = bucket(action, rate, subject);
        let mut hits = Hits::read(&limits::lock(tx, &bucket, now.saturating_add(rate.window_ms)).await?);
        let Some(slot) = hits.take(rate, now) else { return Ok(None) };
        limits::put(tx, &bucket, hits.write()).await?;
        usage.0.push((rate.per, bucket, slot));
    }
    Ok(Some(usage))
}

/// Whether [`take`] would count a hit, without counting one.
///
/// # Errors
/// [`StorageError`].
pub async fn would_take(
    conn: &mut Conn,
    action: &str,
    rates: &[Rate],
    subject: Subject<'_>,
    now: Millis,
) -> Result<bool, StorageError> {
    for rate in rates {
        let mut hits = Hits::read(&limits::peek(conn, &bucket(action, rate, subject)).await?);
        if hits.take(rate, now).is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Takes back the hits of `usage`; counters by key are emptied, since whoever they protect has shown up.
///
/// # Errors
/// [`StorageError`].
pub async fn forgive(tx: &mut Conn, usage: Usage) -> Result<(), StorageError> {
    for (per, bucket, slot) in usage.0 {
        if per == Per::Key {
            limits::clear(tx, &bucket).await?;
            continue;
        }
        if let Some(stored) = limits::lock_existing(tx, &bucket).await? {
            let mut hits = Hits::read(&stored);
            if hits.give_back(slot) {
                limits::put(tx, &bucket, hits.write()).await?;
            }
        }
    }
    Ok(())
}

/// Empties the counters of an action by key.
///
/// # Errors
/// [`StorageError`].
pub async fn clear(tx: &mut Conn, action: &str, rates: &[Rate], key: &str) -> Result<(), StorageError> {
    let subject = Subject { ip: "", user: None, key: Some(key) };
    for rate in rates.iter().filter(|rate| rate.per == Per::Key) {
        limits::clear(tx, &bucket(action, rate, subject)).await?;
    }
    Ok(())
}

fn bucket(action: &str, rate: &Rate, subject: Subject<'_>) -> Digest {
    let whose = match (rate.per, subject.user, subject.key) {
        (Per::User, Some(user), _) => format!("user:{user}"),
        (Per::Key, _, Some(key)) => format!("key:{key}"),
        // A rule by something that this request has not is no hole: it counts by network.
        _ => format!("ip:{}", subject.ip),
    };
    Sha256::digest(format!("{action}\n{rate}\n{whose}")).into()
}

/// The hits of a window: moments and how many there were, newest last.
struct Hits(Vec<(Millis, u32)>);

impl Hits {
    fn read(stored: &[u8]) -> Self {
        let pairs = stored.chunks_exact(PAIR).filter_map(|pair| {
            let (at, count) = pair.split_first_chunk::<8>()?;
            Some((i64::from_be_bytes(*at), u32::from_be_bytes(count.try_into().ok()?)))
        });
        Self(pairs.collect())
    }

    fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len() * PAIR);
        for (at, count) in &self.0 {
            out.extend(at.to_be_bytes());
            out.extend(count.to_be_bytes());
        }
        out
    }

    /// Counts a hit at `now`, if there is room; gives the group it went to.
    fn take(&mut self, rate: &Rate, now: Millis) -> Option<Millis> {
        let group = if rate.amount > EXACT { (rate.window_ms / i64::from(EXACT)).max(1) } else { 1 };
        // Instances' clocks differ a little, so that a hit may lie ahead. One that lies further ahead than a window comes
        // from a clock that was set back since; would it count, it would lock out until the clock shows that time again.
        let (oldest, newest) = (now.saturating_sub(rate.window_ms), now.saturating_add(rate.window_ms));
        self.0.retain(|(at, _)| *at > oldest && *at <= newest);
        let used: u64 = self.0.iter().map(|(_, count)| u64::from(*count)).sum();
        if used >= u64::from(rate.amount) {
            return None;
        }
        let slot =
            if group == 1 { now } else { now.div_euclid(group).saturating_add(1).saturating_mul(group) };
        match self.0.iter_mut().find(|(at, _)| *at == slot) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.0.push((slot, 1)),
        }
        Some(slot)
    }

    fn give_back(&mut self, slot: Millis) -> bool {
        let Some(at) = self.0.iter().position(|(at, count)| *at == slot && *count > 0) else { return false };
        if let Some((_, count)) = self.0.get_mut(at) {
            *count -= 1;
        }
        self.0.retain(|(_, count)| *count > 0);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    #[test]
    fn e2_each_window_of_a_rule_has_its_own_counter() {
        let subject = Subject { ip: "192.0.2.1", user: None, key: Some("a") };
        let names =
            ["5/m/key", "5/5m/key", "5/m/ip"].map(|text| bucket("login_failed", &rate(text), subject));
        assert_ne!(names[0], names[1]);
        assert_ne!(names[0], names[2]);
        assert_ne!(bucket("login", &rate("5/m/key"), subject), names[0]);
    }

    #[test]
    fn x6_a_clock_set_back_locks_nobody_out_for_ever() {
        let (rate, now, day) = (rate("1/m/key"), 1_000_000_000_000, 86_400_000);
        let mut hits = Hits(vec![]);
        assert!(hits.take(&rate, now).is_some());
        // A refusal is not always written down: the hits are read again as they were.
        let stored = hits.write();
        assert!(Hits::read(&stored).take(&rate, now - 59_000).is_none(), "the clock of another instance");
        assert!(Hits::read(&stored).take(&rate, now + 59_999).is_none());
        assert!(Hits::read(&stored).take(&rate, now - day).is_some(), "the clock was set back");
    }

    proptest! {
        #[test]
        fn no_window_holds_more_than_allowed(amount in 1u32..3000, steps in prop::collection::vec(0i64..400, 1..600)) {
            let rate = Rate { amount, window_ms: 10_000, per: Per::Key };
            let (mut hits, mut now, mut allowed) = (Hits(vec![]), 1_000_000_000_000, Vec::new());
            for step in steps {
                now += step;
                hits = Hits::read(&hits.write());
                for _ in 0..20 {
                    if hits.take(&rate, now).is_some() {
                        allowed.push(now);
                    }
                }
                let inside = allowed.iter().filter(|at| **at > now - 10_000).count();
                prop_assert!(inside <= amount as usize);
                prop_assert!(hits.0.len() <= 1100);
            }
        }

        #[test]
        fn reading_never_panics(stored in prop::collection::vec(any::<u8>(), 0..100), now: i64) {
            let _ = Hits::read(&stored).take(&Rate { amount: 2000, window_ms: 60_000, per: Per::Ip }, now);
        }
    }
}
