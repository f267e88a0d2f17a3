//! What keys sign: a second factor, a fresh proof, a login.

use serde_json::Value;
use vestibule_base::config::{AuthenticatorType as Kind, UserVerification};
use vestibule_base::ratelimit;
use vestibule_base::security::webauthn::{
    AuthenticationResponse, Ceremony, CeremonyError, Owner, RequestOptions,
};
use vestibule_base::storage::users::User;
use vestibule_base::storage::{Conn, authenticators, users};

use super::{Key, Purpose, answered, await_answer, ids, of_user};
use crate::context::Ctx;
use crate::event::Event;
use crate::mfa::stored::handle;
use crate::mfa::{self, Used, guess};
use crate::refusal::{Outcome, Problem, Refusal};
use crate::session;
use crate::visit::{Record, Visit};

/// Asks the keys of a user for a proof.
///
/// # Errors
/// [`Refusal::Conflict`] if the session has ended meanwhile.
pub async fn request_options(
    ctx: &Ctx,
    visit: &mut Visit,
    purpose: Purpose,
    user_id: i64,
) -> Outcome<RequestOptions> {
    let ceremony = Ceremony::begin(ctx.config.mfa.webauthn_user_verification)?;
    let mut tx = ctx.db.write().await?;
    let allow = ids(&of_user(ctx, &mut tx, user_id).await?);
    await_answer(ctx, &mut tx, visit, purpose, Some(user_id), &ceremony).await?;
    tx.commit().await?;
    Ok(ctx.relying_party.request_options(&ceremony, &allow))
}

/// Asks the keys of whoever is logged in for a fresh proof.
///
/// # Errors
/// [`Refusal::Unauthenticated`] if nobody is.
pub async fn reauthentication_options(ctx: &Ctx, visit: &mut Visit) -> Outcome<RequestOptions> {
    let user_id = visit.current()?.user.id;
    request_options(ctx, visit, Purpose::Reauthenticate, user_id).await
}

/// Takes what a key of whoever is logged in has signed as a fresh proof of who they are.
///
/// # Errors
/// [`Refusal::Invalid`] if it is no good, or if too many were tried.
pub async fn reauthenticate(ctx: &Ctx, visit: &mut Visit, sent: Value) -> Outcome<()> {
    let user_id = visit.current()?.user.id;
    let (used, mut tx) = spend(ctx, visit, Purpose::Reauthenticate, user_id, sent).await?;
    let record = Record { reauthenticated: true, ..used.record(visit) };
    session::add_record(&mut tx, visit, record).await?;
    ctx.record(&mut tx, visit, Event::Reauthenticated, Some(user_id), used.kind.name()).await?;
    ctx.commit(tx).await
}

/// Takes what one of the keys of a user has signed; gives the transaction to go on with and to commit. A try is counted
/// before it is looked at, together with those of codes (M3): the caller must know that the user has passed their first
/// factor.
///
/// # Errors
/// [`Refusal::Invalid`] if it is no good, or if too many were tried.
pub async fn spend(
    ctx: &Ctx,
    visit: &Visit,
    purpose: Purpose,
    user_id: i64,
    sent: Value,
) -> Outcome<(Used, Conn)> {
    let mut tx = ctx.db.write().await?;
    let usage = guess(ctx, &mut tx, visit, user_id).await?;
    let ceremony = answered(&mut tx, visit, purpose, Some(user_id)).await?;
    tx.commit().await?;
    let Some(usage) = usage else { return Err(Problem::too_many_login_attempts().on("credential").into()) };
    let mut tx = ctx.db.write().await?;
    ratelimit::forgive(&mut tx, usage).await?;
    users::lock(&mut tx, user_id).await?;
    let mut copied = None;
    if let (Some(ceremony), Ok(response)) = (ceremony, read(sent)) {
        let mut keys = of_user(ctx, &mut tx, user_id).await?.into_iter();
        let named =
            |key: &Key| key.credential.as_ref().is_some_and(|own| own.id == *response.credential_id());
        if let Some(key) = keys.find(named) {
            match take(ctx, &mut tx, visit, &ceremony, &response, key, |handle| Owner::Known(handle)).await? {
                Taken::Used(used) => return Ok((used, tx)),
                Taken::Not(found) => copied = found,
            }
        }
    }
    // With the transaction, what was forgiven counts again.
    drop(tx);
    Err(failed(ctx, visit, Event::SecondFactorFailed, Some(user_id), copied).await)
}

/// Asks any passkey to log in. Whoever holds it must be verified.
///
/// # Errors
/// [`Refusal::Conflict`] if the session has ended meanwhile.
pub async fn login_options(ctx: &Ctx, visit: &mut Visit) -> Outcome<RequestOptions> {
    let ceremony = Ceremony::begin(UserVerification::Required)?;
    let mut tx = ctx.db.write().await?;
    await_answer(ctx, &mut tx, visit, Purpose::Login, None, &ceremony).await?;
    tx.commit().await?;
    Ok(ctx.relying_party.request_options(&ceremony, &[]))
}

/// Takes what a passkey has signed; gives its owner and the transaction to go on with and to commit. Whatever is wrong, the
/// answer is the same (P3, P7), and nothing is counted against the owner (M3): anybody could have sent it.
///
/// # Errors
/// [`Refusal::Invalid`] if it is no good.
pub async fn log_in(ctx: &Ctx, visit: &Visit, sent: Value) -> Outcome<(Used, User, Conn)> {
    let mut tx = ctx.db.write().await?;
    let ceremony = answered(&mut tx, visit, Purpose::Login, None).await?;
    tx.commit().await?;
    let (Some(ceremony), Ok(response)) = (ceremony, read(sent)) else {
        return Err(failed(ctx, visit, Event::LoginFailed, None, None).await);
    };
    let id = response.credential_id().as_bytes();
    let mut conn = ctx.db.read().await?;
    let found = authenticators::find_key(&mut conn, id).await?;
    drop(conn);
    let Some(owner) = found.map(|row| row.user_id) else {
        return Err(failed(ctx, visit, Event::LoginFailed, None, None).await);
    };
    let mut tx = ctx.db.write().await?;
    users::lock(&mut tx, owner).await?;
    // Read again, now that nobody else can: it may be gone, or have been used.
    let found = authenticators::find_key(&mut tx, id).await?.filter(|row| row.user_id == owner);
    let mut copied = None;
    if let Some(row) = found {
        let key = Key::open(ctx, row)?;
        let user = users::find(&mut tx, owner).await?.filter(|user| user.is_active && key.is_passkey());
        if let Some(user) = user {
            match take(ctx, &mut tx, visit, &ceremony, &response, key, |handle| Owner::Found(handle)).await? {
                Taken::Used(used) => return Ok((used, user, tx)),
                Taken::Not(found) => copied = found,
            }
        }
    }
    drop(tx);
    Err(failed(ctx, visit, Event::LoginFailed, Some(owner), copied).await)
}

/// Writes down that a key was not taken, and whether it may be a copy. No transaction may be open.
async fn failed(
    ctx: &Ctx,
    visit: &Visit,
    event: Event,
    user: Option<i64>,
    copied: Option<String>,
) -> Refusal {
    let noted = async {
        if let Some(detail) = copied {
            ctx.record_alone(visit, Event::KeyCopied, user, &detail).await?;
        }
        ctx.record_alone(visit, event, user, Kind::Webauthn.name()).await
    };
    noted.await.map_or_else(Refusal::from, |()| no_good())
}

/// What came of what a key has signed.
enum Taken {
    Used(Used),
    /// It is no good; and if it may be from a copy of the key, why.
    Not(Option<String>),
}

/// Takes what a key has signed, and notes what it says of itself. Its row must be locked; `of` is whether its owner was
/// known or found by it.
async fn take(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &Visit,
    ceremony: &Ceremony,
    response: &AuthenticationResponse,
    key: Key,
    of: fn(&[u8]) -> Owner<'_>,
) -> Outcome<Taken> {
    let Key { row, credential: Some(mut credential) } = key else {
        return Ok(Taken::Not(None));
    };
    let owner = credential.user_handle.clone().unwrap_or_else(|| handle(row.user_id));
    let said = match ctx.relying_party.authenticate(ceremony, response, &credential, of(&owner)) {
        Ok(said) => said,
        Err(error) => {
            tracing::debug!(%error, "an assertion was not taken");
            let counted = matches!(error, CeremonyError::SignCount { .. });
            return Ok(Taken::Not(counted.then(|| format!("key {}: {error}", row.id))));
        }
    };
    credential.sign_count = said.sign_count;
    credential.backed_up = said.backed_up;
    // Sealed anew at each use, so that a former secret key is not needed for ever.
    let sealed = mfa::seal(ctx, row.user_id, row.kind, &serde_json::to_vec(&credential)?)?;
    let used = Used { id: row.id, kind: row.kind };
    let noted = authenticators::replace_secret(tx, row.id, &row.secret, &sealed, Some(visit.now)).await?;
    Ok(if noted { Taken::Used(used) } else { Taken::Not(None) })
}

fn read(sent: Value) -> serde_json::Result<AuthenticationResponse> {
    serde_json::from_value(sent)
}

fn no_good() -> Refusal {
    Problem::incorrect_code().on("credential").into()
}
