//! Resetting a forgotten password, by a link or by a code.

use vestibule_base::config::{Action, LoginMethod, PreventEnumeration};
use vestibule_base::delivery::MailKind;
use vestibule_base::ratelimit;
use vestibule_base::security::clock::SECOND;
use vestibule_base::security::password::Password;
use vestibule_base::security::{Millis, Token};
use vestibule_base::storage::processes::{self, Process};
use vestibule_base::storage::users::{self, User};
use vestibule_base::storage::{Conn, links, sessions};

use super::address::EmailAddress;
use super::process::{self, Kind, State, Try};
use super::{by_email, frontend, password, primary_email, verify_email};
use crate::context::Ctx;
use crate::event::Event;
use crate::refusal::{Outcome, Problem, Refusal};
use crate::visit::Visit;

/// The kind of links that reset a password.
pub(crate) const LINK: &str = "password_reset";

/// Sends a link or a code to an address, or a pretence where it has no account.
///
/// # Errors
/// [`Refusal::Invalid`] for an unknown address where that may be said, [`Refusal::Limited`].
pub async fn request(ctx: &Ctx, visit: &mut Visit, email: &EmailAddress) -> Outcome<()> {
    let mut tx = ctx.db.write().await?;
    let found = by_email(&mut tx, email).await?;
    if found.is_empty() && ctx.config.account.prevent_enumeration == PreventEnumeration::Off {
        return Err(Problem::unknown_email().on("email").into());
    }
    if ctx.try_limit(&mut tx, visit, Action::ResetPassword, Some(email.as_str())).await?.is_none() {
        tx.commit().await?;
        return Err(Refusal::Limited);
    }
    if ctx.config.account.password_reset_by_code_enabled {
        send_code(ctx, &mut tx, visit, found.first(), email).await?;
    } else {
        send_links(ctx, &mut tx, visit, &found, email).await?;
    }
    ctx.record(&mut tx, visit, Event::PasswordResetRequested, found.first().map(|user| user.id), "").await?;
    ctx.commit(tx).await
}

async fn send_code(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &mut Visit,
    user: Option<&User>,
    email: &EmailAddress,
) -> Outcome<()> {
    let (code, shown) = process::code(ctx, Kind::PasswordReset)?;
    let user_id = user.map(|user| user.id);
    process::begin(ctx, tx, visit, Kind::PasswordReset, user_id, email.as_str(), user.map(|_| &code)).await?;
    match user {
        Some(_) => ctx.mail(tx, visit, email.as_str(), MailKind::PasswordResetCode { code: shown }).await,
        None => verify_email::tell_owner(ctx, tx, visit, email.as_str(), false).await,
    }
}

async fn send_links(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &Visit,
    found: &[User],
    email: &EmailAddress,
) -> Outcome<()> {
    if found.is_empty() {
        return verify_email::tell_owner(ctx, tx, visit, email.as_str(), false).await;
    }
    for user in found {
        let kind = link(ctx, tx, visit.now, user, email).await?;
        ctx.mail(tx, visit, email.as_str(), kind).await?;
    }
    Ok(())
}

/// A link by which a user can choose another password, as it is mailed to this address.
///
/// # Errors
/// [`Refusal::Fault`].
pub(crate) async fn link(
    ctx: &Ctx,
    tx: &mut Conn,
    now: Millis,
    user: &User,
    email: &EmailAddress,
) -> Outcome<MailKind> {
    let lifetime = ctx.config.account.password_reset_timeout.saturating_mul(SECOND);
    let key = Token::generate()?;
    links::insert(tx, LINK, &key.digest(), user.id, email.as_str(), now.saturating_add(lifetime)).await?;
    let url = frontend::reset_password(&ctx.config, &format!("{}-{}", user.id, key.expose()));
    let names = ctx.config.account.login_methods.contains(&LoginMethod::Username);
    Ok(MailKind::PasswordResetLink { url, username: user.username.clone().filter(|_| names) })
}

/// A reset that somebody may make.
#[derive(Debug)]
pub struct Reset {
    /// Whose password it is.
    pub user: User,
    /// The primary address of that user.
    pub primary: Option<String>,
    by: By,
}

#[derive(Debug)]
enum By {
    Link(Token),
    Code(Process),
}

/// The reset by code that this session awaits.
///
/// # Errors
/// [`Refusal::Conflict`] if codes are in use and none is awaited.
pub async fn awaited(ctx: &Ctx, visit: &Visit) -> Outcome<Option<Process>> {
    if !ctx.config.account.password_reset_by_code_enabled {
        return Ok(None);
    }
    process::awaited(ctx, visit, Kind::PasswordReset).await?.map(Some).ok_or(Refusal::Conflict)
}

/// Looks at a key, without spending it. A wrong code counts as an attempt.
///
/// # Errors
/// [`Refusal::Invalid`] if it is no good.
pub async fn look(ctx: &Ctx, visit: &Visit, awaited: Option<Process>, key: &str) -> Outcome<Reset> {
    match awaited {
        Some(process) => by_code(ctx, visit, process, key).await,
        None => by_link(ctx, visit, key).await,
    }
}

async fn by_code(ctx: &Ctx, visit: &Visit, process: Process, key: &str) -> Outcome<Reset> {
    let process = match process::attempt(ctx, visit, Kind::PasswordReset, &process, key).await? {
        Try::Right(process) => process,
        Try::Wrong => return Err(Problem::incorrect_code().on("key").into()),
        Try::Gone => return Err(Refusal::Conflict),
    };
    let user_id = process.user_id.ok_or(Refusal::Conflict)?;
    let mut tx = ctx.db.write().await?;
    let user = users::find(&mut tx, user_id).await?.filter(|user| user.is_active).ok_or(Refusal::Conflict)?;
    if !process::state(&process)?.confirmed {
        // The right code gives as much time again, for choosing a password.
        let state = serde_json::to_string(&State { taken: false, confirmed: true })?;
        let until = visit.now.saturating_add(Kind::PasswordReset.lifetime(ctx));
        processes::confirm(&mut tx, process.id, &state, until).await?;
    }
    let primary = primary_email(&mut tx, user.id).await?;
    tx.commit().await?;
    Ok(Reset { user, primary, by: By::Code(process) })
}

async fn by_link(ctx: &Ctx, visit: &Visit, key: &str) -> Outcome<Reset> {
    let invalid = || Refusal::from(Problem::invalid_password_reset().on("key"));
    // As in the reference, the key names its user first.
    let (user_id, token) = key.split_once('-').ok_or_else(invalid)?;
    let token = Token::parse(token).ok_or_else(invalid)?;
    let mut conn = ctx.db.read().await?;
    let link = links::find(&mut conn, LINK, &token.digest(), visit.now).await?;
    let link = link.filter(|link| link.user_id.to_string() == user_id).ok_or_else(invalid)?;
    let user =
        users::find(&mut conn, link.user_id).await?.filter(|user| user.is_active).ok_or_else(invalid)?;
    let primary = primary_email(&mut conn, user.id).await?;
    Ok(Reset { user, primary, by: By::Link(token) })
}

/// Spends the key and sets the new password. Everything else that was open for the account ends (H2). The transaction
/// is the caller's to commit.
///
/// # Errors
/// [`Refusal::Invalid`] for a weak password, or if another request was faster.
pub async fn finish(ctx: &Ctx, visit: &Visit, reset: Reset, new: &Password) -> Outcome<(Done, Conn)> {
    let weak = password::judge(ctx, new, reset.user.username.as_deref(), reset.primary.as_deref()).await?;
    if !weak.is_empty() {
        return Err(Refusal::Invalid(weak.into_iter().map(|problem| problem.on("password")).collect()));
    }
    let fresh = ctx.hashes.hash(new).await?;
    let mut tx = ctx.db.write().await?;
    let mut user = reset.user;
    // Before the key: with two keys of one account at once, each would wait for the other's.
    users::lock(&mut tx, user.id).await?;
    let spent = spend(&mut tx, visit, &reset.by).await?;
    match reset.by {
        By::Code(_) => {
            verify_email::mark_verified_in_passing(ctx, &mut tx, visit, &mut user, &spent, true).await?;
        }
        // As in the reference, a link proves nothing beyond itself; but whoever followed it owns this address alone.
        By::Link(_) => verify_email::drop_unproved_beside(ctx, &mut tx, user.id, &spent).await?,
    }
    user.password = Some(fresh);
    users::set_password(&mut tx, user.id, user.password.as_ref()).await?;
    sessions::end_of_user(&mut tx, user.id, None).await?;
    password::forget_under_way(&mut tx, user.id).await?;
    let rates = ctx.config.account.rate_limits.rates(Action::LoginFailed);
    ratelimit::clear(&mut tx, Action::LoginFailed.name(), rates, &format!("user:{}", user.id)).await?;
    ctx.notify(&mut tx, visit, reset.primary.as_deref(), MailKind::PasswordReset).await?;
    ctx.record(&mut tx, visit, Event::PasswordReset, Some(user.id), "").await?;
    let email = Some(spent).filter(|_| matches!(reset.by, By::Code(_)));
    Ok((Done { user, email }, tx))
}

/// Spends the key; gives the address that it was sent to, which is proved by it.
async fn spend(tx: &mut Conn, visit: &Visit, by: &By) -> Outcome<String> {
    match by {
        By::Code(process) if process::spend(tx, process).await? => Ok(process.address.clone()),
        By::Code(_) => Err(Refusal::Conflict),
        By::Link(token) => {
            let link = links::take(tx, LINK, &token.digest(), visit.now).await?;
            Ok(link.ok_or_else(|| Problem::invalid_password_reset().on("key"))?.email)
        }
    }
}

/// A reset that was made.
#[derive(Debug)]
pub struct Done {
    /// Whose password it was.
    pub user: User,
    /// The address that a code proved.
    pub email: Option<String>,
}
