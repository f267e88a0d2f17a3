//! Proving again who one is, before something that a stolen session must not do.

use vestibule_base::config::AuthenticatorType;
use vestibule_base::security::clock::SECOND;
use vestibule_base::security::password::Password;
use vestibule_base::storage::authenticators;

use super::password::{self, Check};
use crate::context::Ctx;
use crate::event::Event;
use crate::refusal::{Outcome, Problem, Refusal};
use crate::session;
use crate::visit::{Current, Method, Record, Visit};

/// Ways in which a user can prove again who they are.
#[derive(Debug)]
pub struct Ways {
    /// By password.
    pub password: bool,
    /// By an authenticator of these kinds.
    pub authenticators: Vec<AuthenticatorType>,
}

/// Looks which ways a user has.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn ways(ctx: &Ctx, current: &Current) -> Outcome<Ways> {
    let mut conn = ctx.db.read().await?;
    let authenticators = authenticators::kinds(&mut conn, current.user.id).await?;
    Ok(Ways { password: current.user.password.is_some(), authenticators })
}

/// Demands a recent proof where the settings ask for one. A plain login is none.
///
/// # Errors
/// [`Refusal::Reauthenticate`] if there is none, [`Refusal::Unauthenticated`] if nobody is logged in.
pub async fn require(ctx: &Ctx, visit: &Visit) -> Outcome<()> {
    if ctx.config.account.reauthentication_required { demand(ctx, visit).await } else { Ok(()) }
}

/// The same for what concerns third parties, which has a setting of its own.
///
/// # Errors
/// As [`require`].
pub async fn require_for_providers(ctx: &Ctx, visit: &Visit) -> Outcome<()> {
    match ctx.config.socialaccount.reauthentication_required {
        Some(true) => demand(ctx, visit).await,
        Some(false) => visit.current().map(drop),
        None => require(ctx, visit).await,
    }
}

/// Demands a recent proof whatever the settings of the account say.
///
/// # Errors
/// As [`require`].
pub async fn demand(ctx: &Ctx, visit: &Visit) -> Outcome<()> {
    let current = visit.current()?;
    let lifetime = ctx.config.account.reauthentication_timeout.saturating_mul(SECOND);
    let last = current.records.iter().rev().find(|record| record.reauthenticated);
    let recent = last.is_some_and(|record| (0..lifetime).contains(&visit.now.saturating_sub(record.at)));
    if recent {
        return Ok(());
    }
    // Who has no way to prove it again could otherwise never do anything.
    let ways = ways(ctx, current).await?;
    let none = !ways.password && ways.authenticators.is_empty();
    if none { Ok(()) } else { Err(Refusal::Reauthenticate) }
}

/// Takes the password of whoever is logged in as such a proof.
///
/// # Errors
/// [`Refusal::Invalid`] if it is wrong.
pub async fn by_password(ctx: &Ctx, visit: &mut Visit, given: &Password) -> Outcome<()> {
    let user = visit.current()?.user.clone();
    match password::check(ctx, visit, given, &user).await? {
        Check::Right => {}
        Check::Wrong => return Err(Problem::incorrect_password().on("password").into()),
        Check::Exhausted => return Err(Problem::too_many_login_attempts().on("password").into()),
    }
    let mut tx = ctx.db.write().await?;
    let record = Record { reauthenticated: true, ..Record::new(Method::Password, visit.now) };
    session::add_record(&mut tx, visit, record).await?;
    ctx.record(&mut tx, visit, Event::Reauthenticated, Some(user.id), "password").await?;
    ctx.commit(tx).await
}
