//! What every rule is handed: the server's context.

use std::sync::Arc;

use vestibule_base::config::{Action, Config, Rate};
use vestibule_base::delivery::{Delivery, Mail, MailKind, Notice, Sms, SmsKind};
use vestibule_base::language::Language;
use vestibule_base::outbound::Outbound;
use vestibule_base::ratelimit::{self, Subject, Usage};
use vestibule_base::security::password::HashPool;
use vestibule_base::security::webauthn::RelyingParty;
use vestibule_base::security::{Clock, Keyring, SigningKeys};
use vestibule_base::storage::{Conn, Db};
use vestibule_base::webhooks::Webhooks;
use vestibule_providers::Providers;

use crate::event::{self, By, Event};
use crate::hooks::Hooks;
use crate::refusal::{Fault, Outcome, Refusal};
use crate::visit::Visit;

/// The server: settings and the rooms of the ground floor. One for the life of the process.
#[derive(Debug)]
pub struct Ctx {
    /// Settings.
    pub config: Config,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// What is derived from the secret key.
    pub keyring: Keyring,
    /// What signs access and refresh tokens, where applications get such.
    pub signing: Option<SigningKeys>,
    /// The site that keys and passkeys belong to.
    pub relying_party: RelyingParty,
    /// The database.
    pub db: Db,
    /// Mail and text messages.
    pub delivery: Delivery,
    /// Where passwords are hashed.
    pub hashes: HashPool,
    /// Calls to others.
    pub outbound: Outbound,
    /// Third parties that vouch for people.
    pub providers: Providers,
    /// Services that are told of events.
    pub webhooks: Webhooks,
    /// What the application is asked, where it wants to be.
    pub hooks: Option<Arc<dyn Hooks>>,
}

impl Ctx {
    /// The language in which to speak to whoever makes a request.
    #[must_use]
    pub fn language(&self, visit: &Visit) -> Language {
        let server = &self.config.server;
        visit.languages.choose(server.languages(), server.language)
    }

    /// Counts a hit of an action by its network, user or key.
    ///
    /// # Errors
    /// [`Refusal::Limited`] if the limit is used up.
    pub async fn limit(
        &self,
        tx: &mut Conn,
        visit: &Visit,
        action: Action,
        key: Option<&str>,
    ) -> Outcome<Usage> {
        self.try_limit(tx, visit, action, key).await?.ok_or(Refusal::Limited)
    }

    /// The same, for callers with an answer of their own: `None` if the limit is used up.
    ///
    /// # Errors
    /// [`Refusal::Fault`].
    pub async fn try_limit(
        &self,
        tx: &mut Conn,
        visit: &Visit,
        action: Action,
        key: Option<&str>,
    ) -> Outcome<Option<Usage>> {
        let user = visit.session.user().map(|current| current.user.id);
        self.try_limit_user(tx, visit, action, key, user).await
    }

    async fn try_limit_user(
        &self,
        tx: &mut Conn,
        visit: &Visit,
        action: Action,
        key: Option<&str>,
        user: Option<i64>,
    ) -> Outcome<Option<Usage>> {
        let subject = Subject { ip: &visit.network, user, key };
        let rates = self.config.account.rate_limits.rates(action);
        let usage = ratelimit::take(tx, action.name(), rates, subject, visit.now).await?;
        if usage.is_none() {
            limit_hit(visit, action.name());
        }
        Ok(usage)
    }

    /// Counts a hit in a transaction of its own: it counts whatever becomes of the request.
    ///
    /// # Errors
    /// [`Refusal::Limited`] if the limit is used up.
    pub async fn limit_request(&self, visit: &Visit, action: Action, key: Option<&str>) -> Outcome<()> {
        if self.config.account.rate_limits.rates(action).is_empty() {
            return Ok(());
        }
        let mut tx = self.db.write().await?;
        let usage = self.try_limit(&mut tx, visit, action, key).await?;
        tx.commit().await?;
        usage.map(drop).ok_or(Refusal::Limited)
    }

    /// The same by rates of another room than the account's, by network alone.
    ///
    /// # Errors
    /// [`Refusal::Limited`] if one of them is used up.
    pub async fn limit_network(&self, visit: &Visit, action: &str, rates: &[Rate]) -> Outcome<()> {
        let subject = Subject { ip: &visit.network, user: None, key: None };
        let mut tx = self.db.write().await?;
        let usage = ratelimit::take(&mut tx, action, rates, subject, visit.now).await?;
        tx.commit().await?;
        if usage.is_none() {
            limit_hit(visit, action);
        }
        usage.map(drop).ok_or(Refusal::Limited)
    }

    /// The same, for a user who is not logged in yet.
    ///
    /// # Errors
    /// [`Refusal::Limited`] if the limit is used up.
    pub async fn limit_user(&self, visit: &Visit, action: Action, user: i64) -> Outcome<()> {
        let mut tx = self.db.write().await?;
        let usage = self.try_limit_user(&mut tx, visit, action, None, Some(user)).await?;
        tx.commit().await?;
        usage.map(drop).ok_or(Refusal::Limited)
    }

    /// Queues a mail, inside the transaction that is its reason.
    ///
    /// # Errors
    /// [`Refusal::Fault`].
    pub async fn mail(&self, tx: &mut Conn, visit: &Visit, to: &str, kind: MailKind) -> Outcome<()> {
        let mail = Mail { to: to.to_owned(), language: self.language(visit), kind };
        Ok(self.delivery.mail(tx, visit.now, &mail).await?)
    }

    /// Queues a text message, inside the transaction that is its reason. It counts by [`Ctx::limit_text`].
    ///
    /// # Errors
    /// [`Refusal::Limited`] if the number or the network has had too many.
    pub async fn text(
        &self,
        tx: &mut Conn,
        visit: &Visit,
        phone: &str,
        kind: SmsKind,
        code: Option<String>,
    ) -> Outcome<()> {
        self.limit_text(tx, visit, phone).await?;
        let sms = Sms { phone: phone.to_owned(), language: self.language(visit), kind, code };
        Ok(self.delivery.sms(tx, visit.now, &sms).await?)
    }

    /// Counts a text message by its number and by the network that caused it: each costs money. One that is not sent,
    /// because there is no account, counts as well, so that the limit tells nobody which of the two it was (P3).
    ///
    /// # Errors
    /// [`Refusal::Limited`] if one of the limits is used up.
    pub async fn limit_text(&self, tx: &mut Conn, visit: &Visit, phone: &str) -> Outcome<()> {
        let sms = &self.config.sms;
        let subject = Subject { ip: &visit.network, user: None, key: Some(phone) };
        for (action, rates) in
            [("sms_per_number", &sms.rate_limit_per_number), ("sms_per_client", &sms.rate_limit_per_client)]
        {
            if ratelimit::take(tx, action, rates.as_slice(), subject, visit.now).await?.is_none() {
                limit_hit(visit, action);
                return Err(Refusal::Limited);
            }
        }
        Ok(())
    }

    /// Tells the owner of an account what was done to it, if `email_notifications` is on.
    ///
    /// # Errors
    /// [`Refusal::Fault`].
    pub async fn notify(
        &self,
        tx: &mut Conn,
        visit: &Visit,
        to: Option<&str>,
        kind: impl FnOnce(Notice) -> MailKind,
    ) -> Outcome<()> {
        let Some(to) = to.filter(|_| self.config.account.email_notifications) else { return Ok(()) };
        let notice = Notice { at: visit.now, ip: visit.ip.clone(), user_agent: visit.user_agent.clone() };
        self.mail(tx, visit, to, kind(notice)).await
    }

    /// Writes an event within the transaction of what happened: there is none without the other.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn record(
        &self,
        tx: &mut Conn,
        visit: &Visit,
        event: Event,
        user: Option<i64>,
        detail: &str,
    ) -> Result<(), Fault> {
        let by = By::Visit(visit);
        event::record(&self.webhooks, tx, self.clock.now(), by, event, user, detail).await.map(drop)
    }

    /// The same in a transaction of its own, for what changes nothing or undoes its own: no other may be open.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn record_alone(
        &self,
        visit: &Visit,
        event: Event,
        user: Option<i64>,
        detail: &str,
    ) -> Result<(), Fault> {
        let mut tx = self.db.write().await?;
        self.record(&mut tx, visit, event, user, detail).await?;
        tx.commit().await?;
        self.webhooks.wake();
        Ok(())
    }

    /// The same, for what an operator did.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn record_operator(&self, tx: &mut Conn, event: Event, user: i64) -> Result<(), Fault> {
        let now = self.clock.now();
        event::record(&self.webhooks, tx, now, By::Operator, event, Some(user), "").await.map(drop)
    }

    /// Commits, and lets queued messages leave.
    ///
    /// # Errors
    /// [`Refusal::Fault`]: then nothing was changed.
    pub async fn commit(&self, tx: Conn) -> Outcome<()> {
        tx.commit().await?;
        self.delivery.wake();
        self.webhooks.wake();
        Ok(())
    }
}

fn limit_hit(visit: &Visit, action: &str) {
    tracing::info!(target: "vestibule::audit", event = "limit_hit", action, ip = %visit.ip);
}
