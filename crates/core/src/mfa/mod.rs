//! Second factors: what a user can set up besides a password, and what each of them takes as a proof.
//!
//! A kind of authenticator is a file here. What all have in common is on this page: who may set one up, the limit on
//! guesses, the walk over those that take codes, and what goes when the last one does.

pub mod recovery_codes;
pub mod stored;
pub mod totp;
pub mod trust;
pub mod webauthn;

use vestibule_base::config::{Action, AuthenticatorType as Kind};
use vestibule_base::ratelimit::{self, Usage};
use vestibule_base::security::{Code, NoEntropy};
use vestibule_base::storage::authenticators::{self, Authenticator};
use vestibule_base::storage::{Conn, StorageError, emails, users};

use crate::account::reauthenticate;
use crate::context::Ctx;
use crate::event::Event;
use crate::refusal::{Fault, Outcome, Problem, Refusal};
use crate::session;
use crate::visit::{Method, Record, Visit};

/// How many authenticators are encrypted anew in one transaction.
const RESEALED_AT_ONCE: i64 = 200;

/// An authenticator as its owner sees it.
#[derive(Debug)]
pub struct Listed {
    /// The row.
    pub row: Authenticator,
    /// How many recovery codes there are and how many are left, if that is what it is.
    pub codes: Option<recovery_codes::Counts>,
    /// Whether it can log in alone, if it is a key and its browser has said so.
    pub passwordless: Option<bool>,
}

/// The authenticators of whoever is logged in, oldest first.
///
/// # Errors
/// [`Refusal::Unauthenticated`] if nobody is.
pub async fn list(ctx: &Ctx, visit: &Visit) -> Outcome<Vec<Listed>> {
    let user_id = visit.current()?.user.id;
    let mut conn = ctx.db.read().await?;
    let rows = authenticators::of_user(&mut conn, user_id).await?;
    drop(conn);
    rows.into_iter()
        .map(|row| match row.kind {
            Kind::Totp => Ok(Listed { row, codes: None, passwordless: None }),
            Kind::RecoveryCodes => {
                let codes = Some(recovery_codes::counts(ctx, &row)?);
                Ok(Listed { row, codes, passwordless: None })
            }
            Kind::Webauthn => Ok(webauthn::Key::open(ctx, row)?.listed()),
        })
        .collect()
}

/// Takes a code of whoever is logged in as a fresh proof of who they are.
///
/// # Errors
/// [`Refusal::Invalid`] if it is wrong, or if too many were tried.
pub async fn reauthenticate(ctx: &Ctx, visit: &mut Visit, typed: &str) -> Outcome<()> {
    let current = visit.current()?.clone();
    let (used, mut tx) = spend(ctx, visit, current.user.id, typed).await?;
    let record = Record { reauthenticated: true, ..used.record(visit) };
    session::add_record(&mut tx, visit, record).await?;
    ctx.record(&mut tx, visit, Event::Reauthenticated, Some(current.user.id), used.kind.name()).await?;
    ctx.commit(tx).await
}

/// An authenticator that took a code.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    /// The row.
    pub id: i64,
    /// What it is.
    pub kind: Kind,
}

impl Used {
    /// What is kept of it in the session.
    #[must_use]
    pub fn record(self, visit: &Visit) -> Record {
        Record { authenticator: Some((self.kind, self.id)), ..Record::new(Method::Mfa, visit.now) }
    }
}

/// Spends a code of whichever authenticator of a user takes it (M1, M2): of several requests with one code, one gets
/// the transaction, to go on with and to commit. A guess is counted before it is looked at, whatever becomes of the
/// request (M3, P2). The caller must know that the user has passed their first factor.
///
/// # Errors
/// [`Refusal::Invalid`] if none takes it, or if too many were tried.
pub async fn spend(ctx: &Ctx, visit: &Visit, user_id: i64, typed: &str) -> Outcome<(Used, Conn)> {
    let mut tx = ctx.db.write().await?;
    let usage = guess(ctx, &mut tx, visit, user_id).await?;
    let Some(usage) = usage else { return Err(Problem::too_many_login_attempts().on("code").into()) };
    // Of several codes at once, each meets what the last has left.
    users::lock(&mut tx, user_id).await?;
    if let Some(used) = take(ctx, &mut tx, visit, user_id, typed).await? {
        ratelimit::forgive(&mut tx, usage).await?;
        return Ok((used, tx));
    }
    ctx.record(&mut tx, visit, Event::SecondFactorFailed, Some(user_id), "").await?;
    ctx.commit(tx).await?;
    Err(Problem::incorrect_code().on("code").into())
}

async fn take(ctx: &Ctx, tx: &mut Conn, visit: &Visit, user_id: i64, typed: &str) -> Outcome<Option<Used>> {
    let Some(code) = Code::parse(typed) else { return Ok(None) };
    for row in authenticators::of_user(tx, user_id).await? {
        let taken = match row.kind {
            Kind::Totp => totp::spend(ctx, tx, visit, &row, &code).await,
            Kind::RecoveryCodes => recovery_codes::spend(ctx, tx, visit, &row, &code).await,
            // A key signs; it has no codes.
            Kind::Webauthn => Ok(false),
        };
        match taken {
            Ok(true) => return Ok(Some(Used { id: row.id, kind: row.kind })),
            Ok(false) => {}
            // One that no key opens is nobody's: the others still count.
            Err(Refusal::Fault(fault @ Fault::Broken(_))) => {
                tracing::error!(authenticator = row.id, error = %fault, "an authenticator is of no use");
            }
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(None)
}

/// Counts a guess at a code of a user, wherever it is made; `None` if there were too many.
async fn guess(ctx: &Ctx, tx: &mut Conn, visit: &Visit, user_id: i64) -> Outcome<Option<Usage>> {
    ctx.try_limit(tx, visit, Action::LoginFailed, Some(&format!("mfa:{user_id}"))).await
}

/// Refuses whoever may not set up an authenticator: whoever made an account with somebody else's address could lock its
/// owner out for good (H4).
///
/// # Errors
/// [`Refusal::Blocked`] if an address is unverified.
pub async fn may_add(ctx: &Ctx, conn: &mut Conn, user_id: i64) -> Outcome<()> {
    if ctx.config.mfa.allow_unverified_email
        || emails::of_user(conn, user_id).await?.iter().all(|row| row.verified)
    {
        return Ok(());
    }
    Err(Refusal::Blocked(Problem::unverified_email()))
}

/// Demands a recent proof before authenticators are changed or their codes are shown, if the settings ask for one.
///
/// # Errors
/// [`Refusal::Reauthenticate`] if there is none.
pub async fn require_proof(ctx: &Ctx, visit: &Visit) -> Outcome<()> {
    if ctx.config.mfa.reauthentication_required { reauthenticate::demand(ctx, visit).await } else { Ok(()) }
}

/// Removes an authenticator, and the recovery codes if nothing is left that they would stand in for (M2).
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn remove(ctx: &Ctx, tx: &mut Conn, visit: &Visit, row: &Authenticator) -> Outcome<()> {
    for kind in take_away(tx, row).await? {
        ctx.record(tx, visit, Event::AuthenticatorRemoved, Some(row.user_id), kind.name()).await?;
    }
    Ok(())
}

/// The same, whoever does it: gives what was removed.
pub(crate) async fn take_away(tx: &mut Conn, row: &Authenticator) -> Result<Vec<Kind>, StorageError> {
    let mut removed = vec![row.kind];
    authenticators::delete(tx, row.id).await?;
    let left = authenticators::of_user(tx, row.user_id).await?;
    if left.iter().all(|other| other.kind == Kind::RecoveryCodes) {
        for codes in left {
            authenticators::delete(tx, codes.id).await?;
            removed.push(codes.kind);
        }
    }
    Ok(removed)
}

/// Encrypts with the present secret key what all authenticators know, so that former keys are not needed for them any
/// more (X1). Gives how many there are. Safe beside a server that runs with the same keys.
///
/// # Errors
/// [`Fault::Broken`] names one that no key opens; those before it are done.
pub async fn reseal(ctx: &Ctx) -> Result<usize, Fault> {
    let (mut done, mut last) = (0, 0);
    loop {
        let mut tx = ctx.db.write().await?;
        let rows = authenticators::list(&mut tx, last, RESEALED_AT_ONCE).await?;
        let Some(end) = rows.last().map(|row| row.id) else { return Ok(done) };
        for row in &rows {
            let sealed = seal(ctx, row.user_id, row.kind, &open(ctx, row.user_id, row.kind, &row.secret)?)?;
            // One that was used meanwhile was written anew by that.
            authenticators::replace_secret(&mut tx, row.id, &row.secret, &sealed, None).await?;
        }
        tx.commit().await?;
        (done, last) = (done + rows.len(), end);
    }
}

/// Encrypts what an authenticator knows, for this user and kind alone (X1).
///
/// # Errors
/// [`NoEntropy`].
pub fn seal(ctx: &Ctx, user_id: i64, kind: Kind, plain: &[u8]) -> Result<Vec<u8>, NoEntropy> {
    stored::seal(&ctx.keyring, user_id, kind, plain)
}

/// Decrypts it.
///
/// # Errors
/// [`Fault::Broken`] if no secret key, present or former, opens it.
pub fn open(ctx: &Ctx, user_id: i64, kind: Kind, sealed: &[u8]) -> Result<Vec<u8>, Fault> {
    stored::open(&ctx.keyring, user_id, kind, sealed)
}
