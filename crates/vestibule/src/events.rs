//! What has happened to accounts, and what services of the operator are told of it.

use vestibule_base::security::Millis;
use vestibule_base::storage::deliveries::{self, DeadLetter};
use vestibule_base::storage::{Conn, StorageError};
use vestibule_base::webhooks::{Listed, NotTaken};
use vestibule_core::Ctx;
use vestibule_core::event::{self, Follower, Query, Recorded};

/// The log of events.
#[derive(Debug, Clone, Copy)]
pub struct Events<'a> {
    pub(crate) ctx: &'a Ctx,
}

impl Events<'_> {
    /// The latest events that `query` asks for, in the order of their numbers.
    ///
    /// # Errors
    /// [`StorageError`]; so for all below.
    pub async fn list(&self, query: &Query) -> Result<Vec<Recorded>, StorageError> {
        event::list(&mut self.conn().await?, query).await
    }

    /// A place in the log after all that is there now, to go on from with [`Events::next`].
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn follow(&self) -> Result<Follower, StorageError> {
        Follower::begin(&mut self.conn().await?).await
    }

    /// What has been written since the last time, in the order of numbers. To be called every second or so; events of
    /// transactions that ended late come late, out of that order, and none is missed or given twice.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn next(&self, follower: &mut Follower) -> Result<Vec<Recorded>, StorageError> {
        follower.next(&mut self.conn().await?).await
    }

    async fn conn(&self) -> Result<Conn, StorageError> {
        self.ctx.db.read().await
    }
}

/// The services that are told of events.
#[derive(Debug, Clone, Copy)]
pub struct Webhooks<'a> {
    pub(crate) ctx: &'a Ctx,
}

impl Webhooks<'_> {
    /// Those of the settings, with what waits for them.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn list(&self) -> Result<Vec<Listed>, StorageError> {
        self.ctx.webhooks.list(&self.ctx.db).await
    }

    /// Posts an event of the type `test` to one of them, now and once.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub async fn test(&self, name: &str) -> Result<(), NotTaken> {
        let now = self.ctx.clock.now();
        self.ctx.webhooks.test(name, event::test_message(now), now).await
    }

    /// Deliveries that were given up, with numbers above `after`, `limit` at most.
    ///
    /// # Errors
    /// [`StorageError`]; so for all below.
    pub async fn dead_letters(&self, after: i64, limit: u32) -> Result<Vec<DeadLetter>, StorageError> {
        deliveries::dead(&mut self.ctx.db.read().await?, after, i64::from(limit)).await
    }

    /// Has a delivery that was given up made again, as if it were new; with no number all of them. Gives how many.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn retry(&self, id: Option<i64>) -> Result<u64, StorageError> {
        let now: Millis = self.ctx.clock.now();
        let mut tx = self.ctx.db.write().await?;
        let revived = deliveries::revive(&mut tx, id, now).await?;
        tx.commit().await?;
        self.ctx.webhooks.wake();
        Ok(revived)
    }

    /// Forgets a delivery that was given up; with no number all of them. Gives how many.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn discard(&self, id: Option<i64>) -> Result<u64, StorageError> {
        let mut tx = self.ctx.db.write().await?;
        let discarded = deliveries::discard(&mut tx, id).await?;
        tx.commit().await?;
        Ok(discarded)
    }
}
