//! A signup by a provider that waits for what the provider did not say: one a session.

use serde::{Deserialize, Serialize};
use vestibule_base::security::clock::SECOND;
use vestibule_base::storage::Conn;
use vestibule_base::storage::processes::{self, Process};
use vestibule_providers::{Identity, Provider, Tokens};

use super::tokens;
use crate::context::Ctx;
use crate::refusal::{Outcome, Refusal};
use crate::session;
use crate::visit::{Session, Visit};

const KIND: &str = "provider_signup";

/// Who waits to be signed up.
#[derive(Debug)]
pub struct Pending<'a> {
    /// The row.
    process: Process,
    /// Who vouches.
    pub provider: &'a Provider,
    /// For whom.
    pub identity: Identity,
    /// The provider's tokens.
    pub tokens: Option<Tokens>,
}

#[derive(Serialize, Deserialize)]
struct State {
    identity: Identity,
    /// Sealed, in hexadecimal digits.
    tokens: Option<String>,
}

/// Lets a signup wait, in place of any other of the session.
///
/// # Errors
/// [`Refusal::Conflict`] if the session has ended meanwhile.
pub async fn hold(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &mut Visit,
    provider: &Provider,
    identity: &Identity,
    held: Option<&Tokens>,
) -> Outcome<()> {
    let session_id = session::ensure(ctx, tx, visit).await?;
    let held = held.filter(|_| ctx.config.socialaccount.store_tokens);
    let sealed = held.map(|held| tokens::seal_waiting(ctx, session_id, held)).transpose()?;
    let state = State { identity: identity.clone(), tokens: sealed.map(hex::encode) };
    let process = Process {
        id: 0,
        session_id,
        user_id: None,
        address: provider.id().to_owned(),
        code_hash: None,
        attempts_left: 1,
        resends: 0,
        changes: 0,
        state: serde_json::to_string(&state)?,
        expires_at: visit.now.saturating_add(ctx.config.account.login_timeout.saturating_mul(SECOND)),
    };
    Ok(processes::put(tx, KIND, &process).await?)
}

/// The signup that waits in this session.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn find<'a>(ctx: &'a Ctx, conn: &mut Conn, visit: &Visit) -> Outcome<Option<Pending<'a>>> {
    let Session::Anonymous { id } = visit.session else { return Ok(None) };
    let found = processes::find(conn, id, KIND).await?.filter(|process| process.expires_at > visit.now);
    let Some(process) = found else { return Ok(None) };
    // The app may have been taken out of the configuration meanwhile.
    let Some(provider) = ctx.providers.find(&process.address) else { return Ok(None) };
    let state: State = serde_json::from_str(&process.state)?;
    let sealed = state.tokens.and_then(|text| hex::decode(text).ok());
    let tokens = sealed.map(|sealed| tokens::open_waiting(ctx, id, &sealed)).transpose()?;
    Ok(Some(Pending { process, provider, identity: state.identity, tokens }))
}

/// Takes the signup out of its session: of two requests that complete it, one may.
///
/// # Errors
/// [`Refusal::Conflict`] if another request was faster.
pub async fn take(tx: &mut Conn, pending: &Pending<'_>) -> Outcome<()> {
    let live = session::lock(tx, pending.process.session_id).await?;
    if live && processes::delete(tx, pending.process.id).await? { Ok(()) } else { Err(Refusal::Conflict) }
}

/// Forgets the signup that waits in a session, if there is one.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn forget(tx: &mut Conn, visit: &Visit) -> Outcome<()> {
    let Some(id) = visit.session.id() else { return Ok(()) };
    if let Some(process) = processes::find(tx, id, KIND).await? {
        processes::delete(tx, process.id).await?;
    }
    Ok(())
}
