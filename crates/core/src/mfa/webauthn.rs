//! Security keys and passkeys: setting them up, and what they sign as a proof.
//!
//! A ceremony is begun for one session, purpose and user, and lives for five minutes. The first answer spends it, whatever
//! it is: of several requests with one challenge, one is looked at (M4, C3).

use serde_json::Value;
use vestibule_base::config::{AuthenticatorType as Kind, UserVerification};
use vestibule_base::delivery::MailKind;
use vestibule_base::ratelimit;
use vestibule_base::security::Millis;
use vestibule_base::security::clock::SECOND;
use vestibule_base::security::webauthn::{
    AuthenticationResponse, Ceremony, CeremonyError, CreationOptions, Credential, CredentialId, Owner,
    RequestOptions, UserEntity,
};
use vestibule_base::storage::authenticators::{self, Authenticator};
use vestibule_base::storage::processes::{self, Process};
use vestibule_base::storage::users::User;
use vestibule_base::storage::{Conn, StorageError, emails, social, users};

use super::stored::handle;
use super::{Listed, Used, guess, may_add, recovery_codes, remove, require_proof};
use crate::account::primary_email;
use crate::context::Ctx;
use crate::event::Event;
use crate::refusal::{Fault, Outcome, Problem, Refusal};
use crate::session;
use crate::visit::{Current, Record, Visit};

/// How long an answer is awaited.
const AWAITED_FOR: Millis = 300 * SECOND;
/// Keys that an account may have: each is looked at whenever one is asked for.
const MOST_KEYS: usize = 50;
/// Characters that the name of a key may have.
pub const LONGEST_NAME: u32 = 100;

/// What a ceremony is for. An answer to one of another purpose is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Setting up a key.
    Add,
    /// Setting up the passkey of a new account.
    Signup,
    /// A second factor.
    Authenticate,
    /// A fresh proof.
    Reauthenticate,
    /// A passkey in place of a password.
    Login,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Add => "webauthn_add",
            Self::Signup => "webauthn_signup",
            Self::Authenticate => "webauthn_authenticate",
            Self::Reauthenticate => "webauthn_reauthenticate",
            Self::Login => "webauthn_login",
        }
    }
}

/// A key and what is known of it.
#[derive(Debug)]
pub struct Key {
    /// The row.
    pub row: Authenticator,
    /// What it registered; `None` if no secret key opens it: such a key is of no use, and can be removed.
    credential: Option<Credential>,
}

impl Key {
    /// Opens what is stored of a key.
    ///
    /// # Errors
    /// [`Refusal::Fault`] if what it opens is no credential.
    pub fn open(ctx: &Ctx, row: Authenticator) -> Outcome<Self> {
        let credential = match super::open(ctx, row.user_id, row.kind, &row.secret) {
            Ok(opened) => Some(serde_json::from_slice(&opened)?),
            Err(fault) => {
                tracing::error!(authenticator = row.id, error = %fault, "a key is of no use");
                None
            }
        };
        Ok(Self { row, credential })
    }

    /// As its owner sees it.
    #[must_use]
    pub fn listed(self) -> Listed {
        let passwordless = self.credential.and_then(|credential| credential.discoverable);
        Listed { row: self.row, codes: None, passwordless }
    }

    /// Whether it can log in alone. One whose browser did not say is given the benefit of the doubt: whether it can be
    /// found without its id, it shows by being found.
    fn is_passkey(&self) -> bool {
        self.credential.as_ref().is_some_and(|credential| credential.discoverable != Some(false))
    }

    /// Whether it is known to open the account alone, for which it must have verified who holds it.
    fn is_way_in(&self) -> bool {
        self.is_passkey() && self.credential.as_ref().is_some_and(|credential| credential.user_verified)
    }
}

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
    let sealed = super::seal(ctx, user_id, Kind::Webauthn, &serde_json::to_vec(&credential)?)?;
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
    let sealed = super::seal(ctx, row.user_id, row.kind, &serde_json::to_vec(&credential)?)?;
    let used = Used { id: row.id, kind: row.kind };
    let noted = authenticators::replace_secret(tx, row.id, &row.secret, &sealed, Some(visit.now)).await?;
    Ok(if noted { Taken::Used(used) } else { Taken::Not(None) })
}

/// A transaction in which nobody else changes the keys of whoever is logged in. A session that has ended meanwhile, by a new
/// password perhaps, changes nothing any more.
async fn lock(ctx: &Ctx, current: &Current) -> Outcome<Conn> {
    let mut tx = ctx.db.write().await?;
    users::lock(&mut tx, current.user.id).await?;
    if session::lock(&mut tx, current.session_id).await? { Ok(tx) } else { Err(Refusal::Unauthenticated) }
}

/// Begins to await an answer, in place of any other of this purpose.
async fn await_answer(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &mut Visit,
    purpose: Purpose,
    user_id: Option<i64>,
    ceremony: &Ceremony,
) -> Outcome<()> {
    if let Some(user_id) = user_id {
        users::lock(tx, user_id).await?;
    }
    let process = Process {
        id: 0,
        session_id: session::ensure(ctx, tx, visit).await?,
        user_id,
        address: String::new(),
        code_hash: None,
        attempts_left: 0,
        resends: 0,
        changes: 0,
        state: serde_json::to_string(ceremony)?,
        expires_at: visit.now.saturating_add(AWAITED_FOR),
    };
    Ok(processes::put(tx, purpose.name(), &process).await?)
}

/// The ceremony that this session awaits the answer of, which spends it.
async fn answered(
    tx: &mut Conn,
    visit: &Visit,
    purpose: Purpose,
    user_id: Option<i64>,
) -> Outcome<Option<Ceremony>> {
    let Some(session_id) = visit.session.id() else { return Ok(None) };
    if !session::lock(tx, session_id).await? {
        return Ok(None);
    }
    let Some(process) = processes::find(tx, session_id, purpose.name()).await? else { return Ok(None) };
    let spent = processes::delete(tx, process.id).await?;
    if !spent || process.user_id != user_id || process.expires_at <= visit.now {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&process.state)?))
}

async fn of_user(ctx: &Ctx, conn: &mut Conn, user_id: i64) -> Outcome<Vec<Key>> {
    let rows = authenticators::of_user(conn, user_id).await?.into_iter();
    rows.filter(|row| row.kind == Kind::Webauthn).map(|row| Key::open(ctx, row)).collect()
}

fn ids(keys: &[Key]) -> Vec<CredentialId> {
    keys.iter().filter_map(|key| Some(key.credential.as_ref()?.id.clone())).collect()
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

fn read(sent: Value) -> serde_json::Result<AuthenticationResponse> {
    serde_json::from_value(sent)
}

/// As in the reference, a new key that is no good is no problem of one field.
fn not_taken() -> Refusal {
    Problem::incorrect_code().into()
}

fn no_good() -> Refusal {
    Problem::incorrect_code().on("credential").into()
}
