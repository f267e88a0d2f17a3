//! The email addresses of an account: listing, adding, proving, choosing and removing them.

use vestibule_base::config::{LoginMethod, PreventEnumeration};
use vestibule_base::delivery::MailKind;
use vestibule_base::storage::emails::{self, Email};
use vestibule_base::storage::processes::Process;
use vestibule_base::storage::{Conn, authenticators, links, users};

use super::address::EmailAddress;
use super::process::{self, Kind};
use super::{reauthenticate, recovery, verify_email};
use crate::context::Ctx;
use crate::event::Event;
use crate::refusal::{Outcome, Problem, Refusal};
use crate::visit::Visit;

/// The addresses of a user, with the one that awaits its code.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn list(ctx: &Ctx, visit: &Visit, user_id: i64) -> Outcome<Vec<Email>> {
    let pending = pending(ctx, visit).await?;
    let mut conn = ctx.db.read().await?;
    let mut rows = emails::of_user(&mut conn, user_id).await?;
    if let Some(process) = pending.filter(|process| process.user_id == Some(user_id))
        && visit.session.user().is_some()
        && !rows.iter().any(|row| row.email == process.address)
    {
        rows.push(Email {
            id: 0,
            user_id,
            email: process.address,
            verified: false,
            primary: false,
            claimed: false,
        });
    }
    Ok(rows)
}

async fn pending(ctx: &Ctx, visit: &Visit) -> Outcome<Option<Process>> {
    if !ctx.config.account.email_verification_by_code_enabled {
        return Ok(None);
    }
    process::awaited(ctx, visit, Kind::VerifyEmail).await
}

/// Adds an address, and sends a link or a code to prove it. With codes it is kept back until it is proved.
///
/// # Errors
/// [`Refusal::Invalid`] if it cannot be added, [`Refusal::Limited`] within the cool-down of codes.
pub async fn add(ctx: &Ctx, visit: &mut Visit, email: &EmailAddress) -> Outcome<()> {
    let user = visit.current()?.user.clone();
    let account = &ctx.config.account;
    let mut tx = ctx.db.write().await?;
    users::lock(&mut tx, user.id).await?;
    let own = emails::of_user(&mut tx, user.id).await?;
    let holders = emails::with_address(&mut tx, email.as_str()).await?;
    if holders.iter().any(|row| row.user_id == user.id) {
        return Err(Problem::duplicate_email().on("email").into());
    }
    let says = account.prevent_enumeration == PreventEnumeration::Off;
    if account.unique_email && says && holders.iter().any(Email::stands_for_account) {
        return Err(Problem::email_taken().on("email").into());
    }
    let most = account.max_email_addresses.filter(|_| !account.change_email);
    if let Some(most) = most.filter(|most| own.len() >= *most as usize) {
        return Err(Problem::max_email_addresses(most).on("email").into());
    }
    // Else an account with a second factor, and that with somebody else's address, could come to be (H4).
    let kept_back = account.email_verification_by_code_enabled || ctx.config.mfa.allow_unverified_email;
    if !kept_back && !authenticators::kinds(&mut tx, user.id).await?.is_empty() {
        return Err(Problem::add_email_blocked().on("email").into());
    }
    reauthenticate::require(ctx, visit).await?;
    if !account.email_verification_by_code_enabled {
        if account.change_email
            && let Some(former) = own.iter().rev().find(|row| !row.verified)
        {
            remove(&mut tx, former).await?;
        }
        emails::insert(&mut tx, user.id, email.as_str(), false, false, false).await?;
    }
    verify_email::send(ctx, &mut tx, visit, Some(&user), email.as_str(), false).await?;
    // Reset keys die with every change of the account's addresses (C4).
    links::delete_of_kind(&mut tx, recovery::LINK, user.id).await?;
    ctx.record(&mut tx, visit, Event::EmailAdded, Some(user.id), "").await?;
    ctx.commit(tx).await
}

/// An address that was chosen among those of the list.
#[derive(Debug)]
pub enum Selected {
    /// One of the account.
    Stored(Email),
    /// One that awaits its code.
    Pending(Process),
}

/// Finds an address in the list of whoever is logged in.
///
/// # Errors
/// [`Refusal::Invalid`] if it is not there.
pub async fn select(ctx: &Ctx, visit: &Visit, email: &EmailAddress) -> Outcome<Selected> {
    let user_id = visit.current()?.user.id;
    let mut conn = ctx.db.read().await?;
    let rows = emails::of_user(&mut conn, user_id).await?;
    drop(conn);
    if let Some(row) = rows.into_iter().find(|row| row.email == email.as_str()) {
        return Ok(Selected::Stored(row));
    }
    let process = pending(ctx, visit).await?;
    let process = process.filter(|p| p.address == email.as_str() && p.user_id == Some(user_id));
    process.map(Selected::Pending).ok_or_else(|| Problem::unknown_email().on("email").into())
}

/// Sends the verification of an address again; `false` if it was sent a moment ago, or often enough.
///
/// # Errors
/// [`Refusal::Invalid`] if the address is not there.
pub async fn resend(ctx: &Ctx, visit: &mut Visit, email: &EmailAddress) -> Outcome<bool> {
    match select(ctx, visit, email).await? {
        Selected::Pending(_) => match verify_email::resend(ctx, visit).await {
            Ok(()) => Ok(true),
            Err(Refusal::Limited | Refusal::Conflict) => Ok(false),
            Err(refusal) => Err(refusal),
        },
        Selected::Stored(row) => {
            let user = visit.current()?.user.clone();
            let mut tx = ctx.db.write().await?;
            let sent = verify_email::send(ctx, &mut tx, visit, Some(&user), &row.email, false).await?;
            ctx.commit(tx).await?;
            Ok(sent)
        }
    }
}

/// Removes an address.
///
/// # Errors
/// [`Refusal::Invalid`] if it is not there, or is needed.
pub async fn delete(ctx: &Ctx, visit: &Visit, email: &EmailAddress) -> Outcome<()> {
    let selected = select(ctx, visit, email).await?;
    let current = visit.current()?;
    let row = match selected {
        Selected::Pending(process) => {
            let mut tx = ctx.db.write().await?;
            process::spend(&mut tx, &process).await?;
            return Ok(tx.commit().await?);
        }
        Selected::Stored(row) => row,
    };
    let mut tx = ctx.db.write().await?;
    // Looked at inside the transaction: of two deletions at once, the second sees what the first has left.
    users::lock(&mut tx, current.user.id).await?;
    let rows = emails::of_user(&mut tx, current.user.id).await?;
    let row = still(&rows, &row)?;
    if !can_delete(ctx, &rows, row, current.user.password.is_some()) {
        return Err(Problem::cannot_remove_primary_email().on("email").into());
    }
    reauthenticate::require(ctx, visit).await?;
    remove(&mut tx, row).await?;
    ctx.record(&mut tx, visit, Event::EmailRemoved, Some(current.user.id), "").await?;
    let primary =
        rows.iter().find(|other| other.primary && other.id != row.id).map(|other| other.email.as_str());
    let deleted = row.email.clone();
    ctx.notify(&mut tx, visit, primary, |notice| MailKind::EmailDeleted { email: deleted, notice }).await?;
    ctx.commit(tx).await
}

/// The row as it is now, after others had their turn.
fn still<'a>(rows: &'a [Email], row: &Email) -> Outcome<&'a Email> {
    rows.iter().find(|now| now.id == row.id).ok_or_else(|| Problem::unknown_email().on("email").into())
}

/// The primary address stays while there are others, the last verified one while others are not, and the last one while
/// it is the only way to log in, or to come back for whoever has no password (H7).
fn can_delete(ctx: &Ctx, rows: &[Email], row: &Email, has_password: bool) -> bool {
    let others = rows.iter().any(|other| other.id != row.id);
    let needed = ctx.config.account.login_methods == [LoginMethod::Email];
    let last_proof = row.verified && !rows.iter().any(|other| other.verified && other.id != row.id);
    if others { !row.primary && !last_proof } else { !needed && (has_password || !row.verified) }
}

/// Makes an address the primary one.
///
/// # Errors
/// [`Refusal::Invalid`] if it is not there, or is unverified while another is verified.
pub async fn make_primary(ctx: &Ctx, visit: &Visit, email: &EmailAddress) -> Outcome<()> {
    let unverified = || Problem::unverified_primary_email().on("email");
    let Selected::Stored(row) = select(ctx, visit, email).await? else { return Err(unverified().into()) };
    let current = visit.current()?;
    let mut tx = ctx.db.write().await?;
    users::lock(&mut tx, current.user.id).await?;
    let rows = emails::of_user(&mut tx, current.user.id).await?;
    let row = still(&rows, &row)?;
    if !row.verified && rows.iter().any(|other| other.verified) {
        return Err(unverified().into());
    }
    reauthenticate::require(ctx, visit).await?;
    emails::set_primary(&mut tx, current.user.id, row.id).await?;
    links::delete_of_kind(&mut tx, recovery::LINK, current.user.id).await?;
    ctx.record(&mut tx, visit, Event::PrimaryEmailChanged, Some(current.user.id), "").await?;
    if let Some(former) = rows.iter().find(|other| other.primary) {
        let (from, to) = (former.email.clone(), row.email.clone());
        ctx.notify(&mut tx, visit, Some(&former.email), |notice| MailKind::EmailChanged { from, to, notice })
            .await?;
    }
    ctx.commit(tx).await
}

async fn remove(tx: &mut Conn, row: &Email) -> Outcome<()> {
    emails::delete(tx, row.id).await?;
    links::delete_of_address(tx, verify_email::LINK, row.user_id, &row.email).await?;
    Ok(links::delete_of_kind(tx, recovery::LINK, row.user_id).await?)
}
