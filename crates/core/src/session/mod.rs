//! Sessions: opened, looked up, handed a new token, ended.

pub mod list;

use vestibule_base::config::ClientKind;
use vestibule_base::security::clock::SECOND;
use vestibule_base::security::{Keyring, Millis, Purpose, Token};
use vestibule_base::storage::sessions::{self, Opening, Seen};
use vestibule_base::storage::users::User;
use vestibule_base::storage::{Conn, StorageError};

use crate::context::Ctx;
use crate::event::Event;
use crate::refusal::{Outcome, Refusal};
use crate::visit::{Change, Current, Record, Session, Visit};

/// How seldom it is noted that a holder was seen, so that looking does not write.
const SEEN_EVERY: Millis = 60 * SECOND;
const HOUR: Millis = 3600 * SECOND;

/// The name of a kind of client in the database.
fn client_name(client: ClientKind) -> &'static str {
    match client {
        ClientKind::App => "app",
        ClientKind::Browser => "browser",
    }
}

/// What came of the token that a request brought.
#[derive(Debug)]
pub enum Presented {
    /// It stands for this session.
    Live(Session),
    /// It stood for a session that was ended from elsewhere, or that expired: its holder is told, once.
    Ended,
    /// It stands for nothing.
    Unknown,
}

/// Looks up the session of a token. One statement, unless something is amiss.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn present(ctx: &Ctx, visit: &Visit, token: &Token) -> Outcome<Presented> {
    let mut conn = ctx.db.read().await?;
    let row = sessions::find(&mut conn, &token.digest(), client_name(visit.client)).await?;
    drop(conn);
    judge(ctx, visit, row).await
}

/// Looks up the session that access and refresh tokens name by `sid`.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn present_by_sid(ctx: &Ctx, visit: &Visit, sid: &str) -> Outcome<Presented> {
    let mut conn = ctx.db.read().await?;
    let row = sessions::find_by_sid(&mut conn, sid).await?;
    drop(conn);
    judge(ctx, visit, row).await
}

async fn judge(ctx: &Ctx, visit: &Visit, row: Option<sessions::Session>) -> Outcome<Presented> {
    let Some(row) = row else { return Ok(Presented::Unknown) };
    if row.ended || is_over(ctx, visit.now, &row) {
        delete(ctx, row.id)
            .await
            .unwrap_or_else(|error| tracing::warn!(%error, "an ended session stays for now"));
        return Ok(Presented::Ended);
    }
    let expires_at = follow(ctx, visit, &row).await;
    Ok(Presented::Live(read(row, expires_at)?))
}

/// Whom a token of this kind of client stands for, if its session lives. Changes nothing: whoever asks is not its holder.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn inspect(ctx: &Ctx, visit: &Visit, token: &Token) -> Outcome<Option<Box<Current>>> {
    let mut conn = ctx.db.read().await?;
    let row = sessions::find(&mut conn, &token.digest(), client_name(visit.client)).await?;
    drop(conn);
    user_of_live(ctx, visit, row)
}

/// The same for the `sid` of access and refresh tokens.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn inspect_by_sid(ctx: &Ctx, visit: &Visit, sid: &str) -> Outcome<Option<Box<Current>>> {
    let mut conn = ctx.db.read().await?;
    let row = sessions::find_by_sid(&mut conn, sid).await?;
    drop(conn);
    user_of_live(ctx, visit, row)
}

fn user_of_live(ctx: &Ctx, visit: &Visit, row: Option<sessions::Session>) -> Outcome<Option<Box<Current>>> {
    let Some(row) = row.filter(|row| !row.ended && !is_over(ctx, visit.now, row)) else { return Ok(None) };
    let expires_at = row.expires_at;
    Ok(match read(row, expires_at)? {
        Session::User(current) => Some(current),
        Session::Anonymous { .. } | Session::None => None,
    })
}

/// A live session as rules see it.
fn read(row: sessions::Session, expires_at: Millis) -> Outcome<Session> {
    let Some(user) = row.user else { return Ok(Session::Anonymous { id: row.id }) };
    Ok(Session::User(Box::new(Current {
        session_id: row.id,
        since: row.created_at,
        expires_at,
        user,
        email: row.email,
        records: Record::read_all(&row.records)?,
        email_verified: row.email_verified,
    })))
}

/// Whether time, another password or the end of its user has ended a session.
pub(crate) fn is_over(ctx: &Ctx, now: Millis, row: &sessions::Session) -> bool {
    let stale = row.user.as_ref().is_some_and(|user| {
        !user.is_active || !marks(&ctx.keyring, user, row.password_mark.as_deref().unwrap_or_default())
    });
    stale || is_idle(ctx, now, row.last_seen_at) || row.expires_at <= now
}

/// Whether the holder of a session was away for too long.
fn is_idle(ctx: &Ctx, now: Millis, last_seen_at: Millis) -> bool {
    idle_timeout(ctx).is_some_and(|idle| now.saturating_sub(last_seen_at) >= idle)
}

fn idle_timeout(ctx: &Ctx) -> Option<Millis> {
    ctx.config.session.idle_timeout.map(|seconds| seconds.saturating_mul(SECOND))
}

/// Notes that the holder was seen, where the settings ask for it, and not at every request. A browser that shows up with
/// another address or program is noted at once where activity is tracked, as in the reference, which never notes apps.
/// Gives when the session ends by itself.
async fn follow(ctx: &Ctx, visit: &Visit, row: &sessions::Session) -> Millis {
    let prolongs = ctx.config.session.save_every_request;
    let tracks = ctx.config.usersessions.track_activity;
    let idle = idle_timeout(ctx);
    let seldom = idle.map_or(SEEN_EVERY, |idle| SEEN_EVERY.min(idle / 10));
    let follows = prolongs || tracks || idle.is_some();
    let moved = row.ip != visit.ip || row.user_agent != visit.user_agent;
    let at_once = tracks && moved && visit.client == ClientKind::Browser;
    if !follows || (!at_once && visit.now.saturating_sub(row.last_seen_at) < seldom) {
        return row.expires_at;
    }
    let expires_at = if prolongs && row.user.is_some() { lifetime(ctx, visit.now) } else { row.expires_at };
    let seen = Seen { ip: &visit.ip, user_agent: &visit.user_agent, now: visit.now, expires_at };
    // Whoever only looks must not fail because nothing can be written.
    if let Err(error) = touch(ctx, row.id, &seen).await {
        tracing::warn!(%error, "activity could not be noted");
        return row.expires_at;
    }
    expires_at
}

async fn touch(ctx: &Ctx, id: i64, seen: &Seen<'_>) -> Result<(), StorageError> {
    let mut tx = ctx.db.write().await?;
    sessions::touch(&mut tx, id, seen).await?;
    tx.commit().await
}

async fn delete(ctx: &Ctx, id: i64) -> Result<(), StorageError> {
    let mut tx = ctx.db.write().await?;
    sessions::delete(&mut tx, id).await?;
    tx.commit().await
}

/// The session's row, made if there is none: something is about to be under way.
///
/// # Errors
/// [`Refusal::Conflict`] if the session has ended meanwhile.
pub async fn ensure(ctx: &Ctx, tx: &mut Conn, visit: &mut Visit) -> Outcome<i64> {
    if let Some(id) = visit.session.id() {
        // Locked, so that of several requests of one session each sees what the last has left.
        if sessions::lock(tx, id).await? {
            return Ok(id);
        }
        return Err(Refusal::Conflict);
    }
    let token = Token::generate()?;
    let id = sessions::insert(tx, &opening(ctx, visit, &token, None, "[]")).await?;
    visit.session = Session::Anonymous { id };
    visit.change = Change::Issued(token);
    Ok(id)
}

/// Keeps other requests of a session waiting until the transaction ends; `false` if it has ended.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn lock(tx: &mut Conn, id: i64) -> Outcome<bool> {
    Ok(sessions::lock(tx, id).await?)
}

/// Logs a user in: the session gets a new token, and what was under way in it for others is forgotten.
///
/// # Errors
/// [`Refusal::Conflict`] if the session has ended meanwhile.
pub async fn enter(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &mut Visit,
    user: User,
    email: Option<String>,
    records: Vec<Record>,
) -> Outcome<()> {
    let token = Token::generate()?;
    let mark = mark(&ctx.keyring, &user);
    let written = Record::write_all(&records)?;
    let opening = opening(ctx, visit, &token, Some((user.id, mark.as_slice())), &written);
    let promoted = match visit.session {
        Session::Anonymous { id } if sessions::promote(tx, id, &opening).await? => Some(id),
        Session::Anonymous { .. } => return Err(Refusal::Conflict),
        Session::User(ref current) => {
            sessions::delete(tx, current.session_id).await?;
            None
        }
        Session::None => None,
    };
    let session_id = match promoted {
        Some(id) => id,
        None => sessions::insert(tx, &opening).await?,
    };
    let (since, expires_at) = (opening.now, opening.expires_at);
    // What is proved is looked up with the next request: nothing in this one asks for it.
    visit.session = Session::User(Box::new(Current {
        session_id,
        since,
        expires_at,
        user,
        email,
        records,
        email_verified: false,
    }));
    visit.change = Change::Issued(token);
    Ok(())
}

/// Gives the session of the user a new token and ties it to the present password; all other sessions end.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn renew(ctx: &Ctx, tx: &mut Conn, visit: &mut Visit, user: User) -> Outcome<()> {
    let Session::User(current) = &visit.session else { return Err(Refusal::Unauthenticated) };
    let (old, email, records) = (current.session_id, current.email.clone(), current.records.clone());
    sessions::end_of_user(tx, user.id, Some(old)).await?;
    enter(ctx, tx, visit, user, email, records).await
}

/// The same session once more, for a second try.
pub(crate) fn same(session: &Session) -> Session {
    match session {
        Session::None => Session::None,
        Session::Anonymous { id } => Session::Anonymous { id: *id },
        Session::User(current) => Session::User(current.clone()),
    }
}

/// Ends the session of the request within a transaction, in which another one takes its place.
///
/// # Errors
/// [`Refusal::Fault`].
pub(crate) async fn end_within(ctx: &Ctx, tx: &mut Conn, visit: &mut Visit) -> Outcome<()> {
    remove(ctx, tx, visit).await?;
    over(visit);
    Ok(())
}

/// Ends the session of the request.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn end(ctx: &Ctx, visit: &mut Visit) -> Outcome<()> {
    if visit.session.id().is_none() {
        return Ok(());
    }
    let mut tx = ctx.db.write().await?;
    remove(ctx, &mut tx, visit).await?;
    ctx.commit(tx).await?;
    over(visit);
    Ok(())
}

async fn remove(ctx: &Ctx, tx: &mut Conn, visit: &Visit) -> Outcome<()> {
    if let Some(id) = visit.session.id() {
        sessions::delete(tx, id).await?;
    }
    if let Some(current) = visit.session.user() {
        ctx.record(tx, visit, Event::LoggedOut, Some(current.user.id), "").await?;
    }
    Ok(())
}

fn over(visit: &mut Visit) {
    visit.session = Session::None;
    visit.change = Change::Ended;
}

/// Ends the session that a token was just made for, as its holder will not get it.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn withdraw(ctx: &Ctx, visit: &Visit, token: &Token) -> Outcome<()> {
    let mut tx = ctx.db.write().await?;
    if let Some(row) = sessions::find(&mut tx, &token.digest(), client_name(visit.client)).await? {
        sessions::delete(&mut tx, row.id).await?;
    }
    Ok(tx.commit().await?)
}

/// Adds a record to the session of the user.
///
/// # Errors
/// [`Refusal::Unauthenticated`] if nobody is logged in.
pub async fn add_record(tx: &mut Conn, visit: &mut Visit, record: Record) -> Outcome<()> {
    let Session::User(current) = &mut visit.session else { return Err(Refusal::Unauthenticated) };
    current.records.push(record);
    Ok(sessions::set_records(tx, current.session_id, &Record::write_all(&current.records)?).await?)
}

/// The tie between a session and the password that it was opened under.
#[must_use]
pub fn mark(keyring: &Keyring, user: &User) -> [u8; 32] {
    keyring.mac(Purpose::SessionPassword, &tied(user))
}

/// The same under every key: what sessions of this user may be tied by.
pub(crate) fn possible_marks(keyring: &Keyring, user: &User) -> Vec<[u8; 32]> {
    keyring.macs(Purpose::SessionPassword, &tied(user))
}

/// Whether a tie is to the password that the user has now.
pub(crate) fn marks(keyring: &Keyring, user: &User, mark: &[u8]) -> bool {
    keyring.verify(Purpose::SessionPassword, &tied(user), mark)
}

fn tied(user: &User) -> Vec<u8> {
    let password = user.password.as_ref().map_or("", |hash| hash.as_str());
    format!("{}:{password}", user.id).into_bytes()
}

fn lifetime(ctx: &Ctx, now: Millis) -> Millis {
    now.saturating_add(ctx.config.session.cookie_age.saturating_mul(SECOND))
}

fn opening<'a>(
    ctx: &Ctx,
    visit: &'a Visit,
    token: &Token,
    user: Option<(i64, &'a [u8])>,
    records: &'a str,
) -> Opening<'a> {
    Opening {
        token_hash: token.digest(),
        client: client_name(visit.client),
        user_id: user.map(|(id, _)| id),
        password_mark: user.map(|(_, mark)| mark),
        records,
        ip: &visit.ip,
        user_agent: &visit.user_agent,
        now: visit.now,
        // What nobody has logged into need not last longer than a login may take.
        expires_at: match user {
            Some(_) => lifetime(ctx, visit.now),
            None => {
                visit.now.saturating_add(ctx.config.account.login_timeout.saturating_mul(SECOND).max(HOUR))
            }
        },
    }
}
