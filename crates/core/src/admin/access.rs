//! Who is not let in to the API for operators.

use vestibule_base::config::{Per, Rate};
use vestibule_base::ratelimit::{self, Subject};

use crate::context::Ctx;
use crate::refusal::Fault;

/// How often a network may show a wrong token in a minute before it is told to wait.
pub const MOST_REFUSALS: u32 = 10;

/// Counts a wrong token that somebody at `ip` showed, and logs it; `false` if their `network` has shown too many.
///
/// # Errors
/// [`Fault`].
pub async fn refused(ctx: &Ctx, ip: &str, network: &str) -> Result<bool, Fault> {
    let rate = Rate { amount: MOST_REFUSALS, window_ms: 60_000, per: Per::Ip };
    let subject = Subject { ip: network, user: None, key: None };
    let mut tx = ctx.db.write().await?;
    let counted = ratelimit::take(&mut tx, "operator_refused", &[rate], subject, ctx.clock.now()).await?;
    tx.commit().await?;
    if counted.is_some() {
        tracing::warn!(target: "vestibule::audit", event = "operator_refused", ip);
    }
    Ok(counted.is_some())
}
