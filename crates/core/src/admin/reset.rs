//! A password reset that an operator has mailed.

use vestibule_base::delivery::Mail;

use super::{AdminError, locked};
use crate::account::{EmailAddress, by_email, primary_email, recovery};
use crate::context::Ctx;
use crate::event::Event;

/// Mails a link by which a user can choose another password, to their primary address; gives that.
///
/// # Errors
/// [`AdminError::Refused`] if the user cannot reset their password by themselves either: they are inactive, have no address, or
/// one that somebody else has proved; or if resets are by code, which works in the browser alone that asked for it.
pub async fn send_reset(ctx: &Ctx, id: i64) -> Result<String, AdminError> {
    if ctx.config.account.password_reset_by_code_enabled {
        return Err(AdminError::Refused(
            "resets are by code (account.password_reset_by_code_enabled), which the user has to ask for in their own browser",
        ));
    }
    let mut tx = ctx.db.write().await?;
    let user = locked(&mut tx, id).await?;
    if !user.is_active {
        return Err(AdminError::Refused("the user is not active"));
    }
    let longest = ctx.config.account.email_max_length as usize;
    let primary = primary_email(&mut tx, id).await?;
    let email = primary.and_then(|email| EmailAddress::parse(&email, longest));
    let Some(email) = email else {
        return Err(AdminError::Refused("the user has no email address"));
    };
    if !by_email(&mut tx, &email).await?.iter().any(|found| found.id == id) {
        return Err(AdminError::Refused("the address is not verified, and another account has verified it"));
    }
    let now = ctx.clock.now();
    let kind = recovery::link(ctx, &mut tx, now, &user, &email).await?;
    let mail = Mail { to: email.as_str().to_owned(), language: ctx.config.server.language, kind };
    ctx.delivery.mail(&mut tx, now, &mail).await.map_err(crate::Fault::from)?;
    ctx.record_operator(&mut tx, Event::PasswordResetRequested, id).await?;
    ctx.commit(tx).await?;
    Ok(email.as_str().to_owned())
}
