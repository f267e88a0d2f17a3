//! Whoever proved more than a password is asked whether to trust this browser.

use vestibule_base::config::ClientKind;

use crate::context::Ctx;
use crate::login::pipeline::{Login, Verdict};
use crate::visit::{Method, Record, Visit};

pub(in crate::login) fn check(ctx: &Ctx, visit: &Visit, login: &Login) -> Verdict {
    // A passkey that was the way in is no addition to another.
    let added = |record: &&Record| !record.passwordless;
    let proved = |method| login.state.records.iter().filter(added).any(|record| record.method == method);
    let second_factor = ctx.config.mfa.trust_enabled && proved(Method::Mfa);
    // Nor is a code that was.
    let added_code =
        ctx.config.account.login_by_code_trust_enabled && proved(Method::Code) && !login.state.by_code;
    let asks = visit.client == ClientKind::Browser && login.user.is_some() && (second_factor || added_code);
    if asks { Verdict::Hold } else { Verdict::Pass }
}
