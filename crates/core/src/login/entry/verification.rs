//! Proving an address or a number, and going on with the login that waits for it.

use vestibule_base::storage::processes::Process;
use vestibule_base::storage::users;

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
    let own = waiting
        .as_ref()
        .is_some_and(|login| login.user.as_ref().is_some_and(|user| user.id == proof.user.id));
    let from_elsewhere = !own && visit.session.user().is_none_or(|current| current.user.id != proof.user.id);
    let mut tx = ctx.db.write().await?;
    users::lock(&mut tx, proof.user.id).await?;
    if waiting.is_some() {
        pipeline::take(&mut tx, visit).await?;
    }
    verify_email::confirm(ctx, &mut tx, visit, &proof, from_elsewhere).await?;
    refresh_email(&mut tx, visit).await?;
    let logs_in = account.email_verification_by_code_enabled || account.login_on_email_confirmation;
    if let Some(login) = waiting.filter(|_| logs_in && own) {
        pipeline::resume(ctx, &mut tx, visit, login, Stage::VerifyEmail).await?;
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

/// The verification of a number that a login of this session waits for. A change of number while logged in is none: it
/// is asked for again instead, as in the reference.
///
/// # Errors
/// [`Refusal::Conflict`] if no login waits.
pub async fn phone_stage(ctx: &Ctx, visit: &Visit) -> Outcome<Process> {
    match phone_awaited(ctx, visit).await? {
        (Some(_), process) => Ok(process),
        (None, _) => Err(Refusal::Conflict),
    }
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
    process::lock(&mut tx, &process).await?;
    if let Some(login) = &login {
        if login.user.as_ref().map(|user| user.id) != process.user_id {
            return Err(Refusal::Conflict);
        }
        pipeline::take(&mut tx, visit).await?;
    }
    verify_phone::confirm(ctx, &mut tx, visit, &process).await?;
    if let Some(login) = login {
        pipeline::resume(ctx, &mut tx, visit, login, Stage::VerifyPhone).await?;
    }
    ctx.commit(tx).await
}
