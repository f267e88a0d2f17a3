//! Users, as an operator makes, sees, changes and deletes them.

use vestibule_base::security::password::Password;
use vestibule_base::storage::users;
use vestibule_base::storage::{StorageError, emails};

use super::{AdminError, close, invalid, locked, required};
use crate::account::EmailAddress;
use crate::account::username::{self, Username};
use crate::context::Ctx;
use crate::dossier::{UserDetails, UserSummary, belongings, summary};
use crate::event::Event;
use crate::refusal::Fault;

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
    ctx.commit(tx).await?;
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
        return Ok(summary(&mut conn, user).await?);
    }
    if let Some(email) = EmailAddress::parse(who, ctx.config.account.email_max_length as usize)
        && let Some(row) = emails::with_address(&mut conn, email.as_str()).await?.first()
    {
        let user = users::find(&mut conn, row.user_id).await?;
        return Ok(summary(&mut conn, required(user, who)?).await?);
    }
    let user = users::find_by_username(&mut conn, &username::key(who)).await?;
    Ok(summary(&mut conn, required(user, who)?).await?)
}

/// The same with all that belongs to them.
///
/// # Errors
/// [`AdminError::Unknown`].
pub async fn details(ctx: &Ctx, who: &str) -> Result<UserDetails, AdminError> {
    let user = find(ctx, who).await?;
    let belongings = belongings(&mut ctx.db.read().await?, user.id).await?;
    Ok(UserDetails { user, belongings })
}

/// Takes an address of a user for verified: the operator knows that it is theirs.
///
/// # Errors
/// [`AdminError::NotFound`] if it is none of theirs, [`AdminError::Taken`] if another account has verified it.
pub async fn verify_email(ctx: &Ctx, id: i64, typed: &str) -> Result<UserSummary, AdminError> {
    let longest = ctx.config.account.email_max_length as usize;
    let email = EmailAddress::parse(typed, longest).ok_or_else(|| invalid(typed, "is no email address"))?;
    let mut tx = ctx.db.write().await?;
    let user = locked(&mut tx, id).await?;
    let rows = emails::of_user(&mut tx, id).await?;
    let row = rows.iter().find(|row| row.email == email.as_str());
    let row = row.ok_or(AdminError::NotFound("email address of this user"))?;
    if !row.verified {
        match emails::set_verified(&mut tx, row, ctx.config.account.unique_email).await {
            Err(StorageError::Taken) => return Err(AdminError::Taken("email address")),
            done => done?,
        }
        ctx.record_operator(&mut tx, Event::EmailVerified, id).await?;
    }
    let user = summary(&mut tx, user).await?;
    ctx.commit(tx).await?;
    Ok(user)
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
    ctx.commit(tx).await?;
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
    ctx.commit(tx).await?;
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
