//! Events, posted to services of the operator by the [Standard Webhooks](https://www.standardwebhooks.com) scheme. A
//! delivery is written in the transaction of its event, and made at least once: what the receiver does not take is tried
//! for three days, and then kept as a dead letter. Each service has a worker of its own, so that none waits for another.

mod worker;

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::config::Webhook;
use crate::outbound::{Endpoint, Outbound, OutboundError};
use crate::security::clock::SECOND;
use crate::security::{Clock, Millis, NoEntropy, SignedHeaders, WebhookKey, random};
use crate::storage::deliveries::{self, Counts, NewDelivery};
use crate::storage::{Conn, Db, StorageError};

/// Characters of a message's name; 22 of them hold 130 bits.
const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const NAME: usize = 22;
/// How long deliveries to a service that the settings do not know wait for it: while instances are updated one by one,
/// some know of a service that others do not.
const UNKNOWN_KEPT: Millis = 3600 * SECOND;
const BURIED_AT_ONCE: i64 = 500;

/// The services that are told of events. Cheap to clone; clones are one.
#[derive(Debug, Clone)]
pub struct Webhooks(Arc<Vec<Arc<Hook>>>);

#[derive(Debug)]
struct Hook {
    name: String,
    events: Vec<String>,
    keys: Vec<WebhookKey>,
    endpoint: Endpoint,
    patience: Duration,
    wake: Notify,
}

/// Why a delivery could not be written down.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// It could not be named.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

/// Why a service did not take a POST. Never holds a URL, a header or a body.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// The settings know no service of this name.
    #[error("no webhook of this name is configured")]
    Unknown,
    /// It wants no more of them.
    #[error("answered with status 410: it takes no more")]
    Gone,
    /// It could not be reached, or answered with another status than 2xx.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// The message has no name.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

/// A service as an operator sees it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// The events that it is told of; none: all.
    pub events: Vec<String>,
    /// What waits for it.
    #[serde(flatten)]
    pub counts: Counts,
}

impl Webhooks {
    /// Reads the settings.
    ///
    /// # Errors
    /// A line for each thing that is wrong, which says what to do.
    pub fn new(settings: &[Webhook], outbound: &Outbound) -> Result<Self, Vec<String>> {
        let (mut hooks, mut wrong) = (Vec::new(), Vec::new());
        for webhook in settings {
            let say = |what: String| format!("events.webhooks: {}: {what}", webhook.name);
            let mut keys = Vec::new();
            for secret in &webhook.secrets {
                match WebhookKey::parse(secret.expose_secret()) {
                    Ok(key) => keys.push(key),
                    Err(error) => wrong.push(say(format!("secrets: {error}"))),
                }
            }
            let patience = Duration::from_secs(u64::try_from(webhook.timeout).unwrap_or_default());
            match outbound.configured(&webhook.url) {
                Ok(endpoint) => hooks.push(Arc::new(Hook {
                    name: webhook.name.clone(),
                    events: webhook.events.clone(),
                    keys,
                    endpoint: endpoint.within(patience),
                    patience,
                    wake: Notify::new(),
                })),
                Err(error) => wrong.push(say(format!("url: {error}"))),
            }
        }
        if wrong.is_empty() { Ok(Self(Arc::new(hooks))) } else { Err(wrong) }
    }

    /// Whether any service is told of events of this name.
    #[must_use]
    pub fn want(&self, kind: &str) -> bool {
        self.0.iter().any(|hook| hook.wants(kind))
    }

    /// Writes a delivery for each service that is told of events of this name, in the caller's transaction. Call
    /// [`Webhooks::wake`] after the commit.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn push(&self, tx: &mut Conn, kind: &str, body: &str, now: Millis) -> Result<(), QueueError> {
        for hook in self.0.iter().filter(|hook| hook.wants(kind)) {
            let new = NewDelivery { webhook: &hook.name, message_id: &message_id()?, kind, body, now };
            deliveries::push(tx, &new).await?;
        }
        Ok(())
    }

    /// Tells the workers of this instance that something was queued.
    pub fn wake(&self) {
        for hook in self.0.iter() {
            hook.wake.notify_one();
        }
    }

    /// The workers: post what is queued, by this instance or by another, until `stop` turns true or its sender is gone.
    /// What is being posted then has some seconds to end; else it is posted again, by whoever comes after.
    pub async fn run(&self, db: Db, clock: Arc<dyn Clock>, stop: watch::Receiver<bool>) {
        let mut workers = JoinSet::new();
        for hook in self.0.iter() {
            workers.spawn(worker::run(Arc::clone(hook), db.clone(), Arc::clone(&clock), stop.clone()));
        }
        while workers.join_next().await.is_some() {}
    }

    /// Posts what is due now, once, and gives the number of deliveries that were taken.
    ///
    /// # Errors
    /// [`StorageError`] if the queue cannot be read.
    pub async fn deliver_due(&self, db: &Db, clock: &Arc<dyn Clock>) -> Result<usize, StorageError> {
        let mut workers = JoinSet::new();
        for hook in self.0.iter() {
            let (hook, db, clock) = (Arc::clone(hook), db.clone(), Arc::clone(clock));
            workers.spawn(async move { worker::drain(&hook, &db, &clock).await });
        }
        let mut made = 0;
        while let Some(outcome) = workers.join_next().await {
            made += outcome.unwrap_or(Ok(0))?;
        }
        Ok(made)
    }

    /// Gives up what waits for services that the settings do not know any more; gives how many that were.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn bury_unknown(&self, db: &Db, now: Millis) -> Result<u64, StorageError> {
        let before = now.saturating_sub(UNKNOWN_KEPT);
        let overdue = deliveries::overdue(&mut db.read().await?, before).await?;
        let mut buried = 0;
        for name in overdue.iter().filter(|name| self.find(name).is_none()) {
            let why = "its webhook is not configured any more";
            let mut tx = db.write().await?;
            let gone = deliveries::bury(&mut tx, name, before, why, BURIED_AT_ONCE).await?;
            tx.commit().await?;
            tracing::error!(webhook = name, deliveries = gone, why, "deliveries given up");
            buried += gone;
        }
        Ok(buried)
    }

    /// The services that the settings know, with what waits for them.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn list(&self, db: &Db) -> Result<Vec<Listed>, StorageError> {
        let mut conn = db.read().await?;
        let mut listed = Vec::new();
        for hook in self.0.iter() {
            let counts = deliveries::counts(&mut conn, &hook.name).await?;
            listed.push(Listed { name: hook.name.clone(), events: hook.events.clone(), counts });
        }
        Ok(listed)
    }

    /// Posts `body` to a service, now and once, past the queue.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub async fn test(&self, name: &str, body: String, now: Millis) -> Result<(), NotTaken> {
        let hook = self.find(name).ok_or(NotTaken::Unknown)?;
        hook.post(&message_id()?, body, now).await
    }

    fn find(&self, name: &str) -> Option<&Arc<Hook>> {
        self.0.iter().find(|hook| hook.name == name)
    }
}

impl Hook {
    fn wants(&self, kind: &str) -> bool {
        self.events.is_empty() || self.events.iter().any(|event| event == kind)
    }

    async fn post(&self, id: &str, body: String, now: Millis) -> Result<(), NotTaken> {
        let signed = SignedHeaders::new(&self.keys, id, now, &body);
        let answer = self.endpoint.post_json(body, &signed.pairs()).await?;
        if answer.status == 410 {
            return Err(NotTaken::Gone);
        }
        answer.success()?;
        Ok(())
    }
}

fn message_id() -> Result<String, NoEntropy> {
    Ok(format!("msg_{}", random::text(ALPHABET, NAME)?))
}
