//! Logging in with a passkey alone, and the end of a signup with one.

use serde_json::Value;
use vestibule_base::security::webauthn::{CreationOptions, RequestOptions};
use vestibule_base::storage::users::{self, User};
use vestibule_base::storage::{Conn, authenticators};

use super::second_factor;
use crate::consult::{self, Admitted};
use crate::context::Ctx;
use crate::login::pipeline::{self, Login, Stage, State};
use crate::mfa::Used;
use crate::mfa::webauthn::{self, NewKey, Purpose};
use crate::refusal::{Outcome, Refusal};
use crate::visit::{Method, Record, Visit};

/// Counts a try to log in by its network, before anybody looks at it.
///
/// # Errors
/// [`Refusal::Limited`] if there were too many.
pub async fn count(ctx: &Ctx, visit: &Visit) -> Outcome<()> {
    ctx.limit_network(visit, "webauthn_login", ctx.config.mfa.rate_limits.webauthn_login.as_slice()).await
}

/// Asks for any passkey.
///
/// # Errors
/// [`Refusal::Conflict`] if the session has ended meanwhile.
pub async fn options(ctx: &Ctx, visit: &mut Visit) -> Outcome<RequestOptions> {
    webauthn::login_options(ctx, visit).await
}

/// Logs in with what a passkey has signed. No further factor is asked for; every other stage is passed as ever.
///
/// # Errors
/// [`Refusal::Invalid`] if it is no good, whatever the reason; [`Refusal::Conflict`] if somebody is logged in already.
pub async fn login(ctx: &Ctx, visit: &mut Visit, sent: Value) -> Outcome<()> {
    if visit.session.user().is_some() {
        return Err(Refusal::Conflict);
    }
    let (used, user, tx) = webauthn::log_in(ctx, visit, sent).await?;
    let (admitted, mut tx) = admit(ctx, visit, &user, &used, tx).await?;
    let record = Record { passwordless: true, ..used.record(visit) };
    let state = State { records: vec![record], ..State::default() };
    let login = Login { user: Some(user), state, ..Login::default() };
    pipeline::enter(ctx, &mut tx, visit, login, &admitted).await?;
    ctx.commit(tx).await
}

/// Asks whether somebody may log in, with what the key says of itself noted and no transaction open; gives the next one.
async fn admit(ctx: &Ctx, visit: &Visit, user: &User, used: &Used, tx: Conn) -> Outcome<(Admitted, Conn)> {
    if ctx.hooks.is_none() {
        return Ok((consult::before_login(ctx, visit, user, Method::Mfa).await?, tx));
    }
    tx.commit().await?;
    let admitted = consult::before_login(ctx, visit, user, Method::Mfa).await?;
    let mut tx = ctx.db.write().await?;
    users::lock(&mut tx, user.id).await?;
    // The key may have been removed meanwhile.
    let still = authenticators::of_user(&mut tx, user.id).await?.iter().any(|row| row.id == used.id);
    if still { Ok((admitted, tx)) } else { Err(Refusal::Conflict) }
}

/// The user whose signup waits for a passkey.
///
/// # Errors
/// [`Refusal::Conflict`] if none does.
pub async fn signup_awaited(ctx: &Ctx, visit: &Visit) -> Outcome<User> {
    let awaited = second_factor::awaited(ctx, visit, Stage::MfaSignupWebauthn).await;
    awaited.map_err(|refusal| match refusal {
        Refusal::Unauthenticated => Refusal::Conflict,
        refusal => refusal,
    })
}

/// Asks for the passkey of a new account.
///
/// # Errors
/// [`Refusal::Conflict`] if the session has ended meanwhile.
pub async fn signup_options(ctx: &Ctx, visit: &mut Visit, user: &User) -> Outcome<CreationOptions> {
    webauthn::new_key_options(ctx, visit, Purpose::Signup, user, true).await
}

/// Adds the passkey of a new account: the login goes on.
///
/// # Errors
/// [`Refusal::Invalid`] if it is no good, [`Refusal::Conflict`] if nothing waits any more.
pub async fn finish_signup(ctx: &Ctx, visit: &mut Visit, user: &User, new: NewKey) -> Outcome<()> {
    let credential = webauthn::registered(ctx, visit, Purpose::Signup, user.id, new.sent).await?;
    let mut tx = ctx.db.write().await?;
    users::lock(&mut tx, user.id).await?;
    let login = second_factor::take(ctx, &mut tx, visit, user, Stage::MfaSignupWebauthn).await?;
    webauthn::insert(ctx, &mut tx, visit, user.id, new.name, credential).await?;
    pipeline::resume(ctx, &mut tx, visit, login, Stage::MfaSignupWebauthn).await?;
    ctx.commit(tx).await
}
