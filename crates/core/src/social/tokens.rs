//! The tokens that providers give, kept sealed where `socialaccount.store_tokens` says so, for use on behalf of the user.

use secrecy::{ExposeSecret, SecretString};
use vestibule_base::security::{Keyring, Millis, NoEntropy, Purpose};
use vestibule_base::storage::Conn;
use vestibule_base::storage::social::{self, SocialAccount, SocialToken};
pub use vestibule_providers::Tokens;

use super::Failure;
use crate::context::Ctx;
use crate::refusal::{Fault, Outcome, Refusal};

/// An access token is renewed this long before it expires.
const EARLY: Millis = 60_000;
/// How many rows are sealed anew in one transaction.
const AT_ONCE: i64 = 100;

/// Keeps the tokens of a connected account, where they are to be kept.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn keep(ctx: &Ctx, tx: &mut Conn, account_id: i64, tokens: Option<&Tokens>) -> Outcome<()> {
    let Some(tokens) = tokens.filter(|_| ctx.config.socialaccount.store_tokens) else { return Ok(()) };
    Ok(social::put_token(tx, &sealed(ctx, account_id, tokens)?).await?)
}

/// The access token of a connected account, renewed if it has expired and the provider gave what it takes; `None` if none
/// is kept.
///
/// # Errors
/// [`Failure::Provider`] if it cannot be renewed.
pub async fn access(ctx: &Ctx, account: &SocialAccount) -> Result<Option<SecretString>, Failure> {
    let now = ctx.clock.now();
    let Some(stored) = stored(ctx, account.id).await? else { return Ok(None) };
    let tokens = opened(ctx, &stored)?;
    let expired = tokens.expires_at.is_some_and(|at| at <= now.saturating_add(EARLY));
    let provider = ctx.providers.find(&account.provider);
    let (Some(refresh), Some(provider), true) = (&tokens.refresh, provider, expired) else {
        return Ok(Some(tokens.access));
    };
    let fresh = ctx.providers.refresh(provider, refresh).await?;
    write(ctx, account.id, &fresh).await?;
    Ok(Some(fresh.access))
}

/// The same for an account of this user at this provider, or of several the one with this uid, else the oldest.
///
/// # Errors
/// As [`access`].
pub async fn access_of(
    ctx: &Ctx,
    user_id: i64,
    provider: &str,
    uid: Option<&str>,
) -> Result<Option<SecretString>, Failure> {
    let connected = of_user(ctx, user_id).await?;
    let wanted =
        |account: &&SocialAccount| account.provider == provider && uid.is_none_or(|uid| account.uid == uid);
    match connected.iter().find(wanted) {
        Some(account) => access(ctx, account).await,
        None => Ok(None),
    }
}

async fn of_user(ctx: &Ctx, user_id: i64) -> Outcome<Vec<SocialAccount>> {
    Ok(social::of_user(&mut ctx.db.read().await?, user_id).await?)
}

async fn stored(ctx: &Ctx, account_id: i64) -> Outcome<Option<SocialToken>> {
    Ok(social::token(&mut ctx.db.read().await?, account_id).await?)
}

async fn write(ctx: &Ctx, account_id: i64, tokens: &Tokens) -> Outcome<()> {
    let mut tx = ctx.db.write().await?;
    social::put_token(&mut tx, &sealed(ctx, account_id, tokens)?).await?;
    ctx.commit(tx).await
}

/// Seals with the present secret key what was sealed with a former one; gives how many tokens there are.
///
/// # Errors
/// [`Fault`] if the database does not answer, or one of them opens with none of the keys.
pub async fn reseal(ctx: &Ctx) -> Result<usize, Fault> {
    let (mut count, mut after) = (0, 0);
    loop {
        let mut tx = ctx.db.write().await?;
        let rows = social::tokens(&mut tx, after, AT_ONCE).await?;
        let Some(last) = rows.last() else { return Ok(count) };
        after = last.account_id;
        for row in &rows {
            let fresh = sealed(ctx, row.account_id, &opened(ctx, row)?)?;
            social::reseal_token(&mut tx, &fresh, &row.access).await?;
            count += 1;
        }
        tx.commit().await?;
    }
}

fn sealed(ctx: &Ctx, account_id: i64, tokens: &Tokens) -> Result<SocialToken, Fault> {
    Ok(seal(&ctx.keyring, account_id, tokens)?)
}

fn opened(ctx: &Ctx, row: &SocialToken) -> Result<Tokens, Fault> {
    open(&ctx.keyring, row)
}

/// Encrypts the tokens of a connected account, for this account alone.
///
/// # Errors
/// [`NoEntropy`].
pub fn seal(keyring: &Keyring, account_id: i64, tokens: &Tokens) -> Result<SocialToken, NoEntropy> {
    let seal = |what: &str, text: &SecretString| {
        keyring.seal(Purpose::ProviderToken, &owner(account_id, what), text.expose_secret().as_bytes())
    };
    Ok(SocialToken {
        account_id,
        access: seal("access", &tokens.access)?,
        refresh: tokens.refresh.as_ref().map(|refresh| seal("refresh", refresh)).transpose()?,
        expires_at: tokens.expires_at,
    })
}

/// Decrypts them.
///
/// # Errors
/// [`Fault::Broken`] if no secret key, present or former, opens them.
pub fn open(keyring: &Keyring, row: &SocialToken) -> Result<Tokens, Fault> {
    let open = |what: &str, sealed: &[u8]| {
        let plain = keyring.open(Purpose::ProviderToken, &owner(row.account_id, what), sealed);
        let text = plain.and_then(|plain| String::from_utf8(plain).ok());
        text.map(SecretString::from).ok_or_else(|| {
            Fault::Broken(format!("the tokens of social account {} open with no key", row.account_id))
        })
    };
    Ok(Tokens {
        access: open("access", &row.access)?,
        refresh: row.refresh.as_deref().map(|sealed| open("refresh", sealed)).transpose()?,
        expires_at: row.expires_at,
    })
}

fn owner(account_id: i64, what: &str) -> Vec<u8> {
    format!("{account_id}:{what}").into_bytes()
}

/// Tokens that wait with a signup, as they are written down.
///
/// # Errors
/// [`Refusal::Fault`].
pub(super) fn seal_waiting(ctx: &Ctx, session_id: i64, tokens: &Tokens) -> Outcome<Vec<u8>> {
    let plain = serde_json::json!([
        tokens.access.expose_secret(),
        tokens.refresh.as_ref().map(ExposeSecret::expose_secret),
        tokens.expires_at
    ]);
    Ok(ctx.keyring.seal(
        Purpose::ProviderToken,
        &owner(session_id, "waiting"),
        plain.to_string().as_bytes(),
    )?)
}

/// The same tokens again.
///
/// # Errors
/// [`Refusal::Fault`] if no key opens them.
pub(super) fn open_waiting(ctx: &Ctx, session_id: i64, sealed: &[u8]) -> Outcome<Tokens> {
    let plain = ctx.keyring.open(Purpose::ProviderToken, &owner(session_id, "waiting"), sealed);
    let plain =
        plain.ok_or_else(|| Refusal::Fault(Fault::Broken("tokens that wait open with no key".into())))?;
    let (access, refresh, expires_at): (String, Option<String>, Option<Millis>) =
        serde_json::from_slice(&plain)?;
    Ok(Tokens { access: access.into(), refresh: refresh.map(SecretString::from), expires_at })
}
