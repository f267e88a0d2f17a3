//! Proving an email address, by a link or by a code.

use vestibule_base::config::{Action, EmailVerification, Presence, SignupField};
use vestibule_base::delivery::MailKind;
use vestibule_base::ratelimit::{self, Subject};
use vestibule_base::security::clock::SECOND;
use vestibule_base::security::{Millis, Token};
use vestibule_base::storage::emails::{self, Email};
use vestibule_base::storage::processes::Process;
use vestibule_base::storage::users::{self, User};
use vestibule_base::storage::{
    Conn, StorageError, authenticators, links, logins, phones, processes, sessions, social,
};

use super::address::EmailAddress;
use super::process::{self, Again, Kind, Try};
use super::{Availability, availability, frontend, primary_email};
use crate::context::Ctx;
use crate::event::Event;
use crate::refusal::{Outcome, Problem, Refusal};
use crate::visit::Visit;

/// The kind of links that prove an address.
pub(crate) const LINK: &str = "verify_email";
const DAY: Millis = 86_400 * SECOND;

/// Sends a link or a code to an address; to an account of the user's if there is one, else a pretence. Within the
/// cool-down no link is sent, and `false` given: an earlier one still works.
///
/// # Errors
/// [`Refusal::Limited`] within the cool-down of codes.
pub async fn send(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &mut Visit,
    user: Option<&User>,
    email: &str,
    signup: bool,
) -> Outcome<bool> {
    if let Some(user) = user {
        users::lock(tx, user.id).await?;
    }
    if ctx.config.account.email_verification_by_code_enabled {
        send_code(ctx, tx, visit, user, email, signup).await?;
        return Ok(true);
    }
    if ctx.try_limit(tx, visit, Action::ConfirmEmail, Some(email)).await?.is_none() {
        return Ok(false);
    }
    match user {
        Some(user) => {
            let key = Token::generate()?;
            let days = i64::from(ctx.config.account.email_confirmation_expire_days);
            let expires_at = visit.now.saturating_add(days.saturating_mul(DAY));
            links::insert(tx, LINK, &key.digest(), user.id, email, expires_at).await?;
            let url = frontend::confirm_email(&ctx.config, key.expose());
            ctx.mail(tx, visit, email, MailKind::VerifyEmailLink { url, signup }).await?;
        }
        None => tell_owner(ctx, tx, visit, email, signup).await?,
    }
    Ok(true)
}

async fn send_code(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &mut Visit,
    user: Option<&User>,
    email: &str,
    signup: bool,
) -> Outcome<()> {
    ctx.limit(tx, visit, Action::ConfirmEmail, Some(email)).await?;
    let (code, shown) = process::code(ctx, Kind::VerifyEmail)?;
    let user_id = user.map(|user| user.id);
    process::begin(ctx, tx, visit, Kind::VerifyEmail, user_id, email, user.map(|_| &code)).await?;
    match user {
        Some(_) => ctx.mail(tx, visit, email, MailKind::VerifyEmailCode { code: shown, signup }).await,
        None => tell_owner(ctx, tx, visit, email, signup).await,
    }
}

/// Tells the owner of an address that somebody tried to use it: to sign up, or else to log in.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn tell_owner(ctx: &Ctx, tx: &mut Conn, visit: &Visit, email: &str, signup: bool) -> Outcome<()> {
    let signup_url = frontend::signup(&ctx.config);
    if signup {
        let password_reset_url = frontend::request_reset(&ctx.config);
        return ctx
            .mail(tx, visit, email, MailKind::AccountAlreadyExists { signup_url, password_reset_url })
            .await;
    }
    if !ctx.config.account.email_unknown_accounts {
        return Ok(());
    }
    ctx.mail(tx, visit, email, MailKind::UnknownAccount { signup_url }).await
}

/// Whether logging in with this address must wait: it needs a code, and one was sent a moment ago.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn must_wait(ctx: &Ctx, conn: &mut Conn, visit: &Visit, user: &User, email: &str) -> Outcome<bool> {
    let account = &ctx.config.account;
    if !account.email_verification_by_code_enabled
        || account.email_verification != EmailVerification::Mandatory
    {
        return Ok(false);
    }
    let rows = emails::of_user(conn, user.id).await?;
    if !rows.iter().any(|row| row.email == email && !row.verified) {
        return Ok(false);
    }
    let subject = Subject { ip: &visit.network, user: Some(user.id), key: Some(email) };
    let rates = account.rate_limits.rates(Action::ConfirmEmail);
    Ok(!ratelimit::would_take(conn, Action::ConfirmEmail.name(), rates, subject, visit.now).await?)
}

/// An address and its user, named by a key that proves it.
#[derive(Debug)]
pub struct Proof {
    /// Whose it is.
    pub user: User,
    /// The address.
    pub email: String,
    /// The primary address of its user.
    pub primary: Option<String>,
    /// How it was named.
    by: By,
}

#[derive(Debug)]
enum By {
    Link(Token),
    Code(Process),
}

/// The verification by code that this session awaits.
///
/// # Errors
/// [`Refusal::Conflict`] if codes are in use and none is awaited.
pub async fn awaited(ctx: &Ctx, visit: &Visit) -> Outcome<Option<Process>> {
    if !ctx.config.account.email_verification_by_code_enabled {
        return Ok(None);
    }
    process::awaited(ctx, visit, Kind::VerifyEmail).await?.map(Some).ok_or(Refusal::Conflict)
}

/// Looks at a key, without spending it. A wrong code counts as an attempt.
///
/// # Errors
/// [`Refusal::Invalid`] if it is no good, or another account has proved the address.
pub async fn look(ctx: &Ctx, visit: &Visit, awaited: Option<Process>, key: &str) -> Outcome<Proof> {
    let proof = match awaited {
        Some(process) => by_code(ctx, visit, process, key).await?,
        None => by_link(ctx, visit, key).await?,
    };
    let mut conn = ctx.db.read().await?;
    let rows = emails::with_address(&mut conn, &proof.email).await?;
    drop(conn);
    let proved_by_another = rows.iter().any(|row| row.verified && row.user_id != proof.user.id);
    if ctx.config.account.unique_email && proved_by_another {
        if let By::Code(process) = &proof.by {
            process::reject(ctx, visit, Kind::VerifyEmail, process).await?;
        }
        return Err(Problem::email_taken().on("key").into());
    }
    Ok(proof)
}

async fn by_code(ctx: &Ctx, visit: &Visit, process: Process, key: &str) -> Outcome<Proof> {
    let process = match process::attempt(ctx, visit, Kind::VerifyEmail, &process, key).await? {
        Try::Right(process) => process,
        Try::Wrong => return Err(Problem::incorrect_code().on("key").into()),
        Try::Gone => return Err(Refusal::Conflict),
    };
    let user_id = process.user_id.ok_or(Refusal::Conflict)?;
    let mut conn = ctx.db.read().await?;
    let user =
        users::find(&mut conn, user_id).await?.filter(|user| user.is_active).ok_or(Refusal::Conflict)?;
    let primary = primary_email(&mut conn, user.id).await?;
    Ok(Proof { user, email: process.address.clone(), primary, by: By::Code(process) })
}

async fn by_link(ctx: &Ctx, visit: &Visit, key: &str) -> Outcome<Proof> {
    let invalid = || Refusal::from(Problem::invalid_or_expired_key().on("key"));
    let token = Token::parse(key).ok_or_else(invalid)?;
    let mut conn = ctx.db.read().await?;
    let link = links::find(&mut conn, LINK, &token.digest(), visit.now).await?.ok_or_else(invalid)?;
    let user =
        users::find(&mut conn, link.user_id).await?.filter(|user| user.is_active).ok_or_else(invalid)?;
    let primary = primary_email(&mut conn, user.id).await?;
    Ok(Proof { user, email: link.email, primary, by: By::Link(token) })
}

/// Spends a key, and marks the address as proved. If it is the account's first proof, and comes `from_elsewhere` than the
/// session that signed up or is logged in, then sessions, logins and addresses from before it end (H1). The password
/// stays: people do read their mail on another device.
///
/// # Errors
/// [`Refusal::Invalid`] if another request was faster, or another account.
pub async fn confirm(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &Visit,
    proof: &Proof,
    from_elsewhere: bool,
) -> Outcome<()> {
    let first = emails::of_user(tx, proof.user.id).await?.iter().all(|row| !row.verified);
    match &proof.by {
        By::Code(process) => {
            if !process::spend(tx, process).await? {
                return Err(Refusal::Conflict);
            }
        }
        By::Link(token) => {
            links::take(tx, LINK, &token.digest(), visit.now)
                .await?
                .ok_or_else(|| Problem::invalid_or_expired_key().on("key"))?;
        }
    }
    match mark_verified(ctx, tx, visit, &proof.user, &proof.email).await {
        Err(Refusal::Fault(crate::Fault::Storage(StorageError::Taken))) => {
            return Err(Problem::email_taken().on("key").into());
        }
        done => done?,
    }
    if first && from_elsewhere {
        end_unproved(tx, proof.user.id).await?;
        if proof.user.password.is_some() {
            // What was connected to an account with a password before anybody proved anything need not be its owner's.
            social::delete_of_user(tx, proof.user.id).await?;
        }
    }
    Ok(())
}

/// Marks an address of a user as proved; adds it, if it was kept back until then. It becomes the primary one if there
/// is none, and the only one with `change_email`.
///
/// # Errors
/// [`StorageError::Taken`] as a fault, if another account has proved it.
pub async fn mark_verified(ctx: &Ctx, tx: &mut Conn, visit: &Visit, user: &User, email: &str) -> Outcome<()> {
    let rows = emails::of_user(tx, user.id).await?;
    let account = &ctx.config.account;
    let former = rows.iter().find(|row| row.primary && row.email != email).cloned();
    let row = match rows.iter().find(|row| row.email == email) {
        Some(row) => row.clone(),
        None => {
            let id = emails::insert(tx, user.id, email, false, false, false).await?;
            Email {
                id,
                user_id: user.id,
                email: email.to_owned(),
                verified: false,
                primary: false,
                claimed: false,
            }
        }
    };
    emails::set_verified(tx, &row, account.unique_email).await?;
    if account.change_email {
        for other in rows.iter().filter(|other| other.id != row.id) {
            emails::delete(tx, other.id).await?;
            links::delete_of_address(tx, LINK, user.id, &other.email).await?;
        }
    }
    if account.change_email || former.is_none() {
        emails::set_primary(tx, user.id, row.id).await?;
    }
    // Links to the address are spent, and reset keys die with every change of the account's addresses (C4).
    links::delete_of_address(tx, LINK, user.id, email).await?;
    if former.is_some() {
        links::delete_of_kind(tx, super::recovery::LINK, user.id).await?;
    }
    ctx.record(tx, visit, Event::EmailVerified, Some(user.id), "").await?;
    if let Some(former) = former.filter(|_| account.change_email) {
        ctx.record(tx, visit, Event::PrimaryEmailChanged, Some(user.id), "").await?;
        let (from, to) = (former.email.clone(), email.to_owned());
        ctx.notify(tx, visit, Some(&former.email), |notice| MailKind::EmailChanged { from, to, notice })
            .await?;
    }
    Ok(())
}

/// The same, where a code sent to the address proves it in passing. With `alone`, nothing but that code was given: then
/// what was set up on the account before anybody proved anything is thrown away, since whoever did it need not be the
/// owner of the address (H1).
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn mark_verified_in_passing(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &Visit,
    user: &mut User,
    email: &str,
    alone: bool,
) -> Outcome<()> {
    let rows = emails::of_user(tx, user.id).await?;
    let Some(row) = rows.iter().find(|row| row.email == email && !row.verified) else { return Ok(()) };
    let taken =
        emails::with_address(tx, email).await?.iter().any(|other| other.verified && other.id != row.id);
    if taken && ctx.config.account.unique_email {
        return Ok(());
    }
    mark_verified(ctx, tx, visit, user, email).await?;
    if alone && rows.iter().all(|row| !row.verified) {
        discard_unproved(ctx, tx, visit, user).await?;
        drop_number(ctx, tx, user.id).await?;
    }
    Ok(())
}

/// Removes the number of an account whose address was proved first by somebody who need not be the number's owner: codes
/// sent to it would let that one in (H1). Where everybody must have a number, nobody could enter without.
async fn drop_number(ctx: &Ctx, tx: &mut Conn, user_id: i64) -> Outcome<()> {
    if ctx.config.account.signup_fields.get(SignupField::Phone) != Some(Presence::Required) {
        phones::delete(tx, user_id).await?;
    }
    Ok(())
}

/// Throws away what was set up on an account before anybody proved anything.
///
/// # Errors
/// [`Refusal::Fault`].
pub(crate) async fn discard_unproved(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &Visit,
    user: &mut User,
) -> Outcome<()> {
    users::set_password(tx, user.id, None).await?;
    user.password = None;
    authenticators::delete_of_user(tx, user.id).await?;
    social::delete_of_user(tx, user.id).await?;
    end_unproved(tx, user.id).await?;
    logins::delete_of_user(tx, user.id).await?;
    ctx.record(tx, visit, Event::PasswordWiped, Some(user.id), "address proved").await?;
    Ok(())
}

/// Ends the sessions of an account, its unproved addresses, and the codes and links that are under way.
async fn end_unproved(tx: &mut Conn, user_id: i64) -> Outcome<()> {
    emails::delete_unverified(tx, user_id, "").await?;
    sessions::end_of_user(tx, user_id, None).await?;
    processes::delete_of_user(tx, user_id).await?;
    Ok(links::delete_of_user(tx, user_id).await?)
}

/// Removes what an account that has proved no address got beside one: other addresses, the number, and connections to third
/// parties.
///
/// # Errors
/// [`Refusal::Fault`].
pub(crate) async fn drop_unproved_beside(ctx: &Ctx, tx: &mut Conn, user_id: i64, email: &str) -> Outcome<()> {
    let unproved = emails::of_user(tx, user_id).await?.iter().all(|row| !row.verified);
    if unproved {
        emails::delete_unverified(tx, user_id, email).await?;
        social::delete_of_user(tx, user_id).await?;
        drop_number(ctx, tx, user_id).await?;
    }
    Ok(())
}

/// Sends a new code for the verification that this session awaits. Neither time nor attempts begin anew.
///
/// # Errors
/// [`Refusal::Conflict`] if none is awaited or it was sent often enough, [`Refusal::Limited`] within the cool-down.
pub async fn resend(ctx: &Ctx, visit: &mut Visit) -> Outcome<()> {
    let process = awaited(ctx, visit).await?.ok_or(Refusal::Conflict)?;
    let most = ctx.config.account.email_verification_supports_resend;
    if process.resends >= i64::from(most) {
        return Err(Refusal::Conflict);
    }
    let mut tx = ctx.db.write().await?;
    ctx.limit(&mut tx, visit, Action::ConfirmEmail, Some(&process.address)).await?;
    let code = process::again(ctx, &mut tx, visit, Kind::VerifyEmail, &process, Again::Resend, most).await?;
    mail_code(ctx, &mut tx, visit, &process, &process.address, code).await?;
    ctx.commit(tx).await
}

async fn mail_code(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &Visit,
    process: &Process,
    to: &str,
    code: Option<String>,
) -> Outcome<()> {
    let (Some(code), Some(user_id)) = (code, process.user_id) else { return Ok(()) };
    let signup = users::find(tx, user_id).await?.is_none_or(|user| user.last_login_at.is_none());
    ctx.mail(tx, visit, to, MailKind::VerifyEmailCode { code, signup }).await
}

/// Whether the address of the awaited verification may be corrected; gives its user.
///
/// # Errors
/// [`Refusal::Conflict`] if not.
pub async fn changeable(ctx: &Ctx, visit: &Visit) -> Outcome<(Process, User)> {
    let process = awaited(ctx, visit).await?.ok_or(Refusal::Conflict)?;
    if process.changes >= i64::from(ctx.config.account.email_verification_supports_change) {
        return Err(Refusal::Conflict);
    }
    let mut conn = ctx.db.read().await?;
    let user_id = process.user_id.ok_or(Refusal::Conflict)?;
    let user = users::find(&mut conn, user_id).await?.filter(|user| user.last_login_at.is_none());
    Ok((process, user.ok_or(Refusal::Conflict)?))
}

/// Corrects the address of a signup that awaits its verification.
///
/// # Errors
/// [`Refusal::Invalid`] if the address is the same, or taken where that may be said.
pub async fn change(
    ctx: &Ctx,
    visit: &mut Visit,
    process: Process,
    user: &User,
    email: &EmailAddress,
) -> Outcome<()> {
    if process.address == email.as_str() {
        return Err(Problem::same_as_current().on("email").into());
    }
    let mut tx = ctx.db.write().await?;
    users::lock(&mut tx, user.id).await?;
    let taken = match availability(ctx, &mut tx, email, Some(user.id)).await? {
        Availability::Free => false,
        Availability::Taken => return Err(Problem::email_taken().on("email").into()),
        Availability::Secret => true,
    };
    ctx.limit(&mut tx, visit, Action::ConfirmEmail, Some(email.as_str())).await?;
    if taken {
        tell_owner(ctx, &mut tx, visit, email.as_str(), true).await?;
    } else {
        let rows = emails::of_user(&mut tx, user.id).await?;
        if let Some(former) = rows.iter().rev().find(|row| !row.verified) {
            emails::delete(&mut tx, former.id).await?;
        }
        emails::insert(&mut tx, user.id, email.as_str(), false, false, ctx.config.account.unique_email)
            .await?;
    }
    let most = ctx.config.account.email_verification_supports_change;
    let why = Again::Change { address: email.as_str(), taken };
    let code = process::again(ctx, &mut tx, visit, Kind::VerifyEmail, &process, why, most).await?;
    mail_code(ctx, &mut tx, visit, &process, email.as_str(), code).await?;
    ctx.commit(tx).await
}
