//! Passwords: judging, changing, and checking the one that somebody gives.

use vestibule_base::config::{Action, Validator as Configured};
use vestibule_base::delivery::MailKind;
use vestibule_base::ratelimit::{self, Usage};
use vestibule_base::security::password::{
    self as hashing, Attribute, MIN_LENGTH_WITHOUT_VALIDATORS, Password, PasswordHash, Validator,
};
use vestibule_base::storage::users::{self, User};
use vestibule_base::storage::{Conn, links, logins, processes, sessions};

use crate::context::Ctx;
use crate::event::Event;
use crate::refusal::{Outcome, Problem, Refusal};
use crate::session;
use crate::token;
use crate::visit::Visit;

/// Judges a new password against the validators, the attributes of its account, and the breach service if there is
/// one. Gives all that is wrong with it.
///
/// # Errors
/// [`Refusal::Fault`] if the breach service does not answer: nothing fails open.
pub async fn judge(
    ctx: &Ctx,
    password: &Password,
    username: Option<&str>,
    email: Option<&str>,
) -> Outcome<Vec<Problem>> {
    let mut problems = weaknesses(ctx, password, username, email);
    if problems.is_empty() && breached(ctx, password).await? {
        problems.push(Problem::password_breached());
    }
    Ok(problems)
}

/// What the validators have against a password.
pub(super) fn weaknesses(
    ctx: &Ctx,
    password: &Password,
    username: Option<&str>,
    email: Option<&str>,
) -> Vec<Problem> {
    let named = username.map(|name| (Attribute::Username, name)).into_iter();
    let attributes: Vec<_> = named.chain(email.map(|email| (Attribute::Email, email))).collect();
    let found = hashing::validate(&validators(ctx), password.expose(), &attributes);
    found.into_iter().map(Problem::from).collect()
}

fn validators(ctx: &Ctx) -> Vec<Validator> {
    let configured = &ctx.config.passwords.validators;
    if configured.is_empty() {
        return vec![Validator::MinimumLength { min_length: MIN_LENGTH_WITHOUT_VALIDATORS }];
    }
    configured
        .iter()
        .map(|validator| match *validator {
            Configured::UserAttributeSimilarity { max_similarity } => {
                Validator::UserAttributeSimilarity { max_similarity }
            }
            Configured::MinimumLength { min_length } => {
                Validator::MinimumLength { min_length: min_length as usize }
            }
            Configured::CommonPassword => Validator::Common,
            Configured::NumericPassword => Validator::Numeric,
        })
        .collect()
}

async fn breached(ctx: &Ctx, password: &Password) -> Outcome<bool> {
    let Some(base) = ctx.config.passwords.pwned_range_url.as_deref() else { return Ok(false) };
    let (prefix, suffix) = hashing::range_of(password);
    let url = format!("{}/{}", base.trim_end_matches('/'), prefix.as_str());
    let body = ctx.outbound.configured(&url)?.get_text(&[("Add-Padding", "true")]).await?.success()?;
    Ok(hashing::appears(&body, &suffix, 1))
}

/// What came of a password that somebody gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// It is the right one.
    Right,
    /// It is not.
    Wrong,
    /// Too many were tried: the right one would not do either.
    Exhausted,
}

/// Checks the password of a user, counting failures by network and account (P1, P2).
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn check(ctx: &Ctx, visit: &Visit, password: &Password, user: &User) -> Outcome<Check> {
    let candidates = std::slice::from_ref(user);
    let mut tx = ctx.db.write().await?;
    let usage = count(ctx, &mut tx, visit, candidates, "").await?;
    tx.commit().await?;
    let Some(usage) = usage else { return Ok(Check::Exhausted) };
    if find(ctx, visit, password, candidates).await?.is_none() {
        return Ok(Check::Wrong);
    }
    let mut tx = ctx.db.write().await?;
    ratelimit::forgive(&mut tx, usage).await?;
    tx.commit().await?;
    Ok(Check::Right)
}

/// Counts a try as a failure before it is known to be one, so that no number of tries at once is more than allowed: to be
/// forgiven if the password turns out right. `None` if too many have failed. `candidates` are the accounts that were
/// named (failures count for the first); `key` names the account where there is none.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn count(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &Visit,
    candidates: &[User],
    key: &str,
) -> Outcome<Option<Usage>> {
    let key = candidates.first().map_or_else(|| key.to_owned(), |user| format!("user:{}", user.id));
    ctx.try_limit(tx, visit, Action::LoginFailed, Some(&key)).await
}

/// The candidate whose password this is. Costs one hash at least.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn find<'a>(
    ctx: &Ctx,
    visit: &Visit,
    password: &Password,
    candidates: &'a [User],
) -> Outcome<Option<&'a User>> {
    if candidates.is_empty() {
        ctx.hashes.verify(password, None).await?;
    }
    for user in candidates {
        if ctx.hashes.verify(password, user.password.as_ref()).await? {
            return Ok(Some(user));
        }
    }
    let named = candidates.first().map(|user| user.id);
    ctx.record_alone(visit, Event::LoginFailed, named, "password").await?;
    Ok(None)
}

/// A new hash of the right password of a user, if the one that is stored is out of date.
pub async fn rehash(ctx: &Ctx, password: &Password, user: &User) -> Option<PasswordHash> {
    let outdated =
        user.password.as_ref().is_some_and(|hash| hashing::needs_rehash(hash, ctx.hashes.params()));
    // When the hashers are busy, it can wait for the next login.
    if outdated { ctx.hashes.hash(password).await.ok() } else { None }
}

/// Stores the same password hashed anew; the sessions opened under it stay. `false` if it was changed or hashed anew
/// meanwhile: the user is then out of date.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn upgrade(ctx: &Ctx, tx: &mut Conn, user: &mut User, fresh: PasswordHash) -> Outcome<bool> {
    if !users::replace_password(tx, user.id, user.password.as_ref(), &fresh).await? {
        return Ok(false);
    }
    let before = session::possible_marks(&ctx.keyring, user);
    user.password = Some(fresh);
    let after = session::mark(&ctx.keyring, user);
    for mark in before {
        sessions::remark(tx, user.id, &mark, &after).await?;
    }
    Ok(true)
}

/// Checks a password that was right a moment ago against what is stored now.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn recheck(ctx: &Ctx, given: &Password, user_id: i64) -> Outcome<Option<User>> {
    let mut conn = ctx.db.read().await?;
    let user = users::find(&mut conn, user_id).await?.filter(|user| user.is_active);
    drop(conn);
    let Some(user) = user else { return Ok(None) };
    Ok(ctx.hashes.verify(given, user.password.as_ref()).await?.then_some(user))
}

/// A change of password, as it was asked for.
#[derive(Debug)]
pub struct Change {
    /// The present password, which an account with one must give.
    pub current: Option<Password>,
    /// The new one.
    pub new: Password,
}

/// Changes the password of whoever is logged in, or sets a first one. All other sessions and everything under way for
/// the account end; the session gets a new token, or ends too if `logout_on_password_change` is on.
///
/// # Errors
/// [`Refusal::Invalid`] for a wrong present password or a weak new one.
pub async fn change(ctx: &Ctx, visit: &mut Visit, change: Change) -> Outcome<()> {
    let current = visit.current()?.clone();
    let mut problems = Vec::new();
    if current.user.password.is_some() {
        let Some(given) = &change.current else {
            return Err(Problem::required().on("current_password").into());
        };
        match check(ctx, visit, given, &current.user).await? {
            Check::Right => {}
            Check::Wrong => problems.push(Problem::enter_current_password().on("current_password")),
            Check::Exhausted => return Err(Problem::too_many_login_attempts().on("current_password").into()),
        }
    }
    let weak = judge(ctx, &change.new, current.user.username.as_deref(), current.email.as_deref()).await?;
    problems.extend(weak.into_iter().map(|problem| problem.on("new_password")));
    if !problems.is_empty() {
        return Err(Refusal::Invalid(problems));
    }
    let fresh = ctx.hashes.hash(&change.new).await?;
    let mut tx = ctx.db.write().await?;
    // Hashing has taken its time: whoever was shut out or logged out meanwhile does not come in again by this.
    users::lock(&mut tx, current.user.id).await?;
    let active = users::find(&mut tx, current.user.id).await?.is_some_and(|user| user.is_active);
    if !active || !session::lock(&mut tx, current.session_id).await? {
        return Err(Refusal::Unauthenticated);
    }
    let first = current.user.password.is_none();
    if !users::replace_password(&mut tx, current.user.id, current.user.password.as_ref(), &fresh).await? {
        return Err(Refusal::Conflict);
    }
    let user = User { password: Some(fresh), ..current.user };
    let user_id = user.id;
    let kind = if first { MailKind::PasswordSet } else { MailKind::PasswordChanged };
    ctx.notify(&mut tx, visit, current.email.as_deref(), kind).await?;
    let event = if first { Event::PasswordSet } else { Event::PasswordChanged };
    ctx.record(&mut tx, visit, event, Some(user_id), "").await?;
    let ends = ctx.config.account.logout_on_password_change;
    if ends {
        sessions::end_of_user(&mut tx, user_id, None).await?;
    } else {
        session::renew(ctx, &mut tx, visit, user).await?;
        token::grant(ctx, &mut tx, visit).await?;
    }
    forget_under_way(&mut tx, user_id).await?;
    ctx.commit(tx).await?;
    if ends { session::end(ctx, visit).await } else { Ok(()) }
}

/// Ends logins, codes and links that are under way for an account: they were begun under the old password (H2).
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn forget_under_way(tx: &mut Conn, user_id: i64) -> Outcome<()> {
    // In the order in which the end of a session takes them along, or the two could wait for each other.
    logins::delete_of_user(tx, user_id).await?;
    processes::delete_of_user(tx, user_id).await?;
    Ok(links::delete_of_user(tx, user_id).await?)
}
