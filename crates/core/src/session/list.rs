//! A user's sessions, as they see them.

use vestibule_base::storage::sessions::{self, Listed};
use vestibule_base::storage::users;

use super::{is_idle, marks};
use crate::context::Ctx;
use crate::event::Event;
use crate::refusal::{Outcome, Problem};
use crate::visit::Visit;

/// The live sessions of whoever is logged in, oldest first.
///
/// # Errors
/// [`Refusal::Unauthenticated`](crate::Refusal::Unauthenticated) if nobody is.
pub async fn list(ctx: &Ctx, visit: &Visit) -> Outcome<Vec<Listed>> {
    let user = &visit.current()?.user;
    let mut conn = ctx.db.read().await?;
    let mut found = sessions::of_user(&mut conn, user.id, visit.now).await?;
    found.retain(|row| {
        marks(&ctx.keyring, user, row.password_mark.as_deref().unwrap_or_default())
            && !is_idle(ctx, visit.now, row.last_seen_at)
    });
    Ok(found)
}

/// Ends those of the user's sessions that `ids` name: all of them, or none if one is no session of theirs.
///
/// # Errors
/// [`Refusal::Unauthenticated`](crate::Refusal::Unauthenticated) if nobody is logged in,
/// [`Refusal::Invalid`](crate::Refusal::Invalid) for an id that is not in their list.
pub async fn end(ctx: &Ctx, visit: &mut Visit, ids: &[i64]) -> Outcome<()> {
    let current = visit.current()?;
    let (user_id, own) = (current.user.id, current.session_id);
    let listed = list(ctx, visit).await?;
    if !ids.iter().all(|id| listed.iter().any(|row| row.id == *id)) {
        return Err(Problem::unknown_session().on("sessions").into());
    }
    let mut tx = ctx.db.write().await?;
    users::lock(&mut tx, user_id).await?;
    let others: Vec<i64> = ids.iter().copied().filter(|id| *id != own).collect();
    for id in &others {
        sessions::delete(&mut tx, *id).await?;
    }
    if !others.is_empty() {
        ctx.record(&mut tx, visit, Event::SessionsEnded, Some(user_id), "chosen from the list").await?;
    }
    ctx.commit(tx).await?;
    if ids.contains(&own) {
        super::end(ctx, visit).await?;
    }
    Ok(())
}
