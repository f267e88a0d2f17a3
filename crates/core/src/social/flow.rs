//! The two halves of a redirect: sending somebody to a provider, and knowing them again when they come back (O1).
//!
//! A flow is a row: named by the hash of a random text that the provider hands back, bound to the session and the
//! provider that began it, good once. Several of a session do not disturb each other.

use serde::{Deserialize, Serialize};
use vestibule_base::security::clock::SECOND;
use vestibule_base::security::token::{self, Digest};
use vestibule_base::security::{Millis, Purpose, Token};
use vestibule_base::storage::Conn;
use vestibule_base::storage::provider_flows::{self as rows, ProviderFlow};
use vestibule_providers::{Callback, Departure, Memory, Provider, Start};

use super::{Failure, Process, ReturnUrl};
use crate::context::Ctx;
use crate::refusal::{Outcome, Refusal};
use crate::session;
use crate::visit::Visit;

/// How long somebody may stay away.
const LIFETIME: Millis = 600 * SECOND;
/// How many flows a session may have under way; the oldest give way.
const MOST: i64 = 10;

/// Sends somebody to a provider; gives the URL there. `query` is that of the request, for the providers that need to be
/// told something.
///
/// # Errors
/// [`Failure::Provider`] if the provider cannot be asked, [`Failure::Refused`].
pub async fn start(
    ctx: &Ctx,
    visit: &mut Visit,
    provider: &Provider,
    process: Process,
    back: &ReturnUrl,
    query: &[(String, String)],
) -> Result<String, Failure> {
    let state = Token::generate().map_err(Refusal::from)?;
    let begun = ctx.providers.begin(provider, Start { state: state.expose(), query });
    let departure = super::in_time(ctx, begun).await?;
    note(ctx, visit, provider, process, back, &state, &departure).await?;
    Ok(departure.url)
}

async fn note(
    ctx: &Ctx,
    visit: &mut Visit,
    provider: &Provider,
    process: Process,
    back: &ReturnUrl,
    state: &Token,
    departure: &Departure,
) -> Outcome<()> {
    let name_hash = token::digest(departure.known_by.as_deref().unwrap_or(state.expose()));
    let memory = serde_json::to_vec(&departure.memory)?;
    let mut tx = ctx.db.write().await?;
    let flow = ProviderFlow {
        session_id: session::ensure(ctx, &mut tx, visit).await?,
        provider: provider.id().to_owned(),
        process: process.name().to_owned(),
        callback_url: back.as_str().to_owned(),
        memory: ctx.keyring.seal(Purpose::ProviderFlow, &name_hash, &memory)?,
        name_hash: name_hash.to_vec(),
        answer: None,
        expires_at: visit.now.saturating_add(LIFETIME),
    };
    rows::insert(&mut tx, &flow, MOST).await?;
    ctx.commit(tx).await
}

/// A flow that somebody came back with. It is spent.
#[derive(Debug)]
pub struct Returned<'a> {
    /// The provider that it was begun at.
    pub provider: &'a Provider,
    /// What for.
    pub process: Process,
    /// Where the front end wants its user.
    pub back: ReturnUrl,
    /// What the first half left behind.
    pub memory: Memory,
    /// What was brought.
    pub callback: Callback,
}

/// Takes the flow that a callback of one of these providers belongs to; `None` if it is none of this session's, or was
/// taken before.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn take<'a>(
    ctx: &Ctx,
    visit: &Visit,
    providers: &[&'a Provider],
    callback: Callback,
) -> Outcome<Option<Returned<'a>>> {
    let Some(session_id) = visit.session.id() else { return Ok(None) };
    let mut tx = ctx.db.write().await?;
    let mut taken = None;
    for provider in providers {
        let Some(name) = provider.flow_name(&callback) else { continue };
        let name_hash = token::digest(name);
        if let Some(flow) = rows::take(&mut tx, &name_hash, session_id, provider.id(), visit.now).await? {
            taken = Some((*provider, flow));
            break;
        }
    }
    tx.commit().await?;
    taken.map(|(provider, flow)| open(ctx, provider, &flow, callback)).transpose()
}

fn open<'a>(
    ctx: &Ctx,
    provider: &'a Provider,
    flow: &ProviderFlow,
    mut callback: Callback,
) -> Outcome<Returned<'a>> {
    let unsealed = |sealed: &[u8]| {
        let opened = ctx.keyring.open(Purpose::ProviderFlow, &flow.name_hash, sealed);
        opened.ok_or_else(|| crate::Fault::Broken("a provider flow opens with no key".into()))
    };
    if let Some(answer) = &flow.answer {
        let Posted { params } = serde_json::from_slice(&unsealed(answer)?)?;
        callback.params = params;
    }
    let broken = || Refusal::Fault(crate::Fault::Broken("a provider flow has no known process".into()));
    Ok(Returned {
        provider,
        process: Process::named(&flow.process).ok_or_else(broken)?,
        // Judged when it was taken in.
        back: ReturnUrl::stored(&flow.callback_url),
        memory: serde_json::from_slice(&unsealed(&flow.memory)?)?,
        callback,
    })
}

/// No form of a provider is longer: codes and tokens have some thousand characters.
const LONGEST_ANSWER: usize = 32 * 1024;

/// What came by a form.
#[derive(Serialize, Deserialize)]
struct Posted {
    params: Vec<(String, String)>,
}

/// Keeps what a page of the provider posted: browsers send no session cookie along with that. The browser is then sent to
/// fetch it, and does carry its session. Gives the name of the flow; `None` if there is no such flow, or
/// if this is no provider's form by its length.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn keep_answer(
    ctx: &Ctx,
    visit: &Visit,
    providers: &[&Provider],
    callback: &Callback,
) -> Outcome<Option<String>> {
    let posted = serde_json::to_vec(&Posted { params: callback.params.clone() })?;
    if posted.len() > LONGEST_ANSWER {
        return Ok(None);
    }
    let mut tx = ctx.db.write().await?;
    for provider in providers {
        let Some(name) = provider.flow_name(callback) else { continue };
        let name_hash: Digest = token::digest(name);
        let sealed = ctx.keyring.seal(Purpose::ProviderFlow, &name_hash, &posted)?;
        if rows::put_answer(&mut tx, &name_hash, provider.id(), &sealed, visit.now).await? {
            tx.commit().await?;
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(None)
}

/// Forgets what was to be connected by nobody: it must not be connected to whoever logs in next (L2).
///
/// # Errors
/// [`Refusal::Fault`].
pub(crate) async fn forget_connections(tx: &mut Conn, session_id: i64) -> Outcome<()> {
    Ok(rows::forget(tx, session_id, Process::Connect.name()).await?)
}

/// Takes the flows out of a session that gives way to another of the same user.
///
/// # Errors
/// [`Refusal::Fault`].
pub(crate) async fn carry_out(tx: &mut Conn, session_id: i64) -> Outcome<Vec<ProviderFlow>> {
    Ok(rows::take_of_session(tx, session_id).await?)
}

/// Puts them into the other session.
///
/// # Errors
/// [`Refusal::Fault`].
pub(crate) async fn carry_in(tx: &mut Conn, session_id: i64, flows: Vec<ProviderFlow>) -> Outcome<()> {
    for flow in flows {
        rows::insert(tx, &ProviderFlow { session_id, ..flow }, MOST).await?;
    }
    Ok(())
}
