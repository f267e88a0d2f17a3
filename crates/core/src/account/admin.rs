//! What an operator does with accounts, from the command line.

use serde::Serialize;
use serde_json::{Map, Value};
use vestibule_base::security::Millis;
use vestibule_base::security::password::Password;
use vestibule_base::storage::users::{self, User};
use vestibule_base::storage::{Conn, StorageError, authenticators, emails, profiles, sessions};

use super::address::EmailAddress;
use super::password::forget_under_way;
use super::username::{self, Username};
use crate::context::Ctx;
use crate::event::Event;
use crate::refusal::Fault;

/// Why an operator's order was not carried out. One line each.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No such user.
    #[error("there is no user {0}")]
    Unknown(String),
    /// The name or address is in use.
    #[error("an account with this {0} exists")]
    Taken(&'static str),
    /// An input is no good.
    #[error("{0}")]
    Invalid(String),
    /// The server could not.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<StorageError> for AdminError {
    fn from(error: StorageError) -> Self {
        Self::Fault(error.into())
    }
}

/// A user as an operator sees them.
#[derive(Debug, Clone, Serialize)]
pub struct UserSummary {
    /// Id.
    pub id: i64,
    /// Name.
    pub username: Option<String>,
    /// Addresses.
    pub emails: Vec<EmailSummary>,
    /// What they entered in the extra fields of the signup.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
    /// Whether they can log in.
    pub is_active: bool,
    /// Whether they have a password.
    pub has_usable_password: bool,
    /// When the account was made, in milliseconds since 1970.
    pub created_at: Millis,
    /// When they last logged in, in milliseconds since 1970.
    pub last_login_at: Option<Millis>,
}

/// An address as an operator sees it.
#[derive(Debug, Clone, Serialize)]
pub struct EmailSummary {
    /// The address.
    pub email: String,
    /// Whether it is proved.
    pub verified: bool,
    /// Whether it is the primary one.
    pub primary: bool,
}

/// A user to be made.
#[derive(Debug, Default)]
pub struct NewUser {
    /// Address.
    pub email: Option<String>,
    /// Name; made up if there is none.
    pub username: Option<String>,
    /// Password; none: the account has none.
    pub password: Option<Password>,
    /// Whether the address counts as proved.
    pub verified: bool,
}

/// Makes a user. Passwords are not judged: operators know what they do.
///
/// # Errors
/// [`AdminError`].
pub async fn create(ctx: &Ctx, new: NewUser) -> Result<UserSummary, AdminError> {
    let longest = ctx.config.account.email_max_length as usize;
    let email = new
        .email
        .as_deref()
        .map(|typed| EmailAddress::parse(typed, longest).ok_or_else(|| invalid(typed, "is no email address")))
        .transpose()?;
    let name = match new.username.as_deref() {
        Some(typed) => {
            Username::parse(&ctx.config.account, typed).map_err(|p| invalid(typed, &p.message.to_string()))?
        }
        None => made_up(ctx, email.as_ref())?,
    };
    let hash = match &new.password {
        Some(password) => Some(ctx.hashes.hash(password).await.map_err(Fault::from)?),
        None => None,
    };
    let mut tx = ctx.db.write().await?;
    let id = users::insert(&mut tx, Some(name.as_str()), Some(&name.key()), hash.as_ref(), ctx.clock.now())
        .await?
        .ok_or(AdminError::Taken("username"))?;
    if let Some(email) = email {
        let claim = ctx.config.account.unique_email;
        if let Err(error) = emails::insert(&mut tx, id, email.as_str(), new.verified, true, claim).await {
            return Err(if matches!(error, StorageError::Taken) {
                AdminError::Taken("email address")
            } else {
                error.into()
            });
        }
    }
    let user = required(users::find(&mut tx, id).await?, "just made")?;
    let made = summary(&mut tx, user).await?;
    ctx.record_operator(&mut tx, Event::SignedUp, id).await?;
    tx.commit().await?;
    Ok(made)
}

/// Users with ids above `after`, in order, `limit` at most.
///
/// # Errors
/// [`AdminError`].
pub async fn list(ctx: &Ctx, after: i64, limit: i64) -> Result<Vec<UserSummary>, AdminError> {
    let mut conn = ctx.db.read().await?;
    let mut found = Vec::new();
    for user in users::list(&mut conn, after, limit).await? {
        found.push(summary(&mut conn, user).await?);
    }
    Ok(found)
}

/// The user with this id, address or name.
///
/// # Errors
/// [`AdminError::Unknown`].
pub async fn find(ctx: &Ctx, who: &str) -> Result<UserSummary, AdminError> {
    let mut conn = ctx.db.read().await?;
    if let Ok(id) = who.parse::<i64>()
        && let Some(user) = users::find(&mut conn, id).await?
    {
        return summary(&mut conn, user).await;
    }
    if let Some(email) = EmailAddress::parse(who, ctx.config.account.email_max_length as usize)
        && let Some(row) = emails::with_address(&mut conn, email.as_str()).await?.first()
    {
        let user = users::find(&mut conn, row.user_id).await?;
        return summary(&mut conn, required(user, who)?).await;
    }
    let user = users::find_by_username(&mut conn, &username::key(who)).await?;
    summary(&mut conn, required(user, who)?).await
}

/// Gives a user another password; all their sessions end.
///
/// # Errors
/// [`AdminError`].
pub async fn set_password(ctx: &Ctx, id: i64, password: &Password) -> Result<(), AdminError> {
    let hash = ctx.hashes.hash(password).await.map_err(Fault::from)?;
    let mut tx = ctx.db.write().await?;
    required(users::find(&mut tx, id).await?, &id.to_string())?;
    users::set_password(&mut tx, id, Some(&hash)).await?;
    close(&mut tx, id).await?;
    ctx.record_operator(&mut tx, Event::PasswordChanged, id).await?;
    tx.commit().await?;
    Ok(())
}

/// Lets a user log in, or no longer; with `false` all their sessions end at once.
///
/// # Errors
/// [`AdminError`].
pub async fn set_active(ctx: &Ctx, id: i64, active: bool) -> Result<(), AdminError> {
    let mut tx = ctx.db.write().await?;
    if !users::set_active(&mut tx, id, active).await? {
        return Err(AdminError::Unknown(id.to_string()));
    }
    if !active {
        close(&mut tx, id).await?;
    }
    let event = if active { Event::Activated } else { Event::Deactivated };
    ctx.record_operator(&mut tx, event, id).await?;
    tx.commit().await?;
    Ok(())
}

/// Removes the second factors of a user who has lost them, and ends all their sessions.
///
/// # Errors
/// [`AdminError`].
pub async fn remove_authenticators(ctx: &Ctx, id: i64) -> Result<(), AdminError> {
    let mut tx = ctx.db.write().await?;
    users::lock(&mut tx, id).await?;
    required(users::find(&mut tx, id).await?, &id.to_string())?;
    authenticators::delete_of_user(&mut tx, id).await?;
    close(&mut tx, id).await?;
    ctx.record_operator(&mut tx, Event::AuthenticatorRemoved, id).await?;
    tx.commit().await?;
    Ok(())
}

/// Removes a user and all that is theirs.
///
/// # Errors
/// [`AdminError`].
pub async fn delete(ctx: &Ctx, id: i64) -> Result<(), AdminError> {
    let mut tx = ctx.db.write().await?;
    if !users::delete(&mut tx, id).await? {
        return Err(AdminError::Unknown(id.to_string()));
    }
    ctx.record_operator(&mut tx, Event::Deleted, id).await?;
    tx.commit().await?;
    Ok(())
}

fn made_up(ctx: &Ctx, email: Option<&EmailAddress>) -> Result<Username, AdminError> {
    let base = email.map_or("user", EmailAddress::local_part);
    for attempt in 0..8 {
        if let Some(name) = username::make_up(&ctx.config.account, base, attempt).map_err(Fault::from)? {
            return Ok(name);
        }
    }
    Err(invalid(base, "no username can be made of this; give one"))
}

async fn close(tx: &mut Conn, id: i64) -> Result<(), AdminError> {
    sessions::end_of_user(tx, id, None).await?;
    forget_under_way(tx, id).await.map_err(|refusal| match refusal {
        crate::Refusal::Fault(fault) => AdminError::Fault(fault),
        other => AdminError::Invalid(other.to_string()),
    })
}

async fn summary(conn: &mut Conn, user: User) -> Result<UserSummary, AdminError> {
    let rows = emails::of_user(conn, user.id).await?;
    let fields = match profiles::of_user(conn, user.id).await? {
        Some(fields) => serde_json::from_str(&fields).map_err(Fault::from)?,
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

fn required(user: Option<User>, who: &str) -> Result<User, AdminError> {
    user.ok_or_else(|| AdminError::Unknown(who.to_owned()))
}

fn invalid(typed: &str, what: &str) -> AdminError {
    AdminError::Invalid(format!("{typed:?}: {what}"))
}
