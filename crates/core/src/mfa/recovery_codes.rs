//! Recovery codes: a set on paper, for when the other factors are lost. Each works once.

use std::fmt;

use vestibule_base::config::AuthenticatorType as Kind;
use vestibule_base::delivery::MailKind;
use vestibule_base::security::{Code, random, same};
use vestibule_base::storage::authenticators::{self, Authenticator};
use vestibule_base::storage::{Conn, users};

use super::require_proof;
use super::stored::{Line, Set};
use crate::account::primary_email;
use crate::context::Ctx;
use crate::event::Event;
use crate::refusal::{Outcome, Problem, Refusal};
use crate::visit::Visit;

const DIGITS: &[u8] = b"0123456789";

/// How many codes there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// In the set.
    pub total: usize,
    /// Of those, not used yet.
    pub unused: usize,
}

/// A set as it is shown to its owner.
#[derive(Debug)]
pub struct Shown {
    /// The row.
    pub row: Authenticator,
    /// How many codes there are.
    pub counts: Counts,
    /// The codes that are not used yet, in their order; `None` if they were to be seen once and have been.
    pub unused: Option<Vec<Unused>>,
}

/// A code that works. Prints as dots.
#[derive(Clone)]
pub struct Unused(String);

impl Unused {
    /// The text to hand to its owner, and to nobody else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Unused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unused(…)")
    }
}

/// Shows the recovery codes of whoever is logged in.
///
/// # Errors
/// [`Refusal::NotFound`] if there are none, [`Refusal::Reauthenticate`] without a recent proof.
pub async fn view(ctx: &Ctx, visit: &Visit) -> Outcome<Shown> {
    let user_id = visit.current()?.user.id;
    let mut conn = ctx.db.read().await?;
    let found = of_user(&mut conn, user_id).await?;
    drop(conn);
    let Some(row) = found else { return Err(Refusal::NotFound) };
    require_proof(ctx, visit).await?;
    let set = Set::open(ctx, &row)?;
    if set.seen {
        let hidden = ctx.config.mfa.recovery_codes_show_once;
        return Ok(set.show(row, hidden));
    }
    let mut tx = ctx.db.write().await?;
    users::lock(&mut tx, user_id).await?;
    // Read again, now that nobody else can: of two first looks, one sees them if they are to be seen once.
    let row = of_user(&mut tx, user_id).await?.ok_or(Refusal::NotFound)?;
    let mut set = Set::open(ctx, &row)?;
    let hidden = set.seen && ctx.config.mfa.recovery_codes_show_once;
    set.seen = true;
    authenticators::replace_secret(&mut tx, row.id, &row.secret, &set.seal(ctx, user_id)?, None).await?;
    tx.commit().await?;
    Ok(set.show(row, hidden))
}

/// Makes a new set for whoever is logged in, in place of the old one, and shows it.
///
/// # Errors
/// [`Refusal::Invalid`] if there is nothing that they would stand in for, [`Refusal::Reauthenticate`].
pub async fn generate(ctx: &Ctx, visit: &Visit) -> Outcome<Shown> {
    let current = visit.current()?;
    let user_id = current.user.id;
    let mut tx = ctx.db.write().await?;
    users::lock(&mut tx, user_id).await?;
    let rows = authenticators::of_user(&mut tx, user_id).await?;
    if rows.iter().all(|row| row.kind == Kind::RecoveryCodes) {
        return Err(Problem::cannot_generate_recovery_codes().into());
    }
    require_proof(ctx, visit).await?;
    for row in rows.iter().filter(|row| row.kind == Kind::RecoveryCodes) {
        authenticators::delete(&mut tx, row.id).await?;
    }
    let mut set = Set::new(ctx)?;
    set.seen = true;
    let row = set.insert(ctx, &mut tx, visit, user_id).await?;
    ctx.record(&mut tx, visit, Event::RecoveryCodesGenerated, Some(user_id), "").await?;
    ctx.notify(&mut tx, visit, current.email.as_deref(), MailKind::RecoveryCodesGenerated).await?;
    ctx.commit(tx).await?;
    Ok(set.show(row, false))
}

/// Makes a set along with the first other authenticator of a user, if there is none and the settings have such codes;
/// whether it did. To be seen later, and not mailed about: the other authenticator is.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn make_along(ctx: &Ctx, tx: &mut Conn, visit: &Visit, user_id: i64) -> Outcome<bool> {
    if !ctx.config.mfa.supported_types.contains(&Kind::RecoveryCodes) || of_user(tx, user_id).await?.is_some()
    {
        return Ok(false);
    }
    Set::new(ctx)?.insert(ctx, tx, visit, user_id).await?;
    ctx.record(tx, visit, Event::AuthenticatorAdded, Some(user_id), Kind::RecoveryCodes.name()).await?;
    Ok(true)
}

/// How many codes a set has.
///
/// # Errors
/// [`Refusal::Fault`].
pub fn counts(ctx: &Ctx, row: &Authenticator) -> Outcome<Counts> {
    Ok(Set::open(ctx, row)?.counts())
}

/// Takes a code that was not used before (M2).
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
    let mut set = Set::open(ctx, row)?;
    let typed = code.expose().as_bytes();
    let Some(line) = set.codes.iter_mut().find(|line| !line.used && same(line.code.as_bytes(), typed)) else {
        return Ok(false);
    };
    line.used = true;
    let sealed = set.seal(ctx, row.user_id)?;
    if !authenticators::replace_secret(tx, row.id, &row.secret, &sealed, Some(visit.now)).await? {
        return Ok(false);
    }
    if ctx.config.mfa.recovery_code_used_mail {
        let to = primary_email(tx, row.user_id).await?;
        ctx.notify(tx, visit, to.as_deref(), MailKind::RecoveryCodeUsed).await?;
    }
    ctx.record(tx, visit, Event::RecoveryCodeUsed, Some(row.user_id), "").await?;
    Ok(true)
}

async fn of_user(conn: &mut Conn, user_id: i64) -> Outcome<Option<Authenticator>> {
    let rows = authenticators::of_user(conn, user_id).await?;
    Ok(rows.into_iter().find(|row| row.kind == Kind::RecoveryCodes))
}

impl Set {
    /// Random codes, none of them twice.
    fn new(ctx: &Ctx) -> Outcome<Self> {
        let mfa = &ctx.config.mfa;
        let mut codes: Vec<Line> = Vec::new();
        while codes.len() < mfa.recovery_code_count as usize {
            let code = random::text(DIGITS, mfa.recovery_code_digits as usize)?;
            if codes.iter().all(|line| line.code != code) {
                codes.push(Line { code, used: false });
            }
        }
        Ok(Self { codes, seen: false })
    }

    fn open(ctx: &Ctx, row: &Authenticator) -> Outcome<Self> {
        let plain = super::open(ctx, row.user_id, Kind::RecoveryCodes, &row.secret)?;
        Ok(serde_json::from_slice(&plain)?)
    }

    fn seal(&self, ctx: &Ctx, user_id: i64) -> Outcome<Vec<u8>> {
        Ok(super::seal(ctx, user_id, Kind::RecoveryCodes, &serde_json::to_vec(self)?)?)
    }

    async fn insert(&self, ctx: &Ctx, tx: &mut Conn, visit: &Visit, user_id: i64) -> Outcome<Authenticator> {
        let sealed = self.seal(ctx, user_id)?;
        Ok(authenticators::insert(tx, user_id, Kind::RecoveryCodes, &sealed, 0, visit.now).await?)
    }

    fn counts(&self) -> Counts {
        let unused = self.codes.iter().filter(|line| !line.used).count();
        Counts { total: self.codes.len(), unused }
    }

    fn show(self, row: Authenticator, hidden: bool) -> Shown {
        let counts = self.counts();
        let unused = self.codes.into_iter().filter(|line| !line.used).map(|line| Unused(line.code));
        Shown { row, counts, unused: (!hidden).then(|| unused.collect()) }
    }
}
