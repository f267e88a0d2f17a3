//! Whoever has set up a second factor proves it, unless the browser is trusted.

use vestibule_base::config::AuthenticatorType as Kind;
use vestibule_base::storage::{Conn, authenticators};

use crate::context::Ctx;
use crate::login::pipeline::{Login, Verdict};
use crate::mfa::trust;
use crate::refusal::Outcome;
use crate::visit::Visit;

pub(in crate::login) async fn check(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &Visit,
    login: &Login,
) -> Outcome<Verdict> {
    let Some(user) = &login.user else { return Ok(Verdict::Pass) };
    // A passkey is two factors by itself: a thing, and a finger or a PIN.
    if login.state.records.iter().any(|record| record.passwordless) {
        return Ok(Verdict::Pass);
    }
    // What people have set up is asked for, also where the settings do not let them set up more of the kind.
    let kinds = authenticators::kinds(tx, user.id).await?;
    if !kinds.iter().any(|kind| matches!(kind, Kind::Totp | Kind::Webauthn)) {
        return Ok(Verdict::Pass);
    }
    let trusted = ctx.config.mfa.trust_enabled && trust::is_trusted(ctx, tx, visit, user).await?;
    Ok(if trusted { Verdict::Pass } else { Verdict::Hold })
}
