//! Proving an address or a number, and going on with the login that waits for it.

use vestibule_base::storage::processes::Process;

use crate::account::verify_email::{self, Proof};
use crate::account::{process, refresh_email, verify_phone};
use crate::context::Ctx;
use crate::login::pipeline::{self, Login, Stage};
use crate::refusal::{Outcome, Refusal};
use crate::visit::Visit;

/// The login that waits for an address to be proved.
///
/// # Errors
/// [`Refusal::Conflict`] if codes are in use, nothing waits and nobody is logged in.
pub async fn email_stage(ctx: &Ctx, visit: &Visit) -> Outcome<Option<Login>> {
    let mut conn = ctx.db.read().await?;
    let login = pipeline::held(ctx, &mut conn, visit, Stage::VerifyEmail).await?;
    let by_code = ctx.config.account.email_verification_by_code_enabled;
    if login.is_none() && by_code && visit.session.user().is_none() {
        return Err(Refusal::Conflict);
    }
    Ok(login)
}

/// Proves an address. A login that waits for it goes on where it may: by code always, by link only if configured and
/// only in the session that signed up.
///
/// # Errors
/// [`Refusal::Invalid`] if the key is spent.
pub async fn email(ctx: &Ctx, visit: &mut Visit, waiting: Option<Login>, proof: Proof) -> Outcome<()> {
    let account = &ctx.config.account;
    let mut tx = ctx.db.write().await?;
    verify_email::confirm(ctx, &mut tx, visit, &proof).await?;
    refresh_email(&mut tx, visit).await?;
    if let Some(login) = waiting {
        let logs_in = account.email_verification_by_code_enabled || account.login_on_email_confirmation;
        let own = login.user.as_ref().is_some_and(|user| user.id == proof.user.id);
        if logs_in && own {
            pipeline::resume(ctx, &mut tx, visit, login, Stage::VerifyEmail).await?;
        } else {
            pipeline::abandon(&mut tx, visit).await?;
        }
    }
    ctx.commit(tx).await
}

/// The verification of a number that this session awaits, and the login that waits for it, if any.
///
/// # Errors
/// [`Refusal::Conflict`] if there is none.
pub async fn phone_awaited(ctx: &Ctx, visit: &Visit) -> Outcome<(Option<Login>, Process)> {
    let mut conn = ctx.db.read().await?;
    let login = pipeline::held(ctx, &mut conn, visit, Stage::VerifyPhone).await?;
    drop(conn);
    if login.is_none() && visit.session.user().is_none() {
        return Err(Refusal::Conflict);
    }
    let process = process::awaited(ctx, visit, process::Kind::VerifyPhone).await?.ok_or(Refusal::Conflict)?;
    Ok((login, process))
}

/// Proves a number; a login that waits for it goes on.
///
/// # Errors
/// [`Refusal::Invalid`] for a wrong code.
pub async fn phone(
    ctx: &Ctx,
    visit: &mut Visit,
    awaited: (Option<Login>, Process),
    code: &str,
) -> Outcome<()> {
    let (login, process) = awaited;
    let process = verify_phone::look(ctx, visit, &process, code).await?;
    let mut tx = ctx.db.write().await?;
    verify_phone::confirm(&mut tx, visit, &process).await?;
    if let Some(login) = login {
        pipeline::resume(ctx, &mut tx, visit, login, Stage::VerifyPhone).await?;
    }
    ctx.commit(tx).await
}
