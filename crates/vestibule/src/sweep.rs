//! Clearing away what has expired.

use std::time::Duration;

use tokio::sync::watch;
use vestibule_base::security::Millis;
use vestibule_base::security::clock::SECOND;
use vestibule_base::storage::{
    StorageError, deliveries, events, instances, limits, links, provider_flows, sessions, social, trust,
};

use crate::Vestibule;

/// How often what has expired is cleared away, and how much of it at a time.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
const SWEEP_AT_ONCE: i64 = 500;
/// For this long after one instance has begun, no other one does: a little less, so that the same one may be next.
const SWEEP_LEASE: Millis = 55 * SECOND;
/// How much longer than they are worth anything it is remembered which proofs are spent: the clock may go back (X6).
const SPENT_KEPT: Millis = 24 * 3600 * SECOND;

impl Vestibule {
    /// Every minute, until `stop` says true.
    pub(crate) async fn sweep(&self, mut stop: watch::Receiver<bool>) {
        loop {
            if let Err(error) = self.sweep_once().await {
                tracing::warn!(%error, "what has expired could not be cleared away");
            }
            tokio::select! {
                () = tokio::time::sleep(SWEEP_EVERY) => {}
                changed = stop.wait_for(|stop| *stop) => { drop(changed); return; }
            }
        }
    }

    /// Unless another instance has just done so: two at once would be in each other's way, and do no harm. Small
    /// transactions of one kind each, so that nobody waits long for one, or it for somebody who waits for it.
    async fn sweep_once(&self) -> Result<(), StorageError> {
        let now = self.ctx.clock.now();
        let mut tx = self.ctx.db.write().await?;
        let mine = instances::take_lease(&mut tx, "sweep", now, now.saturating_add(SWEEP_LEASE)).await?;
        tx.commit().await?;
        if !mine {
            return Ok(());
        }
        macro_rules! sweep {
            ($($purge:path, $before:expr;)*) => {
                $(loop {
                    let mut tx = self.ctx.db.write().await?;
                    let gone = $purge(&mut tx, $before, SWEEP_AT_ONCE).await?;
                    tx.commit().await?;
                    if gone == 0 {
                        break;
                    }
                })*
            };
        }
        sweep! {
            sessions::purge, now;
            links::purge, now;
            limits::purge, now;
            trust::purge, now;
            provider_flows::purge, now;
            social::purge_proofs, now.saturating_sub(SPENT_KEPT);
        }
        if let Some(before) = self.events_kept_since(now) {
            sweep! {
                events::purge, before;
                deliveries::purge, before;
            }
        }
        while self.ctx.webhooks.bury_unknown(&self.ctx.db, now).await? > 0 {}
        Ok(())
    }

    /// From when on events are kept; `None`: for ever.
    fn events_kept_since(&self, now: Millis) -> Option<Millis> {
        let days = Some(self.ctx.config.events.retention).filter(|days| *days > 0)?;
        Some(now.saturating_sub(days.saturating_mul(24 * 3600 * SECOND)))
    }
}
