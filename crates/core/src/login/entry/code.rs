//! Logging in with a code that is sent to the user.

use vestibule_base::config::{Action, PreventEnumeration};
use vestibule_base::delivery::{MailKind, SmsKind};
use vestibule_base::storage::processes::Process;
use vestibule_base::storage::users::{self, User};
use vestibule_base::storage::{Conn, phones};

use crate::account::process::{self, Again, Kind, Try};
use crate::account::{EmailAddress, PhoneNumber, by_email, verify_email, verify_phone};
use crate::consult::{self, Admitted};
use crate::context::Ctx;
use crate::login::pipeline::{self, Login, Stage, State};
use crate::refusal::{Outcome, Problem, Refusal};
use crate::visit::{Method, Record, Visit};

/// Where a code goes.
#[derive(Debug, Clone)]
pub enum Address {
    /// By mail.
    Email(String),
    /// By text message.
    Phone(String),
}

impl Address {
    /// The address or number itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Email(address) | Self::Phone(address) => address,
        }
    }
}

/// Who asks for a code.
#[derive(Debug)]
pub enum Requester {
    /// By address.
    Email(EmailAddress),
    /// By number.
    Phone(PhoneNumber),
}

/// Sends a code to whoever this address or number belongs to, and lets the login wait for it.
///
/// # Errors
/// [`Refusal::Invalid`] if too many were asked for, or the account is unknown where that may be said.
pub async fn request(ctx: &Ctx, visit: &mut Visit, who: &Requester) -> Outcome<()> {
    let mut tx = ctx.db.write().await?;
    let (user, address, param) = match who {
        Requester::Email(email) => {
            let user = by_email(&mut tx, email).await?.into_iter().next();
            (user, Address::Email(email.as_str().to_owned()), "email")
        }
        Requester::Phone(phone) => {
            let row = phones::holder(&mut tx, phone.as_str()).await?;
            let user = match row {
                Some(row) => users::find(&mut tx, row.user_id).await?.filter(|user| user.is_active),
                None => None,
            };
            (user, Address::Phone(phone.as_str().to_owned()), "phone")
        }
    };
    if user.is_none() && ctx.config.account.prevent_enumeration == PreventEnumeration::Off {
        let unknown = if param == "email" { Problem::unknown_email() } else { Problem::unknown_phone() };
        return Err(unknown.on(param).into());
    }
    if ctx.try_limit(&mut tx, visit, Action::RequestLoginCode, Some(address.as_str())).await?.is_none() {
        tx.commit().await?;
        return Err(Problem::too_many_login_attempts().on(param).into());
    }
    send(ctx, &mut tx, visit, user.as_ref(), &address, false).await?;
    if visit.session.user().is_some() {
        // No login waits for it: whoever is logged in stays so.
        return ctx.commit(tx).await;
    }
    let mut state = State { by_code: true, ..State::default() };
    match address {
        Address::Email(email) => state.email = Some(email),
        Address::Phone(phone) => state.phone = Some(phone),
    }
    let login = Login { user, state, started_at: visit.now };
    pipeline::hold_at(ctx, &mut tx, visit, &login, Stage::LoginByCode).await?;
    ctx.commit(tx).await
}

/// Sends a code and begins to await it; where there is no account, its supposed owner is told.
///
/// # Errors
/// [`Refusal::Limited`] if too many texts were sent.
pub async fn send(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &mut Visit,
    user: Option<&User>,
    address: &Address,
    signup: bool,
) -> Outcome<()> {
    let (code, shown) = process::code(ctx, Kind::LoginCode)?;
    let user_id = user.map(|user| user.id);
    process::begin(ctx, tx, visit, Kind::LoginCode, user_id, address.as_str(), user.map(|_| &code)).await?;
    match (address, user) {
        (Address::Email(email), Some(_)) => {
            ctx.mail(tx, visit, email, MailKind::LoginCode { code: shown }).await
        }
        (Address::Email(email), None) => verify_email::tell_owner(ctx, tx, visit, email, signup).await,
        (Address::Phone(phone), Some(_)) => {
            ctx.text(tx, visit, phone, SmsKind::VerificationCode, Some(shown)).await
        }
        (Address::Phone(phone), None) if !signup && !ctx.config.sms.unknown_accounts => {
            ctx.limit_text(tx, visit, phone).await
        }
        (Address::Phone(phone), None) => {
            let kind = if signup { SmsKind::AccountAlreadyExists } else { SmsKind::UnknownAccount };
            ctx.text(tx, visit, phone, kind, None).await
        }
    }
}

/// The login that waits for its code, and the code's process.
///
/// # Errors
/// [`Refusal::Conflict`] if none does.
pub async fn awaited(ctx: &Ctx, visit: &Visit) -> Outcome<(Login, Process)> {
    let mut conn = ctx.db.read().await?;
    let login = pipeline::held(ctx, &mut conn, visit, Stage::LoginByCode).await?.ok_or(Refusal::Conflict)?;
    drop(conn);
    let process = process::awaited(ctx, visit, Kind::LoginCode).await?.ok_or(Refusal::Conflict)?;
    Ok((login, process))
}

/// Takes the code: the login goes on. The address that it was sent to is proved by it.
///
/// # Errors
/// [`Refusal::Invalid`] for a wrong code, [`Refusal::Conflict`] if nothing waits any more.
pub async fn confirm(ctx: &Ctx, visit: &mut Visit, waiting: (Login, Process), code: &str) -> Outcome<()> {
    let (mut login, process) = waiting;
    let process = match process::attempt(ctx, visit, Kind::LoginCode, &process, code).await? {
        Try::Right(process) => process,
        Try::Wrong => return Err(Problem::incorrect_code().on("code").into()),
        Try::Gone => return Err(Refusal::Conflict),
    };
    let user = login.user.take().filter(|user| process.user_id == Some(user.id));
    let mut user = user.ok_or(Refusal::Conflict)?;
    let alone = login.state.by_code;
    let admitted = if alone { Some(admit(ctx, visit, &user, &process).await?) } else { None };
    let mut tx = ctx.db.write().await?;
    if !process::spend(&mut tx, &process).await? {
        return Err(Refusal::Conflict);
    }
    pipeline::take(&mut tx, visit).await?;
    let mut record = Record::new(Method::Code, visit.now);
    if process.address.contains('@') {
        record.email = Some(process.address.clone());
        verify_email::mark_verified_in_passing(ctx, &mut tx, visit, &mut user, &process.address, alone)
            .await?;
    } else {
        record.phone = Some(process.address.clone());
        verify_phone::mark_verified_in_passing(ctx, &mut tx, visit, &mut user, &process.address, alone)
            .await?;
    }
    login.state.records.push(record);
    let login = Login { user: Some(user), ..login };
    match &admitted {
        Some(admitted) => {
            pipeline::resume_admitted(ctx, &mut tx, visit, login, Stage::LoginByCode, admitted).await?;
        }
        None => pipeline::resume(ctx, &mut tx, visit, login, Stage::LoginByCode).await?,
    }
    ctx.commit(tx).await
}

/// Asks whether somebody may log in whose code was the first proof. If not, the code is spent and the login is gone (L3).
async fn admit(ctx: &Ctx, visit: &Visit, user: &User, process: &Process) -> Outcome<Admitted> {
    let admitted = consult::before_login(ctx, visit, user, Method::Code).await;
    if let Err(Refusal::Invalid(_) | Refusal::Barred) = &admitted {
        let mut tx = ctx.db.write().await?;
        process::spend(&mut tx, process).await?;
        pipeline::take(&mut tx, visit).await?;
        tx.commit().await?;
    }
    admitted
}

/// Sends a new code. Neither time nor attempts begin anew.
///
/// # Errors
/// [`Refusal::Conflict`] if none is awaited or it was sent often enough, [`Refusal::Limited`] if too many texts were sent.
pub async fn resend(ctx: &Ctx, visit: &mut Visit) -> Outcome<()> {
    let (_, process) = awaited(ctx, visit).await?;
    let most = ctx.config.account.login_by_code_supports_resend;
    if process.resends >= i64::from(most) {
        return Err(Refusal::Conflict);
    }
    let mut tx = ctx.db.write().await?;
    let code = process::again(ctx, &mut tx, visit, Kind::LoginCode, &process, Again::Resend, most).await?;
    if !process.address.contains('@') {
        verify_phone::text_again(ctx, &mut tx, visit, &process.address, code).await?;
    } else if let Some(code) = code {
        ctx.mail(&mut tx, visit, &process.address, MailKind::LoginCode { code }).await?;
    }
    ctx.commit(tx).await
}
