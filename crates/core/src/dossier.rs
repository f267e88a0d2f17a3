//! Everything that is kept of a user, in readable form: for operators, and for the user who asks what there is of them.
//! Secrets are not in it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vestibule_base::security::{Millis, rfc_3339};
use vestibule_base::storage::sessions::{self, Session, SessionFilter};
use vestibule_base::storage::users::User;
use vestibule_base::storage::{Conn, authenticators, emails, phones, profiles, social};

use crate::account::reauthenticate;
use crate::context::Ctx;
use crate::event::{self, Query, Recorded};
use crate::refusal::{Fault, Outcome};
use crate::session;
use crate::visit::Visit;

/// Read at a time.
const PAGE: u32 = 1000;

/// A user as lists show them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UserSummary {
    /// Id.
    pub id: i64,
    /// Name.
    pub username: Option<String>,
    /// Addresses.
    pub emails: Vec<EmailSummary>,
    /// What they entered in the extra fields of the signup.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
    /// Whether they can log in.
    pub is_active: bool,
    /// Whether they have a password.
    pub has_usable_password: bool,
    /// When the account was made; as JSON a text, RFC 3339 in UTC, as all times here.
    #[serde(with = "rfc_3339")]
    pub created_at: Millis,
    /// When they last logged in.
    #[serde(with = "rfc_3339::option")]
    pub last_login_at: Option<Millis>,
}

/// An address.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EmailSummary {
    /// The address.
    pub email: String,
    /// Whether it is proved.
    pub verified: bool,
    /// Whether it is the primary one.
    pub primary: bool,
}

/// A user with all that belongs to the account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UserDetails {
    /// What lists show.
    #[serde(flatten)]
    pub user: UserSummary,
    /// What belongs to them.
    #[serde(flatten)]
    pub belongings: Belongings,
}

/// What belongs to an account beside its addresses.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Belongings {
    /// The phone number.
    pub phone: Option<PhoneEntry>,
    /// Accounts at third parties.
    pub providers: Vec<ProviderEntry>,
    /// Second factors, and passkeys.
    pub authenticators: Vec<AuthenticatorEntry>,
}

/// A phone number.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PhoneEntry {
    /// The number, in E.164.
    pub phone: String,
    /// Whether its owner has proved it.
    pub verified: bool,
}

/// An account at a third party.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProviderEntry {
    /// Id.
    pub id: i64,
    /// The provider, as the configuration names it.
    pub provider: String,
    /// The provider's own name for the person.
    pub uid: String,
    /// What the provider said of the person.
    pub extra_data: Value,
}

/// A second factor or passkey, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuthenticatorEntry {
    /// Id.
    pub id: i64,
    /// `totp`, `recovery_codes` or `webauthn`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What its owner calls it, if it is a key.
    pub name: Option<String>,
    /// When it was set up.
    #[serde(with = "rfc_3339")]
    pub created_at: Millis,
    /// When it was last used.
    #[serde(with = "rfc_3339::option")]
    pub last_used_at: Option<Millis>,
}

/// A session, without its token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionEntry {
    /// Id.
    pub id: i64,
    /// Whose it is.
    pub user_id: i64,
    /// `app` or `browser`.
    pub client: String,
    /// Where its holder was last seen.
    pub ip: String,
    /// What its holder used then.
    pub user_agent: String,
    /// When it was opened.
    #[serde(with = "rfc_3339")]
    pub created_at: Millis,
    /// When its holder was last seen.
    #[serde(with = "rfc_3339")]
    pub last_seen_at: Millis,
    /// When it ends by itself.
    #[serde(with = "rfc_3339")]
    pub expires_at: Millis,
}

impl SessionEntry {
    /// A session of a user; `None` if it is nobody's.
    #[must_use]
    pub fn of(row: Session) -> Option<Self> {
        Some(Self {
            id: row.id,
            user_id: row.user?.id,
            client: row.client,
            ip: row.ip,
            user_agent: row.user_agent,
            created_at: row.created_at,
            last_seen_at: row.last_seen_at,
            expires_at: row.expires_at,
        })
    }
}

/// Everything that is kept of whoever asks.
#[derive(Debug, Clone, Serialize)]
pub struct Own {
    /// Who they are, and what belongs to them.
    #[serde(flatten)]
    pub user: UserDetails,
    /// Where they are logged in.
    pub sessions: Vec<SessionEntry>,
    /// What has happened to the account, oldest first.
    pub events: Vec<Recorded>,
}

/// Everything that is kept of whoever is logged in.
///
/// # Errors
/// [`Refusal::Reauthenticate`](crate::Refusal::Reauthenticate) without a recent proof,
/// [`Refusal::Unauthenticated`](crate::Refusal::Unauthenticated) if nobody is logged in.
pub async fn own(ctx: &Ctx, visit: &Visit) -> Outcome<Own> {
    reauthenticate::demand(ctx, visit).await?;
    let user = visit.current()?.user.clone();
    let (id, mut conn) = (user.id, ctx.db.read().await?);
    let user =
        UserDetails { user: summary(&mut conn, user).await?, belongings: belongings(&mut conn, id).await? };
    let live = SessionFilter {
        user_id: Some(id),
        now: visit.now,
        limit: i64::from(PAGE),
        ..SessionFilter::default()
    };
    let sessions = sessions::search(&mut conn, &live).await?;
    let mut query = Query { user_id: Some(id), kind: None, since: None, before: None, limit: PAGE };
    let mut events = Vec::new();
    loop {
        let page = event::list(&mut conn, &query).await?;
        let full = page.len() >= PAGE as usize;
        query.before = page.first().map(|event| event.id);
        events.splice(0..0, page);
        if !full {
            break;
        }
    }
    let sessions = sessions.into_iter().filter(|row| !session::is_over(ctx, visit.now, row));
    Ok(Own { user, sessions: sessions.filter_map(SessionEntry::of).collect(), events })
}

/// What lists show of a user.
///
/// # Errors
/// [`Fault`]; so for all below.
pub async fn summary(conn: &mut Conn, user: User) -> Result<UserSummary, Fault> {
    let rows = emails::of_user(conn, user.id).await?;
    let fields = match profiles::of_user(conn, user.id).await? {
        Some(fields) => serde_json::from_str(&fields)?,
        None => Map::new(),
    };
    Ok(UserSummary {
        id: user.id,
        username: user.username,
        emails: rows
            .into_iter()
            .map(|row| EmailSummary { email: row.email, verified: row.verified, primary: row.primary })
            .collect(),
        fields,
        is_active: user.is_active,
        has_usable_password: user.password.is_some(),
        created_at: user.created_at,
        last_login_at: user.last_login_at,
    })
}

/// What belongs to a user.
///
/// # Errors
/// [`Fault`].
pub async fn belongings(conn: &mut Conn, user_id: i64) -> Result<Belongings, Fault> {
    let phone = phones::of_user(conn, user_id).await?;
    let accounts = social::of_user(conn, user_id).await?;
    let authenticators = authenticators::of_user(conn, user_id).await?;
    Ok(Belongings {
        phone: phone.map(|row| PhoneEntry { phone: row.phone, verified: row.verified }),
        providers: accounts
            .into_iter()
            .map(|row| ProviderEntry {
                id: row.id,
                provider: row.provider,
                uid: row.uid,
                extra_data: serde_json::from_str(&row.extra_data).unwrap_or_default(),
            })
            .collect(),
        authenticators: authenticators
            .into_iter()
            .map(|row| AuthenticatorEntry {
                id: row.id,
                kind: row.kind.name().to_owned(),
                name: row.name,
                created_at: row.created_at,
                last_used_at: row.last_used_at,
            })
            .collect(),
    })
}
