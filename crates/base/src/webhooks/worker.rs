//! The worker of one service. It takes a few deliveries at a time by a lease that outlasts their posting, so that no other
//! instance posts them too, and one that dies with a delivery in hand delays it by no more than the lease.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Hook, NotTaken};
use crate::security::clock::SECOND;
use crate::security::{Clock, Millis};
use crate::storage::deliveries::{self, Leased};
use crate::storage::{Db, StorageError};

/// Deliveries that one instance makes at a time to one service.
const BATCH: i64 = 8;
/// How often to look for what others queued and did not live to post.
const POLL: Millis = SECOND;
/// Added to the time that a POST may take: for the database, before and after.
const LEASE_MARGIN: Duration = Duration::from_secs(10);
/// How long a service may hold up the end of this instance.
const GRACE: Duration = Duration::from_secs(3);
const MINUTE: Millis = 60 * SECOND;
const HOUR: Millis = 60 * MINUTE;
/// The waits after each failed attempt, as Standard Webhooks has them. After as many failures and one, a delivery is given
/// up.
const WAITS: [Millis; 9] =
    [5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];

/// What a round did.
#[derive(Debug, Default)]
struct Round {
    taken: usize,
    made: usize,
}

/// Rounds until `stop` turns true or its sender is gone.
pub(super) async fn run(hook: Arc<Hook>, db: Db, clock: Arc<dyn Clock>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() && stop.has_changed().is_ok() {
        let mut stopping = stop.clone();
        let too_late = async {
            let _ = stopping.wait_for(|stop| *stop).await;
            tokio::time::sleep(GRACE).await;
        };
        let outcome = tokio::select! {
            outcome = round(&hook, &db, &clock) => outcome,
            // What is under way is posted again when its lease has ended.
            () = too_late => return,
        };
        let wait = match outcome {
            Ok(Round { taken: 1.., .. }) => continue,
            Ok(_) => idle(&hook, &db, clock.now()).await,
            Err(error) => {
                tracing::warn!(webhook = hook.name, %error, "deliveries cannot be read");
                POLL
            }
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = hook.wake.notified() => {}
            () = tokio::time::sleep(Duration::from_millis(wait.unsigned_abs())) => {}
        }
    }
}

/// Rounds until nothing is due; gives how many deliveries were taken by the service.
pub(super) async fn drain(hook: &Arc<Hook>, db: &Db, clock: &Arc<dyn Clock>) -> Result<usize, StorageError> {
    let mut made = 0;
    loop {
        let round = round(hook, db, clock).await?;
        made += round.made;
        if round.taken == 0 {
            return Ok(made);
        }
    }
}

/// Takes what is due, up to a batch, and posts it, side by side.
async fn round(hook: &Arc<Hook>, db: &Db, clock: &Arc<dyn Clock>) -> Result<Round, StorageError> {
    let now = clock.now();
    if deliveries::next_due(&mut db.read().await?, &hook.name).await?.is_none_or(|due| due > now) {
        return Ok(Round::default());
    }
    let hold = i64::try_from((hook.patience + LEASE_MARGIN).as_millis()).unwrap_or(HOUR);
    let mut tx = db.write().await?;
    let leased = deliveries::take(&mut tx, &hook.name, now, now.saturating_add(hold), BATCH).await?;
    tx.commit().await?;

    let mut round = Round { taken: leased.len(), made: 0 };
    let mut posts = JoinSet::new();
    for taken in leased {
        let (hook, db, clock) = (Arc::clone(hook), db.clone(), Arc::clone(clock));
        posts.spawn(async move { deliver(&hook, &db, &clock, &taken).await });
    }
    while let Some(made) = posts.join_next().await {
        // One that panicked leaves its delivery under lease: it is taken again after it.
        round.made += usize::from(made.unwrap_or(false));
    }
    Ok(round)
}

/// Makes one delivery and settles it; whether the service took it.
async fn deliver(hook: &Hook, db: &Db, clock: &Arc<dyn Clock>, taken: &Leased) -> bool {
    let outcome = hook.post(&taken.message_id, taken.body.clone(), clock.now()).await;
    let (webhook, id, attempts) = (&hook.name, &taken.message_id, taken.attempts + 1);
    let settled = async {
        let mut tx = db.write().await?;
        match &outcome {
            Ok(()) => deliveries::remove(&mut tx, taken).await?,
            Err(failure) => {
                let again = wait(failure, taken.attempts).map(|wait| clock.now().saturating_add(wait));
                if again.is_some() {
                    tracing::warn!(webhook, id, attempts, %failure, "an event was not taken, will try again");
                } else {
                    tracing::error!(webhook, id, attempts, %failure, "an event was not taken, given up");
                }
                deliveries::fail(&mut tx, taken, again, &failure.to_string()).await?;
            }
        }
        tx.commit().await
    };
    // If the database does not take that, the lease ends by itself and the event may be posted twice.
    if let Err(error) = settled.await {
        tracing::warn!(webhook, id, %error, "a delivery could not be noted");
    }
    outcome.is_ok()
}

/// How long to wait after another failure, if there is to be another attempt.
fn wait(failure: &NotTaken, attempts_before: i64) -> Option<Millis> {
    if matches!(failure, NotTaken::Gone) {
        return None;
    }
    usize::try_from(attempts_before).ok().and_then(|attempts| WAITS.get(attempts)).copied()
}

/// Milliseconds until the next delivery is due, at most until the next look.
async fn idle(hook: &Hook, db: &Db, now: Millis) -> Millis {
    let next = async { deliveries::next_due(&mut db.read().await?, &hook.name).await }.await;
    // At least a moment: what is due and could not be taken is in another instance's hands.
    next.ok().flatten().map_or(POLL, |due| due.saturating_sub(now).clamp(20, POLL))
}
