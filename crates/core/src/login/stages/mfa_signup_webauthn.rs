//! Whoever signs up with a passkey sets it up before they are let in: the account has no password.

use crate::login::pipeline::{Login, Verdict};

pub(in crate::login) fn check(login: &Login) -> Verdict {
    if login.state.passkey_signup { Verdict::Hold } else { Verdict::Pass }
}
