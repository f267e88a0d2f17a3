//! Codes of an authenticator app (RFC 6238, HMAC-SHA-1).

use std::fmt;

use totp_rs::{Builder, Secret, Totp, TotpError};
use vestibule_base::config::AuthenticatorType as Kind;
use vestibule_base::delivery::MailKind;
use vestibule_base::ratelimit;
use vestibule_base::security::clock::SECOND;
use vestibule_base::security::{Code, Millis, random};
use vestibule_base::storage::authenticators::{self, Authenticator};
use vestibule_base::storage::processes::{self, Process};
use vestibule_base::storage::{Conn, users};

use super::{guess, may_add, recovery_codes, remove, require_proof};
use crate::context::Ctx;
use crate::event::Event;
use crate::refusal::{Fault, Outcome, Problem, Refusal};
use crate::session;
use crate::visit::{Current, Visit};

/// Bytes of a secret: RFC 4226, section 4, recommends 160 bits.
const SECRET: usize = 20;
/// The process that awaits the first code of a secret that was offered.
const SETUP: &str = "totp_setup";
/// How long a secret is offered.
const OFFERED_FOR: Millis = 3600 * SECOND;

/// What there is to say about TOTP.
#[derive(Debug)]
pub enum Status {
    /// It is set up.
    Active(Authenticator),
    /// It is not, and this secret is offered to be put into an app.
    Offered(Offer),
}

/// A secret to be put into an app. Prints as dots.
pub struct Offer {
    /// The secret in base 32.
    pub secret: String,
    /// The same with all that an app must know, for a QR code.
    pub url: String,
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Offer(…)")
    }
}

/// Looks whether whoever is logged in has TOTP; offers a new secret to this session if not. Of several secrets the last
/// one counts.
///
/// # Errors
/// [`Refusal::Blocked`] if they may not set it up.
pub async fn status(ctx: &Ctx, visit: &mut Visit) -> Outcome<Status> {
    let current = visit.current()?.clone();
    let user_id = current.user.id;
    let mut conn = ctx.db.read().await?;
    if let Some(row) = of_user(&mut conn, user_id).await? {
        return Ok(Status::Active(row));
    }
    drop(conn);
    let mut tx = ctx.db.write().await?;
    users::lock(&mut tx, user_id).await?;
    may_add(ctx, &mut tx, user_id).await?;
    let secret = random::bytes::<SECRET>()?;
    let sealed = super::seal(ctx, user_id, Kind::Totp, &secret)?;
    let process = Process {
        id: 0,
        session_id: session::ensure(ctx, &mut tx, visit).await?,
        user_id: Some(user_id),
        address: String::new(),
        code_hash: Some(sealed),
        attempts_left: 0,
        resends: 0,
        changes: 0,
        state: "{}".to_owned(),
        expires_at: visit.now.saturating_add(OFFERED_FOR),
    };
    processes::put(&mut tx, SETUP, &process).await?;
    tx.commit().await?;
    let totp = builder(ctx, &secret)
        .with_account_name(label(&current))
        .with_issuer(Some(issuer(ctx)))
        .build()
        .map_err(broken)?;
    Ok(Status::Offered(Offer { secret: totp.secret().to_base32(), url: totp.to_url().map_err(broken)? }))
}

/// Sets up TOTP with the first code of the secret that was offered to this session; recovery codes are made along.
///
/// # Errors
/// [`Refusal::Invalid`] for a wrong code, [`Refusal::Reauthenticate`] for a right one without a recent proof.
pub async fn activate(ctx: &Ctx, visit: &Visit, typed: &str) -> Outcome<Authenticator> {
    let current = visit.current()?;
    let user_id = current.user.id;
    let mut tx = ctx.db.write().await?;
    let usage = guess(ctx, &mut tx, visit, user_id).await?;
    users::lock(&mut tx, user_id).await?;
    may_add(ctx, &mut tx, user_id).await.map_err(|refusal| match refusal {
        Refusal::Blocked(problem) => problem.on("code").into(),
        refusal => refusal,
    })?;
    let Some(usage) = usage else { return Err(Problem::rate_limited().on("code").into()) };
    let Some((process, secret, step)) = first_code(ctx, &mut tx, visit, current, typed).await? else {
        ctx.record(&mut tx, visit, Event::SecondFactorFailed, Some(user_id), "setting up").await?;
        ctx.commit(tx).await?;
        return Err(Problem::incorrect_code().on("code").into());
    };
    require_proof(ctx, visit).await?;
    ratelimit::forgive(&mut tx, usage).await?;
    processes::delete(&mut tx, process.id).await?;
    let sealed = super::seal(ctx, user_id, Kind::Totp, &secret)?;
    // The code is spent by this: it does not log in as well.
    let row = authenticators::insert(&mut tx, user_id, Kind::Totp, &sealed, step, visit.now).await?;
    ctx.record(&mut tx, visit, Event::AuthenticatorAdded, Some(user_id), Kind::Totp.name()).await?;
    recovery_codes::make_along(ctx, &mut tx, visit, user_id).await?;
    ctx.notify(&mut tx, visit, current.email.as_deref(), MailKind::TotpActivated).await?;
    ctx.commit(tx).await?;
    Ok(row)
}

/// The secret that was offered to this session and the step of the code, if it is one of that secret.
async fn first_code(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &Visit,
    current: &Current,
    typed: &str,
) -> Outcome<Option<(Process, Vec<u8>, i64)>> {
    session::lock(tx, current.session_id).await?;
    let process = processes::find(tx, current.session_id, SETUP).await?;
    let process = process.filter(|p| p.user_id == Some(current.user.id) && p.expires_at > visit.now);
    let (Some(process), Some(code)) = (process, Code::parse(typed)) else { return Ok(None) };
    let Some(sealed) = &process.code_hash else { return Ok(None) };
    let secret = super::open(ctx, current.user.id, Kind::Totp, sealed)?;
    let step = matched(ctx, &secret, &code, visit.now)?;
    Ok(step.map(|step| (process, secret, step)))
}

/// Removes TOTP, if it is set up.
///
/// # Errors
/// [`Refusal::Reauthenticate`] without a recent proof.
pub async fn deactivate(ctx: &Ctx, visit: &Visit) -> Outcome<()> {
    let current = visit.current()?;
    let mut tx = ctx.db.write().await?;
    users::lock(&mut tx, current.user.id).await?;
    let Some(row) = of_user(&mut tx, current.user.id).await? else { return Ok(()) };
    require_proof(ctx, visit).await?;
    remove(ctx, &mut tx, visit, &row).await?;
    ctx.notify(&mut tx, visit, current.email.as_deref(), MailKind::TotpDeactivated).await?;
    ctx.commit(tx).await
}

/// Takes a code, unless one of its step or of a later one was taken before (M1).
///
/// # Errors
/// [`Refusal::Fault`].
pub(super) async fn spend(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &Visit,
    row: &Authenticator,
    code: &Code,
) -> Outcome<bool> {
    let secret = super::open(ctx, row.user_id, row.kind, &row.secret)?;
    let Some(step) = matched(ctx, &secret, code, visit.now)? else { return Ok(false) };
    // Sealed anew at each use, so that a former secret key is not needed for ever.
    let sealed = super::seal(ctx, row.user_id, row.kind, &secret)?;
    Ok(authenticators::advance(tx, row.id, step, &sealed, visit.now).await?)
}

async fn of_user(conn: &mut Conn, user_id: i64) -> Outcome<Option<Authenticator>> {
    let rows = authenticators::of_user(conn, user_id).await?;
    Ok(rows.into_iter().find(|row| row.kind == Kind::Totp))
}

/// The step near now whose code this is.
fn matched(ctx: &Ctx, secret: &[u8], code: &Code, now: Millis) -> Outcome<Option<i64>> {
    // Whatever its length: an account that moved in may have a shorter secret than we would make.
    let totp = builder(ctx, secret).build_noncompliant();
    Ok(step_of(&totp, code.expose(), now))
}

fn step_of(totp: &Totp, code: &str, now: Millis) -> Option<i64> {
    let seconds = u64::try_from(now / SECOND).unwrap_or_default();
    totp.check(code, seconds).and_then(|step| i64::try_from(step).ok())
}

fn builder(ctx: &Ctx, secret: &[u8]) -> Builder {
    let mfa = &ctx.config.mfa;
    Builder::new()
        .with_secret(Secret::new(secret.into()))
        .with_digits(u8::try_from(mfa.totp_digits).unwrap_or(u8::MAX))
        .with_skew(u16::try_from(mfa.totp_tolerance).unwrap_or_default())
        .with_step_duration(u64::from(mfa.totp_period))
}

/// Who it is, as an app shows it. A colon would end the name of the issuer.
fn label(current: &Current) -> String {
    let named = current.email.as_deref().or(current.user.username.as_deref()).map(str::to_owned);
    named.unwrap_or_else(|| current.user.id.to_string()).replace(':', " ")
}

fn issuer(ctx: &Ctx) -> String {
    let configured = ctx.config.mfa.totp_issuer.trim();
    let host = || ctx.config.host().unwrap_or_default();
    if configured.is_empty() { host() } else { configured.to_owned() }.replace(':', " ")
}

/// The settings were looked at when the server started: this does not happen.
fn broken(error: TotpError) -> Fault {
    Fault::Broken(format!("TOTP: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, for HMAC-SHA-1: seconds since 1970, step, code of eight digits.
    const VECTORS: [(i64, i64, &str); 6] = [
        (59, 0x1, "94287082"),
        (1_111_111_109, 0x0235_23EC, "07081804"),
        (1_111_111_111, 0x0235_23ED, "14050471"),
        (1_234_567_890, 0x0273_EF07, "89005924"),
        (2_000_000_000, 0x03F9_40AA, "69279037"),
        (20_000_000_000, 0x27BC_86AA, "65353130"),
    ];

    fn totp(digits: u8, skew: u16) -> Totp {
        let secret = Secret::new(b"12345678901234567890".as_slice().into());
        Builder::new().with_secret(secret).with_digits(digits).with_skew(skew).build().unwrap()
    }

    #[test]
    fn m1_the_vectors_of_rfc_6238_give_their_steps() {
        for (seconds, step, code) in VECTORS {
            let now = seconds * SECOND + 999;
            assert_eq!(step_of(&totp(8, 0), code, now), Some(step), "{seconds}");
            assert_eq!(step_of(&totp(6, 0), &code[2..], now), Some(step), "{seconds}");
            assert_eq!(step_of(&totp(8, 0), code, now + 30 * SECOND), None, "no tolerance: {seconds}");
            assert_eq!(step_of(&totp(8, 1), code, now + 30 * SECOND), Some(step), "{seconds}");
            assert_eq!(step_of(&totp(8, 1), code, now - 30 * SECOND), Some(step), "{seconds}");
            assert_eq!(step_of(&totp(8, 1), code, now + 60 * SECOND), None, "{seconds}");
        }
    }

    #[test]
    fn m1_a_clock_before_1970_takes_nothing_and_breaks_nothing() {
        assert_eq!(step_of(&totp(8, 1), "94287082", -1_000_000), Some(1));
        assert_eq!(step_of(&totp(8, 0), "94287082", i64::MIN), None);
        assert_eq!(step_of(&totp(8, 0), "94287082", i64::MAX), None);
    }
}
