//! Codes sent out of band and awaited: issued, tried, spent. Used by every flow with a code.
//!
//! A code belongs to one session, user, address and purpose. It works once, expires, and dies after too many wrong
//! tries together with its flow.

use serde::{Deserialize, Serialize};
use vestibule_base::config::CodeFormat;
use vestibule_base::security::clock::SECOND;
use vestibule_base::security::{Code, Millis};
use vestibule_base::storage::processes::{self, Process, Renewal};
use vestibule_base::storage::{Conn, logins, sessions, users};

use crate::context::Ctx;
use crate::event::Event;
use crate::refusal::{Outcome, Refusal};
use crate::visit::Visit;

/// What a code is for. One kind's code cannot be spent for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Logging in.
    LoginCode,
    /// Proving an email address.
    VerifyEmail,
    /// Proving a phone number.
    VerifyPhone,
    /// Resetting a password.
    PasswordReset,
}

impl Kind {
    /// Its name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LoginCode => "login_code",
            Self::VerifyEmail => "verify_email",
            Self::VerifyPhone => "verify_phone",
            Self::PasswordReset => "password_reset",
        }
    }

    fn format(self, ctx: &Ctx) -> CodeFormat {
        let account = &ctx.config.account;
        match self {
            Self::LoginCode => account.login_by_code_format,
            Self::VerifyEmail => account.email_verification_by_code_format,
            Self::VerifyPhone => account.phone_verification_code_format,
            Self::PasswordReset => account.password_reset_by_code_format,
        }
    }

    fn attempts(self, ctx: &Ctx) -> u32 {
        let account = &ctx.config.account;
        match self {
            Self::LoginCode => account.login_by_code_max_attempts,
            Self::VerifyEmail => account.email_verification_by_code_max_attempts,
            Self::VerifyPhone => account.phone_verification_max_attempts,
            Self::PasswordReset => account.password_reset_by_code_max_attempts,
        }
    }

    /// How long its code is good for.
    #[must_use]
    pub fn lifetime(self, ctx: &Ctx) -> Millis {
        let account = &ctx.config.account;
        let seconds = match self {
            Self::LoginCode => account.login_by_code_timeout,
            Self::VerifyEmail => account.email_verification_by_code_timeout,
            Self::VerifyPhone => account.phone_verification_timeout,
            Self::PasswordReset => account.password_reset_by_code_timeout,
        };
        seconds.saturating_mul(SECOND)
    }

    /// Whether losing it ends the login that waits for it.
    fn holds_login(self) -> bool {
        !matches!(self, Self::PasswordReset)
    }
}

/// What a process remembers beside its columns.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The address belongs to another account: its owner was told instead, and no code is right.
    pub taken: bool,
    /// The code was right once, and what it is for has yet to be done.
    pub confirmed: bool,
}

/// The state of a process.
///
/// # Errors
/// [`Refusal::Fault`].
pub fn state(process: &Process) -> Outcome<State> {
    Ok(serde_json::from_str(&process.state)?)
}

/// A new code, and how it is shown.
///
/// # Errors
/// [`Refusal::Fault`].
pub fn code(ctx: &Ctx, kind: Kind) -> Outcome<(Code, String)> {
    let format = kind.format(ctx);
    let code = Code::generate(format.numeric, format.length as usize)?;
    let shown = code.show(format.dashed);
    Ok((code, shown))
}

/// Begins to await a code, in place of any other of its kind. Without a code nothing is right: a pretence.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn begin(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &mut Visit,
    kind: Kind,
    user_id: Option<i64>,
    address: &str,
    code: Option<&Code>,
) -> Outcome<()> {
    if let Some(user_id) = user_id {
        users::lock(tx, user_id).await?;
    }
    let session_id = crate::session::ensure(ctx, tx, visit).await?;
    let process = Process {
        id: 0,
        session_id,
        user_id,
        address: address.to_owned(),
        code_hash: code.map(|code| code.digest(&ctx.keyring).to_vec()),
        attempts_left: i64::from(kind.attempts(ctx)),
        resends: 0,
        changes: 0,
        state: serde_json::to_string(&State { taken: code.is_none(), confirmed: false })?,
        expires_at: visit.now.saturating_add(kind.lifetime(ctx)),
    };
    Ok(processes::put(tx, kind.name(), &process).await?)
}

/// The process that awaits a code of this kind; one that has expired is ended first.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn awaited(ctx: &Ctx, visit: &Visit, kind: Kind) -> Outcome<Option<Process>> {
    let Some(session_id) = visit.session.id() else { return Ok(None) };
    let mut conn = ctx.db.read().await?;
    let found = processes::find(&mut conn, session_id, kind.name()).await?;
    drop(conn);
    match found {
        Some(process) if process.expires_at <= visit.now => {
            let mut tx = ctx.db.write().await?;
            lock(&mut tx, &process).await?;
            abort(&mut tx, &process, kind).await?;
            tx.commit().await?;
            Ok(None)
        }
        found => Ok(found),
    }
}

/// What came of a code that somebody typed.
#[derive(Debug)]
pub enum Try {
    /// It is right; not spent yet.
    Right(Process),
    /// It is wrong.
    Wrong,
    /// Nothing is awaited any more.
    Gone,
}

/// Tries a code. A wrong one is counted before this returns, whatever becomes of the request; the last wrong one ends
/// the flow.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn attempt(ctx: &Ctx, visit: &Visit, kind: Kind, process: &Process, typed: &str) -> Outcome<Try> {
    let mut tx = ctx.db.write().await?;
    lock(&mut tx, process).await?;
    // The attempt is taken first and the row stays locked: guesses made at once are counted one by one.
    let Some(process) = processes::take_attempt(&mut tx, process.id, visit.now).await? else {
        return Ok(Try::Gone);
    };
    let right = match (&process.code_hash, Code::parse(typed)) {
        (Some(stored), Some(code)) => code.matches(&ctx.keyring, stored),
        _ => false,
    };
    if right {
        processes::give_back_attempt(&mut tx, process.id).await?;
    } else {
        ctx.record(&mut tx, visit, Event::CodeRejected, process.user_id, kind.name()).await?;
        if process.attempts_left == 0 {
            abort(&mut tx, &process, kind).await?;
        }
    }
    tx.commit().await?;
    Ok(if right { Try::Right(process) } else { Try::Wrong })
}

/// Why a process gets a new code.
#[derive(Debug)]
pub enum Again<'a> {
    /// It is sent once more.
    Resend,
    /// It goes to another address, which may belong to another account.
    Change {
        /// The address.
        address: &'a str,
        /// Whether it is another account's.
        taken: bool,
    },
}

/// Gives a process a new code; neither time nor attempts begin anew. Gives the code to send, unless it is a pretence.
///
/// # Errors
/// [`Refusal::Conflict`] if nothing is awaited any more, or this was done `most` times.
pub async fn again(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &Visit,
    kind: Kind,
    process: &Process,
    why: Again<'_>,
    most: u32,
) -> Outcome<Option<String>> {
    let (code, shown) = code(ctx, kind)?;
    let (address, taken, resends, changes) = match why {
        Again::Resend => (process.address.as_str(), state(process)?.taken, 1, 0),
        Again::Change { address, taken } => (address, taken, 0, 1),
    };
    let real = !taken;
    let hash = real.then(|| code.digest(&ctx.keyring));
    let state = serde_json::to_string(&State { taken, confirmed: false })?;
    let code_hash = hash.as_ref().map(|hash| hash.as_slice());
    let new = Renewal { address, code_hash, state: &state, resends, changes, most: i64::from(most) };
    if !processes::renew(tx, process.id, &new, visit.now).await? {
        return Err(Refusal::Conflict);
    }
    Ok(real.then_some(shown))
}

/// Counts a wrong attempt that never reached the code.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn reject(ctx: &Ctx, visit: &Visit, kind: Kind, process: &Process) -> Outcome<()> {
    attempt(ctx, visit, kind, process, "").await.map(drop)
}

/// Spends a code that was right: of several requests with it, one gets `true`.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn spend(tx: &mut Conn, process: &Process) -> Outcome<bool> {
    lock(tx, process).await?;
    Ok(processes::delete(tx, process.id).await?)
}

/// Keeps other changes to a process, its user and its session waiting until the transaction ends.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn lock(tx: &mut Conn, process: &Process) -> Outcome<()> {
    if let Some(user_id) = process.user_id {
        users::lock(tx, user_id).await?;
    }
    // Whether the session is still there shows in the process, which goes with it.
    sessions::lock(tx, process.session_id).await?;
    Ok(())
}

async fn abort(tx: &mut Conn, process: &Process, kind: Kind) -> Outcome<()> {
    processes::delete(tx, process.id).await?;
    if kind.holds_login() {
        logins::delete(tx, process.session_id).await?;
    }
    Ok(())
}
