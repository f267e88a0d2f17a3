//! What an application gets once somebody is logged in, where `headless.token_strategy` is `jwt`: an access token for
//! every request, and a refresh token for the next pair.
//!
//! Both name their session by a random `sid`, so that whatever ends the session ends them. Refresh tokens form a chain: a
//! used one that comes again ends the chain and its session (RFC 9700, 4.14.2).

mod claims;

pub use claims::Claims;

use vestibule_base::config::ClientKind;
use vestibule_base::security::clock::SECOND;
use vestibule_base::security::token::{digest, unique_id};
use vestibule_base::security::{Digest, Millis, Purpose, SigningKeys, same};
use vestibule_base::storage::{Conn, sessions, tokens};

use crate::consult;
use crate::context::Ctx;
use crate::event::Event;
use crate::refusal::{Outcome, Refusal};
use crate::session::{self, Presented};
use crate::visit::{Current, Granted, Granting, Session, Visit};
use claims::{Extended, RESERVED, Use};

/// Begins the chain of refresh tokens of an application whose user has just entered, in the transaction that let the user
/// in. The tokens are signed by [`sign_granted`].
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn grant(ctx: &Ctx, tx: &mut Conn, visit: &mut Visit) -> Outcome<()> {
    let (Some(_), ClientKind::App, Session::User(current)) = (&ctx.signing, visit.client, &visit.session)
    else {
        return Ok(());
    };
    let sid = unique_id()?;
    let refresh = Claims::new(ctx, current, &sid, Use::Refresh, visit.now)?;
    tokens::begin(tx, current.session_id, &sid, &digest(&refresh.jti), visit.now).await?;
    visit.granting = Some(Granting { sid, refresh_id: refresh.jti });
    Ok(())
}

/// Signs the tokens that [`grant`] has begun, once that is committed: signing takes its time, and the application may be
/// asked for claims.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn sign_granted(ctx: &Ctx, visit: &mut Visit) -> Outcome<()> {
    let (Some(keys), Session::User(current)) = (&ctx.signing, &visit.session) else { return Ok(()) };
    let Some(Granting { sid, refresh_id }) = visit.granting.take() else { return Ok(()) };
    let access = access(ctx, keys, current, &sid, visit.now).await?;
    let mut refresh = Claims::new(ctx, current, &sid, Use::Refresh, visit.now)?;
    refresh.jti = refresh_id;
    visit.granted = Some(Granted { access, refresh: Some(keys.sign(&refresh)?) });
    Ok(())
}

/// A signed access token, with the claims that the application adds.
async fn access(ctx: &Ctx, keys: &SigningKeys, current: &Current, sid: &str, now: Millis) -> Outcome<String> {
    let own = Claims::new(ctx, current, sid, Use::Access, now)?;
    let added = consult::claims(ctx, current, &RESERVED).await?;
    if added.is_empty() { Ok(keys.sign(&own)?) } else { Ok(keys.sign(&Extended { own: &own, added })?) }
}

/// Looks up the session of an access token; `None` if the token is none of ours, or no longer good. With stateful
/// validation, one whose session is gone is no longer good either.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn present(ctx: &Ctx, visit: &Visit, token: &str) -> Outcome<Option<Presented>> {
    let Some(claims) = read(ctx, visit, token, Use::Access) else { return Ok(None) };
    let found = session_of(ctx, visit, &claims).await?;
    let gone = !matches!(found, Presented::Live(_));
    Ok(Some(found).filter(|_| !(gone && ctx.config.headless.jwt_stateful_validation_enabled)))
}

/// What an access token says, and whom it stands for, if its session lives. Changes nothing: whoever asks is not its
/// holder.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn inspect(ctx: &Ctx, visit: &Visit, token: &str) -> Outcome<Option<(Claims, Box<Current>)>> {
    let Some(claims) = read(ctx, visit, token, Use::Access) else { return Ok(None) };
    let current = session::inspect_by_sid(ctx, visit, &claims.sid).await?;
    Ok(current.filter(|current| claims.sub == current.user.id.to_string()).map(|current| (claims, current)))
}

/// Exchanges a refresh token for an access token and, where refresh tokens rotate, the next refresh token. Of several
/// requests with one token, one gets it.
///
/// # Errors
/// [`Refusal::Invalid`] without problems for a token that is not good.
pub async fn refresh(ctx: &Ctx, visit: &Visit, presented: &str) -> Outcome<Granted> {
    let Some(keys) = &ctx.signing else { return Err(refused()) };
    let claims = read(ctx, visit, presented, Use::Refresh).ok_or_else(refused)?;
    let Presented::Live(Session::User(current)) = session_of(ctx, visit, &claims).await? else {
        return Err(refused());
    };
    let exchange = Exchange { ctx, visit, keys, current: &current, claims: &claims };
    // Signed before the transaction is open, as it takes its time.
    let access = access(ctx, keys, &current, &claims.sid, visit.now).await?;
    let refresh = if ctx.config.headless.jwt_rotate_refresh_token {
        Some(exchange.rotate().await?)
    } else {
        exchange.keep().await?;
        None
    };
    Ok(Granted { access, refresh })
}

/// A refresh token that is presented for the next pair.
struct Exchange<'a> {
    ctx: &'a Ctx,
    visit: &'a Visit,
    keys: &'a SigningKeys,
    current: &'a Current,
    claims: &'a Claims,
}

impl Exchange<'_> {
    /// The next refresh token, which takes the place of the presented one.
    async fn rotate(&self) -> Outcome<String> {
        let claims = Claims::new(self.ctx, self.current, &self.claims.sid, Use::Refresh, self.visit.now)?;
        let next = self.keys.sign(&claims)?;
        let id = self.current.session_id;
        let kept = match self.ctx.config.headless.jwt_refresh_token_grace {
            0 => None,
            _ => Some(self.ctx.keyring.seal(Purpose::RefreshToken, &id.to_be_bytes(), next.as_bytes())?),
        };
        let mut tx = self.ctx.db.write().await?;
        if !session::lock(&mut tx, id).await? {
            return Err(refused());
        }
        let presented = digest(&self.claims.jti);
        if tokens::rotate(&mut tx, id, &presented, &digest(&claims.jti), kept.as_deref(), self.visit.now)
            .await?
        {
            self.note(tx).await?;
            return Ok(next);
        }
        match self.kept_for_retry(&mut tx, &presented).await? {
            Some(successor) => {
                self.note(tx).await?;
                Ok(successor)
            }
            None => self.revoke(tx).await,
        }
    }

    /// Lets the presented token stay good.
    async fn keep(&self) -> Outcome<()> {
        let mut tx = self.ctx.db.write().await?;
        if !session::lock(&mut tx, self.current.session_id).await? {
            return Err(refused());
        }
        if tokens::is_good(&mut tx, self.current.session_id, &digest(&self.claims.jti)).await? {
            return self.note(tx).await;
        }
        self.revoke(tx).await
    }

    /// Writes down that tokens were given.
    async fn note(&self, mut tx: Conn) -> Outcome<()> {
        let user = Some(self.current.user.id);
        self.ctx.record(&mut tx, self.visit, Event::TokensRefreshed, user, "").await?;
        self.ctx.commit(tx).await
    }

    /// What the presented token was exchanged for, if that was the last exchange and a moment ago.
    async fn kept_for_retry(&self, tx: &mut Conn, presented: &Digest) -> Outcome<Option<String>> {
        let grace = self.ctx.config.headless.jwt_refresh_token_grace.saturating_mul(SECOND);
        let Some(former) = tokens::former(tx, self.current.session_id).await? else { return Ok(None) };
        // Of two requests at once, the one that came first may be the one that is served last.
        let age = self.visit.now.saturating_sub(former.rotated_at);
        if !same(&former.hash, presented) || age.saturating_abs() >= grace {
            return Ok(None);
        }
        let owner = self.current.session_id.to_be_bytes();
        let open = |sealed: Vec<u8>| self.ctx.keyring.open(Purpose::RefreshToken, &owner, &sealed);
        Ok(former.successor.and_then(open).and_then(|token| String::from_utf8(token).ok()))
    }

    /// A used token: it or its successor is in the wrong hands, and nobody can tell which.
    async fn revoke<T>(&self, mut tx: Conn) -> Outcome<T> {
        sessions::delete(&mut tx, self.current.session_id).await?;
        let user = Some(self.current.user.id);
        let event = Event::RefreshTokenReused;
        self.ctx.record(&mut tx, self.visit, event, user, "the session has ended").await?;
        self.ctx.commit(tx).await?;
        Err(refused())
    }
}

/// The claims of a token that we have signed, for this use, and that is good at this moment.
fn read(ctx: &Ctx, visit: &Visit, token: &str, token_use: Use) -> Option<Claims> {
    let claims: Claims = ctx.signing.as_ref()?.verify(token)?;
    claims.hold(ctx, token_use, visit.now).then_some(claims)
}

/// The session that a token names, if it is of the user that the token names.
async fn session_of(ctx: &Ctx, visit: &Visit, claims: &Claims) -> Outcome<Presented> {
    Ok(match session::present_by_sid(ctx, visit, &claims.sid).await? {
        Presented::Live(Session::User(current)) if claims.sub == current.user.id.to_string() => {
            Presented::Live(Session::User(current))
        }
        Presented::Live(_) => Presented::Unknown,
        over => over,
    })
}

fn refused() -> Refusal {
    Refusal::Invalid(Vec::new())
}
