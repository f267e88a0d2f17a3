//! Setting keys up, naming and removing them.

use serde_json::Value;
use vestibule_base::config::{AuthenticatorType as Kind, UserVerification};
use vestibule_base::delivery::MailKind;
use vestibule_base::security::webauthn::{Ceremony, CreationOptions, Credential, UserEntity};
use vestibule_base::storage::authenticators::{self, Authenticator};
use vestibule_base::storage::users::User;
use vestibule_base::storage::{Conn, StorageError, emails, social, users};

use super::{Key, Purpose, answered, await_answer, ids, of_user};
use crate::account::primary_email;
use crate::context::Ctx;
use crate::event::Event;
use crate::mfa::stored::handle;
use crate::mfa::{self, may_add, recovery_codes, remove, require_proof};
use crate::refusal::{Fault, Outcome, Problem, Refusal};
use crate::session;
use crate::visit::{Current, Visit};

/// Keys that an account may have: each is looked at whenever one is asked for.
const MOST_KEYS: usize = 50;
/// Characters that the name of a key may have.
pub const LONGEST_NAME: u32 = 100;

/// Asks for a key of whoever is logged in; `passwordless` for one that can log in alone.
///
/// # Errors
/// [`Refusal::Blocked`] if they may not set one up, [`Refusal::Reauthenticate`] without a recent proof.
pub async fn creation_options(ctx: &Ctx, visit: &mut Visit, passwordless: bool) -> Outcome<CreationOptions> {
    let user = visit.current()?.user.clone();
    let mut conn = ctx.db.read().await?;
    may_add(ctx, &mut conn, user.id).await?;
    drop(conn);
    require_proof(ctx, visit).await?;
    new_key_options(ctx, visit, Purpose::Add, &user, passwordless).await
}

/// Asks for a new key of `user`.
///
/// # Errors
/// [`Refusal::Conflict`] if the session has ended meanwhile.
pub async fn new_key_options(
    ctx: &Ctx,
    visit: &mut Visit,
    purpose: Purpose,
    user: &User,
    passwordless: bool,
) -> Outcome<CreationOptions> {
    let verification =
        if passwordless { UserVerification::Required } else { ctx.config.mfa.webauthn_user_verification };
    let ceremony = Ceremony::begin(verification)?;
    let mut tx = ctx.db.write().await?;
    let exclude = ids(&of_user(ctx, &mut tx, user.id).await?);
    let entity = entity(&mut tx, user).await?;
    await_answer(ctx, &mut tx, visit, purpose, Some(user.id), &ceremony).await?;
    tx.commit().await?;
    Ok(ctx.relying_party.creation_options(&ceremony, entity, passwordless, &exclude))
}

/// Whether whoever is logged in may set up a key.
///
/// # Errors
/// [`Refusal::Blocked`] if not.
pub async fn check_may_add(ctx: &Ctx, visit: &Visit) -> Outcome<()> {
    let user_id = visit.current()?.user.id;
    may_add(ctx, &mut ctx.db.read().await?, user_id).await
}

/// A key that its client has made.
#[derive(Debug)]
pub struct NewKey {
    /// What its owner calls it; one is made up if they do not say.
    pub name: Option<String>,
    /// `RegistrationResponseJSON`.
    pub sent: Value,
    /// Whether it must have verified who holds it, even if it was not asked to.
    pub passwordless: bool,
}

/// Adds a key of whoever is logged in; recovery codes are made along with the first one: whether they were.
///
/// # Errors
/// [`Refusal::Invalid`] for one that is no good, [`Refusal::Blocked`], [`Refusal::Reauthenticate`].
pub async fn add(ctx: &Ctx, visit: &Visit, new: NewKey) -> Outcome<(Key, bool)> {
    let current = visit.current()?;
    let user_id = current.user.id;
    require_proof(ctx, visit).await?;
    let credential = registered(ctx, visit, Purpose::Add, user_id, new.sent).await?;
    if new.passwordless && !credential.user_verified {
        return Err(not_taken());
    }
    let mut tx = lock(ctx, current).await?;
    may_add(ctx, &mut tx, user_id).await?;
    let key = insert(ctx, &mut tx, visit, user_id, new.name, credential).await?;
    let with_codes = recovery_codes::make_along(ctx, &mut tx, visit, user_id).await?;
    ctx.notify(&mut tx, visit, current.email.as_deref(), MailKind::WebauthnAdded).await?;
    ctx.commit(tx).await?;
    Ok((key, with_codes))
}

/// Judges a new key, which spends the ceremony that asked for it.
///
/// # Errors
/// [`Refusal::Invalid`] if it is no good.
pub async fn registered(
    ctx: &Ctx,
    visit: &Visit,
    purpose: Purpose,
    user_id: i64,
    sent: Value,
) -> Outcome<Credential> {
    let mut tx = ctx.db.write().await?;
    let ceremony = answered(&mut tx, visit, purpose, Some(user_id)).await?;
    tx.commit().await?;
    let (Some(ceremony), Ok(response)) = (ceremony, serde_json::from_value(sent)) else {
        return Err(not_taken());
    };
    let credential = ctx.relying_party.register(&ceremony, &response).map_err(|error| {
        tracing::debug!(%error, "a key was not taken");
        not_taken()
    })?;
    // An account that is made with a key must be able to come in by it.
    if purpose == Purpose::Signup && credential.discoverable == Some(false) {
        return Err(not_taken());
    }
    Ok(credential)
}

/// Adds a key. Whose id another key has, of whomever, is no good (M4).
///
/// # Errors
/// [`Refusal::Invalid`] then.
pub async fn insert(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &Visit,
    user_id: i64,
    name: Option<String>,
    credential: Credential,
) -> Outcome<Key> {
    let rows = authenticators::of_user(tx, user_id).await?;
    if rows.len() >= MOST_KEYS {
        return Err(not_taken());
    }
    let name = match name {
        Some(name) => name.chars().take(LONGEST_NAME as usize).collect(),
        None => made_up(&rows),
    };
    let sealed = mfa::seal(ctx, user_id, Kind::Webauthn, &serde_json::to_vec(&credential)?)?;
    let id = credential.id.as_bytes();
    let row = match authenticators::insert_key(tx, user_id, &name, id, &sealed, visit.now).await {
        Err(StorageError::Taken) => return Err(not_taken()),
        row => row.map_err(Fault::from)?,
    };
    ctx.record(tx, visit, Event::AuthenticatorAdded, Some(user_id), Kind::Webauthn.name()).await?;
    Ok(Key { row, credential: Some(credential) })
}

/// Gives a key of whoever is logged in another name.
///
/// # Errors
/// [`Refusal::NotFound`] if it is none of theirs, [`Refusal::Reauthenticate`].
pub async fn rename(ctx: &Ctx, visit: &Visit, id: i64, name: &str) -> Outcome<Key> {
    let current = visit.current()?;
    let user_id = current.user.id;
    require_proof(ctx, visit).await?;
    let mut tx = lock(ctx, current).await?;
    authenticators::rename_key(&mut tx, id, name).await?;
    let key = of_user(ctx, &mut tx, user_id).await?.into_iter().find(|key| key.row.id == id);
    // Of somebody else, it keeps its name: nothing is committed.
    let key = key.ok_or(Refusal::NotFound)?;
    tx.commit().await?;
    Ok(key)
}

/// Whether all of these are keys of whoever is logged in.
///
/// # Errors
/// [`Refusal::Unauthenticated`] if nobody is.
pub async fn are_own(ctx: &Ctx, visit: &Visit, named: &[i64]) -> Outcome<bool> {
    let user_id = visit.current()?.user.id;
    let mut conn = ctx.db.read().await?;
    let rows = authenticators::of_user(&mut conn, user_id).await?;
    let is_key = |id: &i64| rows.iter().any(|row| row.id == *id && row.kind == Kind::Webauthn);
    Ok(named.iter().all(is_key))
}

/// Removes keys of whoever is logged in. Some that are gone already are passed over.
///
/// # Errors
/// [`Refusal::Invalid`] if there would be no way in without them (H7), [`Refusal::Reauthenticate`].
pub async fn remove_keys(ctx: &Ctx, visit: &Visit, named: &[i64]) -> Outcome<()> {
    let current = visit.current()?;
    require_proof(ctx, visit).await?;
    // Of several requests that would each leave one key, one finds the other's gone.
    let mut tx = lock(ctx, current).await?;
    let user = users::find(&mut tx, current.user.id).await?.ok_or(Refusal::Unauthenticated)?;
    let keys = of_user(ctx, &mut tx, user.id).await?;
    let (gone, left): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| named.contains(&key.row.id));
    if is_last_way_in(ctx, &mut tx, &user, &gone, &left).await? {
        return Err(Problem::cannot_delete_authenticator().on("authenticators").into());
    }
    for key in gone {
        remove(ctx, &mut tx, visit, &key.row).await?;
        ctx.notify(&mut tx, visit, current.email.as_deref(), MailKind::WebauthnRemoved).await?;
    }
    ctx.commit(tx).await
}

/// Whether one of a user's passkeys lets them in without anything else.
///
/// # Errors
/// [`Refusal::Fault`].
pub(crate) async fn lets_in(ctx: &Ctx, conn: &mut Conn, user_id: i64) -> Outcome<bool> {
    Ok(ctx.config.mfa.passkey_login_enabled && of_user(ctx, conn, user_id).await?.iter().any(Key::is_way_in))
}

/// Whether nothing but keys among `gone` lets a user in. A password reset is for those who have lost something, and no
/// way in.
async fn is_last_way_in(ctx: &Ctx, tx: &mut Conn, user: &User, gone: &[Key], left: &[Key]) -> Outcome<bool> {
    let config = &ctx.config;
    let lets_in = |keys: &[Key]| config.mfa.passkey_login_enabled && keys.iter().any(Key::is_way_in);
    if user.password.is_some() || lets_in(left) || !lets_in(gone) {
        return Ok(false);
    }
    let connected = social::of_user(tx, user.id).await?;
    if connected.iter().any(|account| ctx.providers.find(&account.provider).is_some()) {
        return Ok(false);
    }
    let proved = emails::of_user(tx, user.id).await?.iter().any(|row| row.verified);
    Ok(!(config.account.login_by_code_enabled && proved))
}

/// A transaction in which nobody else changes the keys of whoever is logged in. A session that has ended meanwhile, by a new
/// password perhaps, changes nothing any more.
async fn lock(ctx: &Ctx, current: &Current) -> Outcome<Conn> {
    let mut tx = ctx.db.write().await?;
    users::lock(&mut tx, current.user.id).await?;
    if session::lock(&mut tx, current.session_id).await? { Ok(tx) } else { Err(Refusal::Unauthenticated) }
}

async fn entity(conn: &mut Conn, user: &User) -> Outcome<UserEntity> {
    let email = primary_email(conn, user.id).await?;
    let (email, username) = (email.as_deref(), user.username.as_deref());
    let or_id = |name: Option<&str>| name.map_or_else(|| user.id.to_string(), str::to_owned);
    Ok(UserEntity {
        id: handle(user.id),
        name: or_id(email.or(username)),
        display_name: or_id(username.or(email)),
    })
}

/// A name that none of the user's authenticators has.
fn made_up(rows: &[Authenticator]) -> String {
    let taken = |name: &String| rows.iter().any(|row| row.name.as_ref() == Some(name));
    let mut names = (1..).map(|number: usize| format!("Key {number}"));
    names.find(|name| !taken(name)).unwrap_or_default()
}

/// As in the reference, a new key that is no good is no problem of one field.
fn not_taken() -> Refusal {
    Problem::incorrect_code().into()
}
