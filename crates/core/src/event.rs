//! What happens to accounts: written down in the transaction of the change, told to services of the operator, and
//! logged. Names users by id and never holds a secret.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::Serialize;
use vestibule_base::config::ClientKind;
use vestibule_base::security::{Millis, rfc_3339};
use vestibule_base::storage::events::{self as rows, Filter, NewEvent};
use vestibule_base::storage::{Conn, StorageError};
use vestibule_base::webhooks::Webhooks;

use crate::refusal::Fault;
use crate::visit::Visit;

/// How far back, in the time of events, to look for those whose transactions end late.
const LATE: Millis = 30_000;
/// Events that are read at a time.
const PAGE: i64 = 1000;

macro_rules! events {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// Something that happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Event {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Event {
            /// All of them, with what they mean.
            pub const ALL: &[(Event, &str)] = &[$((Self::$name, concat!($($doc),+)),)+];

            /// Its name in the log.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

events! {
    /// A user entered.
    LoggedIn = "logged_in",
    /// A way in was tried with the wrong secret.
    LoginFailed = "login_failed",
    /// A session was ended by its holder.
    LoggedOut = "logged_out",
    /// An account was made.
    SignedUp = "signed_up",
    /// Somebody proved again who they are.
    Reauthenticated = "reauthenticated",
    /// A code was wrong.
    CodeRejected = "code_rejected",
    /// An address was proved.
    EmailVerified = "email_verified",
    /// An address was added.
    EmailAdded = "email_added",
    /// An address was removed.
    EmailRemoved = "email_removed",
    /// Another address is the primary one.
    PrimaryEmailChanged = "primary_email_changed",
    /// A number was proved.
    PhoneVerified = "phone_verified",
    /// A reset was asked for.
    PasswordResetRequested = "password_reset_requested",
    /// The password was reset.
    PasswordReset = "password_reset",
    /// The password was changed.
    PasswordChanged = "password_changed",
    /// An account without a password has one now.
    PasswordSet = "password_set",
    /// A password chosen before the address was proved was thrown away.
    PasswordWiped = "password_wiped",
    /// Sessions of a user were ended from elsewhere.
    SessionsEnded = "sessions_ended",
    /// A refresh token gave the next pair.
    TokensRefreshed = "tokens_refreshed",
    /// A refresh token came again after it was used: its session has ended.
    RefreshTokenReused = "refresh_token_reused",
    /// An authenticator was set up.
    AuthenticatorAdded = "authenticator_added",
    /// An authenticator was removed.
    AuthenticatorRemoved = "authenticator_removed",
    /// A code of no authenticator was tried, or what no key had signed.
    SecondFactorFailed = "second_factor_failed",
    /// A key signed a counter that did not go up: there may be a copy of it.
    KeyCopied = "key_copied",
    /// New recovery codes were made in place of the old ones.
    RecoveryCodesGenerated = "recovery_codes_generated",
    /// A recovery code was used.
    RecoveryCodeUsed = "recovery_code_used",
    /// A browser was trusted.
    BrowserTrusted = "browser_trusted",
    /// An account at a third party was connected.
    ProviderConnected = "provider_connected",
    /// An account at a third party was disconnected.
    ProviderDisconnected = "provider_disconnected",
    /// A login at a third party came to nothing.
    ProviderFailed = "provider_failed",
    /// An operator let a user in again.
    Activated = "activated",
    /// An operator shut a user out.
    Deactivated = "deactivated",
    /// A user was deleted, by an operator or by themselves.
    Deleted = "deleted",
}

/// There is no event of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no event {0:?}; docs/how-to/events.md lists them")]
pub struct NoEvent(String);

impl FromStr for Event {
    type Err = NoEvent;

    fn from_str(name: &str) -> Result<Self, NoEvent> {
        let found = Self::ALL.iter().map(|(event, _)| *event).find(|event| event.name() == name);
        found.ok_or_else(|| NoEvent(name.to_owned()))
    }
}

/// Who did it.
#[derive(Debug, Clone, Copy)]
pub enum By<'a> {
    /// Whoever makes this request: the user, or somebody who would be.
    Visit(&'a Visit),
    /// An operator.
    Operator,
}

/// An event that was written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// Its number.
    pub id: i64,
    /// Its name.
    #[serde(rename = "type")]
    pub kind: String,
    /// When, in milliseconds since 1970; as JSON a text, RFC 3339 in UTC.
    #[serde(with = "rfc_3339")]
    pub at: Millis,
    /// To whom, if it is known.
    pub user_id: Option<i64>,
    /// Who did it: `user` (whoever made the request) or `operator`.
    pub by: String,
    /// `app` or `browser`, if a request did it.
    pub client: Option<String>,
    /// The address of the request.
    pub ip: Option<String>,
    /// What the client of the request calls itself.
    pub user_agent: Option<String>,
    /// What there is to say beyond that, such as the way in that was taken. Often nothing.
    pub detail: String,
}

impl Recorded {
    /// The moment as text, RFC 3339 in UTC with milliseconds.
    #[must_use]
    pub fn time(&self) -> String {
        rfc_3339::text(self.at)
    }
}

/// What is posted to services.
#[derive(Serialize)]
struct Message<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: String,
    data: &'a Recorded,
}

/// Which events to list: those with the highest numbers that fit.
#[derive(Debug, Clone, Copy)]
pub struct Query {
    /// Of this user.
    pub user_id: Option<i64>,
    /// Of this kind.
    pub kind: Option<Event>,
    /// From this moment on.
    pub since: Option<Millis>,
    /// With lower numbers than this: the page before.
    pub before: Option<i64>,
    /// So many at most.
    pub limit: u32,
}

/// Writes an event within the transaction of what happened, with a delivery for each service that is told of it; gives its
/// number. `now` is the present moment: the request may have begun long before.
pub(crate) async fn record(
    webhooks: &Webhooks,
    tx: &mut Conn,
    now: Millis,
    by: By<'_>,
    event: Event,
    user_id: Option<i64>,
    detail: &str,
) -> Result<i64, Fault> {
    let visit = match by {
        By::Visit(visit) => Some(visit),
        By::Operator => None,
    };
    let new = NewEvent {
        at: now,
        kind: event.name(),
        user_id,
        actor: if visit.is_some() { "user" } else { "operator" },
        client: visit.map(|visit| client(visit.client)),
        ip: visit.map(|visit| visit.ip.as_str()),
        user_agent: visit.map(|visit| visit.user_agent.as_str()),
        detail,
    };
    let id = rows::insert(tx, &new).await?;
    if webhooks.want(new.kind) {
        let data = recorded(id, &new);
        let message = Message { kind: new.kind, timestamp: data.time(), data: &data };
        webhooks.push(tx, new.kind, &serde_json::to_string(&message)?, now).await?;
    }
    tracing::info!(
        target: "vestibule::audit",
        event = new.kind,
        user = new.user_id,
        by = new.actor,
        ip = new.ip.map(tracing::field::display),
        at = new.at,
        detail
    );
    Ok(id)
}

/// A message that only shows whether a service takes messages.
#[must_use]
pub fn test_message(now: Millis) -> String {
    serde_json::json!({ "type": "test", "timestamp": rfc_3339::text(now), "data": {} }).to_string()
}

/// The events that `query` asks for, in the order of their numbers.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn list(conn: &mut Conn, query: &Query) -> Result<Vec<Recorded>, StorageError> {
    let filter = Filter {
        user_id: query.user_id,
        kind: query.kind.map(Event::name),
        since: query.since.unwrap_or(0),
        before: query.before.unwrap_or(i64::MAX),
        limit: i64::from(query.limit),
    };
    let mut found: Vec<Recorded> = rows::list(conn, &filter).await?.into_iter().map(Recorded::from).collect();
    found.reverse();
    Ok(found)
}

/// A place in the log from which to go on. An event gets its number before its transaction ends, so that one with a lower
/// number may be seen later than one with a higher: what is recent is looked at again, and what was given is remembered.
#[derive(Debug, Clone, Default)]
pub struct Follower {
    /// Times by number of what was given and is recent.
    given: BTreeMap<i64, Millis>,
    highest: i64,
    latest: Millis,
}

impl Follower {
    /// Goes on after all that is there now.
    ///
    /// # Errors
    /// Any of [`StorageError`].
    pub async fn begin(conn: &mut Conn) -> Result<Self, StorageError> {
        let all = Filter { user_id: None, kind: None, since: 0, before: i64::MAX, limit: 1 };
        let mut follower = Self::default();
        if let Some(last) = rows::list(conn, &all).await?.pop() {
            (follower.highest, follower.latest) = (last.id, last.at);
            follower.next(conn).await?;
        }
        Ok(follower)
    }

    /// What has been written since, in the order of numbers.
    ///
    /// # Errors
    /// Any of [`StorageError`].
    pub async fn next(&mut self, conn: &mut Conn) -> Result<Vec<Recorded>, StorageError> {
        let mut found = BTreeMap::new();
        let mut place = (self.latest.saturating_sub(LATE), 0);
        loop {
            let page = rows::since(conn, place.0, place.1, PAGE).await?;
            let Some(last) = page.last() else { break };
            place = (last.at, last.id);
            found.extend(page.into_iter().map(|row| (row.id, row)));
        }
        // A clock that was set back writes events of long ago.
        let mut highest = self.highest;
        loop {
            let page = rows::after(conn, highest, PAGE).await?;
            let Some(last) = page.last() else { break };
            highest = last.id;
            found.extend(page.into_iter().map(|row| (row.id, row)));
        }
        found.retain(|id, _| !self.given.contains_key(id));
        for row in found.values() {
            self.given.insert(row.id, row.at);
            self.highest = self.highest.max(row.id);
            self.latest = self.latest.max(row.at);
        }
        let old = self.latest.saturating_sub(LATE);
        self.given.retain(|_, at| *at >= old);
        Ok(found.into_values().map(Recorded::from).collect())
    }
}

impl From<rows::Event> for Recorded {
    fn from(row: rows::Event) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            at: row.at,
            user_id: row.user_id,
            by: row.actor,
            client: row.client,
            ip: row.ip,
            user_agent: row.user_agent,
            detail: row.detail,
        }
    }
}

fn recorded(id: i64, new: &NewEvent<'_>) -> Recorded {
    Recorded {
        id,
        kind: new.kind.to_owned(),
        at: new.at,
        user_id: new.user_id,
        by: new.actor.to_owned(),
        client: new.client.map(str::to_owned),
        ip: new.ip.map(str::to_owned),
        user_agent: new.user_agent.map(str::to_owned),
        detail: new.detail.to_owned(),
    }
}

fn client(kind: ClientKind) -> &'static str {
    match kind {
        ClientKind::App => "app",
        ClientKind::Browser => "browser",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_lead_back() {
        for (event, _) in Event::ALL {
            assert_eq!(event.name().parse::<Event>(), Ok(*event));
        }
        assert!("logged-in".parse::<Event>().is_err());
    }
}
