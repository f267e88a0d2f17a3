//! Going on with a login that waits for its second factor, or for the answer whether to trust this browser.

use serde_json::Value;
use vestibule_base::security::webauthn::RequestOptions;
use vestibule_base::storage::users::User;
use vestibule_base::storage::{Conn, users};

use crate::context::Ctx;
use crate::login::pipeline::{self, Login, Stage};
use crate::mfa::webauthn::{self, Purpose};
use crate::mfa::{self, Used, trust};
use crate::refusal::{Outcome, Refusal};
use crate::session;
use crate::visit::Visit;

/// The user whose login waits at `stage`.
///
/// # Errors
/// [`Refusal::Unauthenticated`] if none does.
pub async fn awaited(ctx: &Ctx, visit: &Visit, stage: Stage) -> Outcome<User> {
    let mut conn = ctx.db.read().await?;
    let login = pipeline::held(ctx, &mut conn, visit, stage).await?;
    login.and_then(|login| login.user).ok_or(Refusal::Unauthenticated)
}

/// Takes a code of one of the user's authenticators: the login goes on.
///
/// # Errors
/// [`Refusal::Invalid`] if it is wrong, or if too many were tried; [`Refusal::Conflict`] if nothing waits any more.
pub async fn authenticate(ctx: &Ctx, visit: &mut Visit, user: &User, typed: &str) -> Outcome<()> {
    let (used, tx) = mfa::spend(ctx, visit, user.id, typed).await?;
    go_on(ctx, tx, visit, user, used).await
}

/// What to ask the user's keys for.
///
/// # Errors
/// [`Refusal::Conflict`] if the session has ended meanwhile.
pub async fn key_options(ctx: &Ctx, visit: &mut Visit, user: &User) -> Outcome<RequestOptions> {
    webauthn::request_options(ctx, visit, Purpose::Authenticate, user.id).await
}

/// Takes what one of the user's keys has signed: the login goes on.
///
/// # Errors
/// As [`authenticate`].
pub async fn by_key(ctx: &Ctx, visit: &mut Visit, user: &User, sent: Value) -> Outcome<()> {
    let (used, tx) = webauthn::spend(ctx, visit, Purpose::Authenticate, user.id, sent).await?;
    go_on(ctx, tx, visit, user, used).await
}

async fn go_on(ctx: &Ctx, mut tx: Conn, visit: &mut Visit, user: &User, used: Used) -> Outcome<()> {
    let mut login = take(ctx, &mut tx, visit, user, Stage::MfaAuthenticate).await?;
    login.state.records.push(used.record(visit));
    pipeline::resume(ctx, &mut tx, visit, login, Stage::MfaAuthenticate).await?;
    ctx.commit(tx).await
}

/// Takes the answer whether this browser is to be trusted: the login goes on either way.
///
/// # Errors
/// [`Refusal::Conflict`] if nothing waits any more.
pub async fn trust(ctx: &Ctx, visit: &mut Visit, user: &User, trusts: bool) -> Outcome<()> {
    let mut tx = ctx.db.write().await?;
    users::lock(&mut tx, user.id).await?;
    let login = take(ctx, &mut tx, visit, user, Stage::MfaTrust).await?;
    let token = match &login.user {
        Some(user) if trusts => Some(trust::issue(ctx, &mut tx, visit, user).await?),
        _ => None,
    };
    pipeline::resume(ctx, &mut tx, visit, login, Stage::MfaTrust).await?;
    ctx.commit(tx).await?;
    visit.trusted = token;
    Ok(())
}

/// Takes the login out of its session, as it is now that nobody else can change it: it must still be this user's (L2).
pub(super) async fn take(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &Visit,
    user: &User,
    stage: Stage,
) -> Outcome<Login> {
    session::lock(tx, visit.session.id().ok_or(Refusal::Conflict)?).await?;
    let login = pipeline::held(ctx, tx, visit, stage).await?;
    let login = login.filter(|login| login.user.as_ref().is_some_and(|now| now.id == user.id));
    let login = login.ok_or(Refusal::Conflict)?;
    pipeline::take(tx, visit).await?;
    Ok(login)
}
