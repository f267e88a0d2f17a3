//! Sessions, as an operator sees and ends them.

use vestibule_base::storage::sessions::{self as rows, SessionFilter};
use vestibule_base::storage::users;

use super::{AdminError, close, locked};
use crate::context::Ctx;
use crate::dossier::SessionEntry;
use crate::event::Event;
use crate::session;

/// Which sessions to look for.
#[derive(Debug, Default, Clone)]
pub struct SessionSearch {
    /// Of this user.
    pub user_id: Option<i64>,
    /// Whose holder was last seen at this address. All sessions are looked through for it.
    pub ip: Option<String>,
    /// Ids above this one: the last of the page before.
    pub after: i64,
    /// So many at most.
    pub limit: u32,
}

/// The live sessions of users that fit, in the order of their ids, and from where to go on if there may be more.
///
/// # Errors
/// [`AdminError::Unknown`] if sessions of a user are asked for who is not there.
pub async fn sessions(
    ctx: &Ctx,
    search: &SessionSearch,
) -> Result<(Vec<SessionEntry>, Option<i64>), AdminError> {
    let mut conn = ctx.db.read().await?;
    if let Some(id) = search.user_id
        && users::find(&mut conn, id).await?.is_none()
    {
        return Err(AdminError::Unknown(id.to_string()));
    }
    let now = ctx.clock.now();
    let filter = SessionFilter {
        after: search.after,
        user_id: search.user_id,
        ip: search.ip.as_deref(),
        now,
        limit: i64::from(search.limit),
    };
    let found = rows::search(&mut conn, &filter).await?;
    let full = found.len() >= search.limit as usize;
    let next = found.last().map(|row| row.id).filter(|_| full);
    let live = found.into_iter().filter(|row| !session::is_over(ctx, now, row));
    Ok((live.filter_map(SessionEntry::of).collect(), next))
}

/// Ends all sessions of a user, and logins that are under way.
///
/// # Errors
/// [`AdminError`]; so for all below.
pub async fn end_sessions(ctx: &Ctx, user_id: i64) -> Result<(), AdminError> {
    let mut tx = ctx.db.write().await?;
    locked(&mut tx, user_id).await?;
    close(&mut tx, user_id).await?;
    ctx.record_operator(&mut tx, Event::SessionsEnded, user_id).await?;
    ctx.commit(tx).await?;
    Ok(())
}

/// Ends a session of a user: of the given one, if there is one.
///
/// # Errors
/// [`AdminError::NotFound`] if there is no such session.
pub async fn end_session(ctx: &Ctx, user_id: Option<i64>, id: i64) -> Result<(), AdminError> {
    const NONE: AdminError = AdminError::NotFound("session");
    let mut tx = ctx.db.write().await?;
    let owner = rows::owner(&mut tx, id).await?.ok_or(NONE)?;
    if user_id.is_some_and(|user_id| user_id != owner) {
        return Err(NONE);
    }
    users::lock(&mut tx, owner).await?;
    if !session::lock(&mut tx, id).await? {
        return Err(NONE);
    }
    rows::delete(&mut tx, id).await?;
    ctx.record_operator(&mut tx, Event::SessionsEnded, owner).await?;
    ctx.commit(tx).await?;
    Ok(())
}
