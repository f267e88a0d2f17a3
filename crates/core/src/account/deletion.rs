//! Leaving for good: an account that its owner deletes.

use vestibule_base::delivery::MailKind;
use vestibule_base::storage::{emails, events, users};

use super::reauthenticate;
use crate::context::Ctx;
use crate::event::Event;
use crate::refusal::{Outcome, Refusal};
use crate::visit::{Change, Session, Visit};

/// Deletes whoever is logged in, and all that is theirs: sessions and tokens as well. What has happened to the account
/// stays in the log of events under a number that is nobody's any more, without addresses and programs.
///
/// # Errors
/// [`Refusal::Reauthenticate`] without a recent proof, [`Refusal::Unauthenticated`] if nobody is logged in.
pub async fn delete(ctx: &Ctx, visit: &mut Visit) -> Outcome<()> {
    reauthenticate::demand(ctx, visit).await?;
    let id = visit.current()?.user.id;
    let mut tx = ctx.db.write().await?;
    users::lock(&mut tx, id).await?;
    let proved = emails::of_user(&mut tx, id).await?.into_iter().find(|row| row.primary && row.verified);
    if !users::delete(&mut tx, id).await? {
        return Err(Refusal::Unauthenticated);
    }
    let to = proved.as_ref().map(|row| row.email.as_str());
    ctx.notify(&mut tx, visit, to, MailKind::AccountDeleted).await?;
    ctx.record(&mut tx, visit, Event::Deleted, Some(id), "").await?;
    events::forget_whence(&mut tx, id).await?;
    ctx.commit(tx).await?;
    visit.session = Session::None;
    visit.change = Change::Ended;
    Ok(())
}
