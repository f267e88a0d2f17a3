//! Proving a phone number by a code in a text message.

use vestibule_base::config::Action;
use vestibule_base::delivery::SmsKind;
use vestibule_base::storage::phones::{self, Phone};
use vestibule_base::storage::processes::Process;
use vestibule_base::storage::users::{self, User};
use vestibule_base::storage::{Conn, StorageError, emails};

use super::process::{self, Again, Kind, Try};
use crate::context::Ctx;
use crate::event::Event;
use crate::refusal::{Fault, Outcome, Problem, Refusal};
use crate::visit::Visit;

/// Sends a code to a number. Where there is no account to verify, its owner is told that they have one; if they have none,
/// because something else of a pretended signup is taken, they get a code that is right (P3).
///
/// # Errors
/// [`Refusal::Limited`] within the cool-down, or if too many texts were sent.
pub async fn send(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &mut Visit,
    user: Option<&User>,
    phone: &str,
) -> Outcome<()> {
    if let Some(user) = user {
        users::lock(tx, user.id).await?;
    }
    ctx.limit(tx, visit, Action::VerifyPhone, Some(phone)).await?;
    let free = user.is_some() || phones::holder(tx, phone).await?.is_none();
    let (code, shown) = process::code(ctx, Kind::VerifyPhone)?;
    let user_id = user.map(|user| user.id);
    process::begin(ctx, tx, visit, Kind::VerifyPhone, user_id, phone, free.then_some(&code)).await?;
    if free {
        ctx.text(tx, visit, phone, SmsKind::VerificationCode, Some(shown)).await
    } else {
        ctx.text(tx, visit, phone, SmsKind::AccountAlreadyExists, None).await
    }
}

/// Tries the code that this session awaits; gives the process to spend.
///
/// # Errors
/// [`Refusal::Conflict`] if none is awaited, [`Refusal::Invalid`] if it is wrong or another account has the number.
pub async fn look(ctx: &Ctx, visit: &Visit, awaited: &Process, code: &str) -> Outcome<Process> {
    let process = match process::attempt(ctx, visit, Kind::VerifyPhone, awaited, code).await? {
        Try::Right(process) => process,
        Try::Wrong => return Err(Problem::incorrect_code().on("code").into()),
        Try::Gone => return Err(Refusal::Conflict),
    };
    let mut conn = ctx.db.read().await?;
    let holder = phones::holder(&mut conn, &process.address).await?;
    drop(conn);
    if holder.is_some_and(|holder| holder.verified && Some(holder.user_id) != process.user_id) {
        process::reject(ctx, visit, Kind::VerifyPhone, &process).await?;
        return Err(Problem::phone_taken().on("code").into());
    }
    Ok(process)
}

/// Spends the code and marks the number as proved, if there is an account to mark it for.
///
/// # Errors
/// [`Refusal::Conflict`] if another request was faster.
pub async fn confirm(ctx: &Ctx, tx: &mut Conn, visit: &Visit, process: &Process) -> Outcome<()> {
    if !process::spend(tx, process).await? {
        return Err(Refusal::Conflict);
    }
    match process.user_id {
        Some(user_id) => mark_verified(ctx, tx, visit, user_id, &process.address).await,
        None => Ok(()),
    }
}

/// Marks a number as proved by a user, in place of any other that they had.
///
/// # Errors
/// [`Refusal::Invalid`] if another account has proved it.
pub async fn mark_verified(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &Visit,
    user_id: i64,
    phone: &str,
) -> Outcome<()> {
    let row = Phone { user_id, phone: phone.to_owned(), verified: true };
    match phones::set(tx, &row, true).await {
        Err(StorageError::Taken) => return Err(Problem::phone_taken().on("code").into()),
        done => done.map_err(Fault::from)?,
    }
    ctx.record(tx, visit, Event::PhoneVerified, Some(user_id), "").await?;
    Ok(())
}

/// The same, where a login by a code sent to the number proves it in passing. With `alone`, nothing but that code was
/// given: then what was set up before anybody proved anything is thrown away (H1).
///
/// # Errors
/// As [`mark_verified`]; [`Refusal::Conflict`] if the account has another number by now: a code that went to the former
/// one opens nothing any more.
pub async fn mark_verified_in_passing(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &Visit,
    user: &mut User,
    phone: &str,
    alone: bool,
) -> Outcome<()> {
    let row = phones::of_user(tx, user.id).await?.filter(|row| row.phone == phone);
    let proved = row.ok_or(Refusal::Conflict)?.verified;
    mark_verified(ctx, tx, visit, user.id, phone).await?;
    let emails = emails::of_user(tx, user.id).await?;
    if alone && !proved && emails.iter().all(|row| !row.verified) {
        super::verify_email::discard_unproved(ctx, tx, visit, user).await?;
    }
    Ok(())
}

/// Sends a new code for a verification that a login waits for. Neither time nor attempts begin anew.
///
/// # Errors
/// [`Refusal::Conflict`] if it was sent often enough, [`Refusal::Limited`] within the cool-down, or if too many texts
/// were sent.
pub async fn resend(ctx: &Ctx, visit: &Visit, process: &Process) -> Outcome<()> {
    let most = ctx.config.account.phone_verification_supports_resend;
    if process.resends >= i64::from(most) {
        return Err(Refusal::Conflict);
    }
    let mut tx = ctx.db.write().await?;
    ctx.limit(&mut tx, visit, Action::VerifyPhone, Some(&process.address)).await?;
    let code = process::again(ctx, &mut tx, visit, Kind::VerifyPhone, process, Again::Resend, most).await?;
    text_again(ctx, &mut tx, visit, &process.address, code).await?;
    ctx.commit(tx).await
}

/// Texts a code once more; of a pretence only the count is kept.
///
/// # Errors
/// [`Refusal::Limited`] if too many texts were sent.
pub(crate) async fn text_again(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &Visit,
    phone: &str,
    code: Option<String>,
) -> Outcome<()> {
    match code {
        Some(code) => ctx.text(tx, visit, phone, SmsKind::VerificationCode, Some(code)).await,
        None => ctx.limit_text(tx, visit, phone).await,
    }
}
