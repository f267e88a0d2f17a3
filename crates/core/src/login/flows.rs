//! What a client may do next. Derived from settings and state, never stored.

use serde::Serialize;
use vestibule_base::storage::processes;

use super::pipeline;
use crate::account::process::Kind;
use crate::account::reauthenticate;
use crate::context::Ctx;
use crate::refusal::Outcome;
use crate::visit::Visit;

/// One thing that a client may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flow {
    /// Its name in the contract.
    pub id: &'static str,
    /// Whether it is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_pending: Option<bool>,
}

impl Flow {
    fn new(id: &'static str) -> Self {
        Self { id, is_pending: None }
    }
}

/// What somebody may do to log in, or, logged in, to prove again who they are.
///
/// # Errors
/// [`Refusal::Fault`](crate::Refusal::Fault).
pub async fn now(ctx: &Ctx, visit: &Visit) -> Outcome<Vec<Flow>> {
    let account = &ctx.config.account;
    let mut flows = match visit.session.user() {
        Some(current) => reauthenticate::ways(current).into_iter().map(Flow::new).collect(),
        None => ways_in(ctx),
    };
    let mut resetting = false;
    if let Some(session_id) = visit.session.id() {
        let mut conn = ctx.db.read().await?;
        if let Some((stage, _)) = pipeline::pending(ctx, &mut conn, visit).await? {
            let pending = Flow { id: stage.key(), is_pending: Some(true) };
            match flows.iter_mut().find(|flow| flow.id == pending.id) {
                Some(flow) => *flow = pending,
                None => flows.push(pending),
            }
        }
        if account.password_reset_by_code_enabled {
            let process = processes::find(&mut conn, session_id, Kind::PasswordReset.name()).await?;
            resetting = process.is_some_and(|process| process.expires_at > visit.now);
        }
    }
    if account.password_reset_by_code_enabled {
        flows.push(Flow { id: "password_reset_by_code", is_pending: Some(resetting) });
    }
    Ok(flows)
}

fn ways_in(ctx: &Ctx) -> Vec<Flow> {
    let account = &ctx.config.account;
    let mut flows = vec![Flow::new("login")];
    if account.login_by_code_enabled {
        flows.push(Flow::new("login_by_code"));
    }
    if account.is_open_for_signup {
        flows.push(Flow::new("signup"));
    }
    flows
}
