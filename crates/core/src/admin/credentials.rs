//! What users log in with, as an operator changes it. Whoever is in with what was changed is out.

use vestibule_base::security::password::Password;
use vestibule_base::storage::{authenticators, social, users};

use super::{AdminError, close, locked};
use crate::context::Ctx;
use crate::event::Event;
use crate::mfa;
use crate::refusal::Fault;

/// Gives a user another password, or none; all their sessions end. It is not judged: operators know what they do.
///
/// # Errors
/// [`AdminError`]; so for all below.
pub async fn set_password(ctx: &Ctx, id: i64, password: Option<&Password>) -> Result<(), AdminError> {
    let hash = match password {
        Some(password) => Some(ctx.hashes.hash(password).await.map_err(Fault::from)?),
        None => None,
    };
    let mut tx = ctx.db.write().await?;
    locked(&mut tx, id).await?;
    users::set_password(&mut tx, id, hash.as_ref()).await?;
    close(&mut tx, id).await?;
    ctx.record_operator(&mut tx, Event::PasswordChanged, id).await?;
    ctx.commit(tx).await?;
    Ok(())
}

/// Removes the second factors of a user who has lost them, and ends all their sessions.
///
/// # Errors
/// [`AdminError`].
pub async fn remove_authenticators(ctx: &Ctx, id: i64) -> Result<(), AdminError> {
    let mut tx = ctx.db.write().await?;
    locked(&mut tx, id).await?;
    authenticators::delete_of_user(&mut tx, id).await?;
    close(&mut tx, id).await?;
    ctx.record_operator(&mut tx, Event::AuthenticatorRemoved, id).await?;
    ctx.commit(tx).await?;
    Ok(())
}

/// Removes one of them, and the recovery codes if nothing is left that they would stand in for; all sessions of the user
/// end.
///
/// # Errors
/// [`AdminError::NotFound`] if the user has none of this id.
pub async fn remove_authenticator(ctx: &Ctx, user_id: i64, id: i64) -> Result<(), AdminError> {
    let mut tx = ctx.db.write().await?;
    locked(&mut tx, user_id).await?;
    let found = authenticators::of_user(&mut tx, user_id).await?;
    let row = found.iter().find(|row| row.id == id).ok_or(AdminError::NotFound("authenticator"))?;
    let removed = mfa::take_away(&mut tx, row).await?;
    close(&mut tx, user_id).await?;
    for _ in removed {
        ctx.record_operator(&mut tx, Event::AuthenticatorRemoved, user_id).await?;
    }
    ctx.commit(tx).await?;
    Ok(())
}

/// Disconnects an account at a third party, be it the last way in, and ends all sessions of the user.
///
/// # Errors
/// [`AdminError::NotFound`] if the user has none of this id.
pub async fn remove_provider(ctx: &Ctx, user_id: i64, id: i64) -> Result<(), AdminError> {
    let mut tx = ctx.db.write().await?;
    locked(&mut tx, user_id).await?;
    let found = social::of_user(&mut tx, user_id).await?;
    if !found.iter().any(|account| account.id == id) {
        return Err(AdminError::NotFound("account at a third party"));
    }
    social::delete(&mut tx, id).await?;
    close(&mut tx, user_id).await?;
    ctx.record_operator(&mut tx, Event::ProviderDisconnected, user_id).await?;
    ctx.commit(tx).await?;
    Ok(())
}
