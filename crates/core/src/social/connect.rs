//! What is connected to an account: the list, another one, one less.

use vestibule_base::config::EmailVerification;
use vestibule_base::delivery::MailKind;
use vestibule_base::storage::social::{self, SocialAccount};
use vestibule_base::storage::users::{self, User};
use vestibule_base::storage::{Conn, emails};
use vestibule_providers::{Arrival, Identity, Provider};

use super::tokens;
use crate::account::{primary_email, reauthenticate};
use crate::context::Ctx;
use crate::event::Event;
use crate::mfa::webauthn;
use crate::refusal::{Outcome, Problem, Refusal};
use crate::session;
use crate::visit::Visit;

/// The accounts that are connected to whoever is logged in, oldest first.
///
/// # Errors
/// [`Refusal::Unauthenticated`] if nobody is.
pub async fn list(ctx: &Ctx, visit: &Visit) -> Outcome<Vec<SocialAccount>> {
    let user_id = visit.current()?.user.id;
    Ok(social::of_user(&mut ctx.db.read().await?, user_id).await?)
}

/// Connects an account to whoever is logged in. One that is connected already only tells its news.
///
/// # Errors
/// [`Refusal::Unauthenticated`] if nobody is logged in, [`Refusal::Reauthenticate`] without a recent proof where one is
/// asked for, [`Refusal::Invalid`] if it is another user's (O7).
pub async fn connect(ctx: &Ctx, visit: &Visit, provider: &Provider, arrival: &Arrival) -> Outcome<()> {
    reauthenticate::require_for_providers(ctx, visit).await?;
    let mut tx = ctx.db.write().await?;
    let user = lock(&mut tx, visit).await?;
    super::spend(&mut tx, visit, arrival).await?;
    let identity = &arrival.identity;
    let account_id = match social::find(&mut tx, provider.id(), &identity.uid).await? {
        Some(account) if account.user_id == user.id => {
            social::touch(&mut tx, account.id, &identity.extra_data.to_string(), visit.now).await?;
            account.id
        }
        Some(_) => return Err(Problem::connected_other().into()),
        None => insert(ctx, &mut tx, visit, provider, identity, user.id).await?,
    };
    tokens::keep(ctx, &mut tx, account_id, arrival.tokens.as_ref()).await?;
    ctx.commit(tx).await
}

/// Connects an account that is nobody's to a user who has others, and tells its owner.
///
/// # Errors
/// [`Refusal::Invalid`] if somebody was faster.
pub(crate) async fn insert(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &Visit,
    provider: &Provider,
    identity: &Identity,
    user_id: i64,
) -> Outcome<i64> {
    let extra = identity.extra_data.to_string();
    let id = social::insert(tx, user_id, provider.id(), &identity.uid, &extra, visit.now).await?;
    let id = id.ok_or_else(Problem::connected_other)?;
    let email = primary_email(tx, user_id).await?;
    let name = provider.name().to_owned();
    ctx.notify(tx, visit, email.as_deref(), |notice| MailKind::ProviderConnected { provider: name, notice })
        .await?;
    ctx.record(tx, visit, Event::ProviderConnected, Some(user_id), provider.id()).await?;
    Ok(id)
}

/// Disconnects an account of whoever is logged in; gives those that are left.
///
/// # Errors
/// [`Refusal::Invalid`] if it is none of theirs, or their last way in (H7); [`Refusal::Reauthenticate`].
pub async fn disconnect(ctx: &Ctx, visit: &Visit, provider: &str, uid: &str) -> Outcome<Vec<SocialAccount>> {
    let mut tx = ctx.db.write().await?;
    // Of two requests that would each leave one account, one finds the other's gone.
    let user = lock(&mut tx, visit).await?;
    let (gone, left): (Vec<_>, Vec<_>) = social::of_user(&mut tx, user.id)
        .await?
        .into_iter()
        .partition(|account| account.provider == provider && account.uid == uid);
    let account = gone.first().ok_or_else(Problem::account_not_found)?;
    if let Some(problem) = last_way_in(ctx, &mut tx, &user, &left).await? {
        return Err(problem.into());
    }
    reauthenticate::require_for_providers(ctx, visit).await?;
    social::delete(&mut tx, account.id).await?;
    let email = primary_email(&mut tx, user.id).await?;
    let name = ctx.providers.find(provider).map_or(provider, Provider::name).to_owned();
    ctx.notify(&mut tx, visit, email.as_deref(), |notice| MailKind::ProviderDisconnected {
        provider: name,
        notice,
    })
    .await?;
    ctx.record(&mut tx, visit, Event::ProviderDisconnected, Some(user.id), provider).await?;
    ctx.commit(tx).await?;
    Ok(left)
}

/// Keeps other changes to the account waiting, and looks whether its user still is who the request came from.
async fn lock(tx: &mut Conn, visit: &Visit) -> Outcome<User> {
    let current = visit.current()?;
    users::lock(tx, current.user.id).await?;
    let user = users::find(tx, current.user.id).await?.filter(|user| user.is_active);
    match user {
        Some(user) if session::lock(tx, current.session_id).await? => Ok(user),
        _ => Err(Refusal::Unauthenticated),
    }
}

/// Why a user could not come in any more with the accounts that would be left.
async fn last_way_in(
    ctx: &Ctx,
    tx: &mut Conn,
    user: &User,
    left: &[SocialAccount],
) -> Outcome<Option<Problem>> {
    let usable = left.iter().any(|account| ctx.providers.find(&account.provider).is_some());
    if usable || webauthn::lets_in(ctx, tx, user.id).await? {
        return Ok(None);
    }
    if ctx.config.socialaccount.only {
        return Ok(Some(Problem::disconnect_last()));
    }
    let account = &ctx.config.account;
    let proved = emails::of_user(tx, user.id).await?.iter().any(|row| row.verified);
    if user.password.is_none() {
        let by_code = account.login_by_code_enabled && proved;
        return Ok((!by_code).then(Problem::no_password));
    }
    let needed = account.email_verification == EmailVerification::Mandatory;
    Ok((needed && !proved).then(Problem::no_verified_email))
}
