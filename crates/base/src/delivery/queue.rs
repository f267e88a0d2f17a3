//! The worker. It takes a few messages at a time by a lease that outlasts their sending, so that no other instance
//! sends them too, and one that dies with a message in hand delays it by no more than the lease.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::mail::Mail;
use super::mailbox::{self, Content};
use super::sms::Sms;
use super::{Channel, Inner};
use crate::security::{Clock, Millis, Purpose, clock::SECOND};
use crate::storage::outbox::{self, Leased};
use crate::storage::{Db, StorageError};

/// Messages that one instance sends at a time, on each channel.
const BATCH: i64 = 8;
/// How often to look for what others queued and did not live to send.
const POLL: Duration = Duration::from_secs(3);
/// The longest wait between attempts while the server does not answer: then all messages wait for the same event.
const AWAY_CAP: Millis = 15 * SECOND;
/// The longest wait between attempts after the server refused a message for now.
const RETRY_CAP: Millis = 600 * SECOND;
/// How long a message is tried.
const GIVE_UP: Millis = 3 * 24 * 3600 * SECOND;
/// Added to the time that one sending may take.
/// How long keeping a message in the development mailbox may take.
const KEEPING: Duration = Duration::from_secs(6);
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// Why a message did not leave. Texts are for the log: they hold no address and no content.
#[derive(Debug)]
pub(super) enum Failure {
    /// It never will.
    Refused(String),
    /// This one did not, now.
    Retry(String),
    /// None will, now.
    Away(String),
}

/// What a round did.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) taken: usize,
    pub(super) sent: usize,
    away: bool,
}

enum Message {
    Mail(Mail),
    Sms(Sms),
}

impl Message {
    fn recipient(&self) -> &str {
        match self {
            Self::Mail(mail) => &mail.to,
            Self::Sms(sms) => &sms.phone,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Mail(mail) => mail.kind.name(),
            Self::Sms(sms) => sms.kind.name(),
        }
    }
}

/// Rounds until `stop` turns true or its sender is gone.
pub(super) async fn run(
    inner: &Arc<Inner>,
    db: &Db,
    clock: &dyn Clock,
    channel: Channel,
    wake: &Notify,
    mut stop: watch::Receiver<bool>,
) {
    let mut away = 0;
    while !*stop.borrow() && stop.has_changed().is_ok() {
        let (wait, wakes) = match round(inner, db, clock.now(), channel).await {
            Ok(Round { away: true, .. }) => {
                // No request hurries a server that does not answer.
                away += 1;
                (backoff(away, AWAY_CAP), false)
            }
            Ok(Round { taken: 1.., .. }) => {
                away = 0;
                continue;
            }
            Ok(_) => (idle(db, clock.now(), channel).await, true),
            Err(error) => {
                tracing::warn!(channel = channel.name(), %error, "the outbox cannot be read");
                (SECOND, false)
            }
        };
        let wait = Duration::from_millis(wait.unsigned_abs());
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = wake.notified(), if wakes => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Takes what is due at `now`, up to a batch, and sends it: to one recipient in order, to several side by side.
pub(super) async fn round(
    inner: &Arc<Inner>,
    db: &Db,
    now: Millis,
    channel: Channel,
) -> Result<Round, StorageError> {
    if outbox::next_due(&mut db.read().await?, channel.name()).await?.is_none_or(|due| due > now) {
        return Ok(Round::default());
    }
    let hold = inner.patience(channel) + LEASE_MARGIN;
    let lease = now.saturating_add(i64::try_from(hold.as_millis()).unwrap_or(i64::MAX));
    let mut tx = db.write().await?;
    let leased = outbox::take(&mut tx, channel.name(), now, lease, BATCH).await?;
    tx.commit().await?;

    let desk = Desk { inner: Arc::clone(inner), db: db.clone(), channel, now, end: Instant::now() + hold };
    let mut round = Round { taken: leased.len(), ..Round::default() };
    let mut recipients = BTreeMap::<String, Vec<(Leased, Message)>>::new();
    for leased in leased {
        match desk.open(&leased) {
            Some(message) => {
                recipients.entry(message.recipient().to_owned()).or_default().push((leased, message));
            }
            None => {
                let reason = "sealed under a secret key that is not known here, or damaged".to_owned();
                desk.failed(&leased, "unknown", Failure::Retry(reason)).await;
            }
        }
    }
    let mut senders = JoinSet::new();
    for messages in recipients.into_values() {
        senders.spawn(desk.clone().send_all(messages));
    }
    while let Some(outcome) = senders.join_next().await {
        // A sender that panicked leaves its messages under lease: they are taken again after it.
        if let Ok((sent, away)) = outcome {
            round.sent += sent;
            round.away |= away;
        }
    }
    Ok(round)
}

/// Milliseconds until the next message is due, at most until the next look.
async fn idle(db: &Db, now: Millis, channel: Channel) -> Millis {
    let next = async { outbox::next_due(&mut db.read().await?, channel.name()).await }.await;
    let poll = i64::try_from(POLL.as_millis()).unwrap_or(SECOND);
    // At least a moment: what is due and could not be taken is in another instance's hands.
    next.ok().flatten().map_or(poll, |due| due.saturating_sub(now).clamp(20, poll))
}

fn backoff(attempts: i64, cap: Millis) -> Millis {
    (SECOND << (attempts - 1).clamp(0, 20)).min(cap)
}

/// What a round's senders share.
#[derive(Clone)]
struct Desk {
    inner: Arc<Inner>,
    db: Db,
    channel: Channel,
    now: Millis,
    /// When the lease ends, on the clock that measures sending.
    end: Instant,
}

impl Desk {
    fn open(&self, leased: &Leased) -> Option<Message> {
        let plain =
            self.inner.keyring.open(Purpose::Outbox, self.channel.name().as_bytes(), &leased.message)?;
        match self.channel {
            Channel::Mail => serde_json::from_slice(&plain).ok().map(Message::Mail),
            Channel::Sms => serde_json::from_slice(&plain).ok().map(Message::Sms),
        }
    }

    /// Sends messages to one recipient; gives how many left, and whether the server is away.
    async fn send_all(self, messages: Vec<(Leased, Message)>) -> (usize, bool) {
        let mut sent = 0;
        let mut away = false;
        for (leased, message) in messages {
            if away {
                // Untried: it waits with the one before it, so that they leave in order.
                let due = self.now + backoff(leased.attempts + 1, AWAY_CAP);
                self.settle(&leased, Some((due, 0))).await;
                continue;
            }
            if Instant::now() + self.inner.patience(self.channel) > self.end {
                // It might not be sent before the lease ends; after that, whoever takes it has the time.
                continue;
            }
            match self.send(&leased, &message).await {
                Ok(()) => {
                    sent += 1;
                    self.settle(&leased, None).await;
                }
                Err(failure) => {
                    away = matches!(failure, Failure::Away(_));
                    self.failed(&leased, message.kind(), failure).await;
                }
            }
        }
        (sent, away)
    }

    async fn send(&self, leased: &Leased, message: &Message) -> Result<(), Failure> {
        match message {
            Message::Mail(mail) => {
                let rendered = self.inner.templates.mail(mail).map_err(Failure::Retry)?;
                if let Some(smtp) = &self.inner.smtp {
                    return smtp.send(leased.id, leased.created_at, &mail.to, rendered).await;
                }
                let content = Content {
                    subject: rendered.subject,
                    text: rendered.text,
                    html: Some(rendered.html),
                    code: mail.kind.code().map(str::to_owned),
                    link: mail.kind.link().map(str::to_owned),
                };
                self.keep(&mail.to, &content).await
            }
            Message::Sms(sms) => {
                let text = self.inner.templates.sms(sms).map_err(Failure::Retry)?;
                if let Some(webhook) = &self.inner.webhook {
                    return webhook.send(leased.id, self.now, sms, &text).await;
                }
                if self.inner.smtp.is_some() {
                    return Err(Failure::Refused("there is no webhook for text messages".into()));
                }
                let content =
                    Content { subject: String::new(), text, html: None, code: sms.code.clone(), link: None };
                self.keep(&sms.phone, &content).await
            }
        }
    }

    async fn keep(&self, to: &str, content: &Content) -> Result<(), Failure> {
        mailbox::keep(&self.db, self.now, self.channel, to, content)
            .await
            .map_err(|error| Failure::Away(error.to_string()))
    }

    async fn failed(&self, leased: &Leased, kind: &str, failure: Failure) {
        let (id, channel, attempts) = (leased.id, self.channel.name(), leased.attempts + 1);
        let (reason, cap) = match failure {
            Failure::Refused(reason) => {
                tracing::error!(id, channel, kind, attempts, reason, "a message was refused, given up");
                return self.settle(leased, None).await;
            }
            Failure::Retry(reason) => (reason, RETRY_CAP),
            Failure::Away(reason) => (reason, AWAY_CAP),
        };
        if self.now - leased.created_at >= GIVE_UP {
            tracing::error!(id, channel, kind, attempts, reason, "a message could not be sent, given up");
            return self.settle(leased, None).await;
        }
        tracing::warn!(id, channel, kind, attempts, reason, "a message was not sent, will try again");
        self.settle(leased, Some((self.now + backoff(attempts, cap), 1))).await;
    }

    /// Removes a message, or makes it due again after so many more attempts. If the database does not take that, the
    /// lease ends by itself and the message may leave twice, which is better than never.
    async fn settle(&self, leased: &Leased, again: Option<(Millis, i64)>) {
        let settled = async {
            let mut tx = self.db.write().await?;
            match again {
                None => outbox::remove(&mut tx, leased.id, leased.lease).await?,
                Some((due, tried)) => {
                    outbox::postpone(&mut tx, leased.id, leased.lease, due, tried).await?;
                }
            }
            tx.commit().await
        };
        if let Err(error) = settled.await {
            tracing::warn!(id = leased.id, %error, "the outbox could not be updated");
        }
    }
}

impl Inner {
    /// How long sending one message may take.
    fn patience(&self, channel: Channel) -> Duration {
        match channel {
            Channel::Mail => self.smtp.as_ref().map(super::smtp::Smtp::timeout),
            Channel::Sms => self.webhook.as_ref().map(super::sms::Webhook::timeout),
        }
        .unwrap_or(KEEPING)
    }
}
