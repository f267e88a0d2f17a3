//! `auth/2fa/…`: proving a second factor, and trusting a browser where it was proved.

use vestibule_core::login::Stage;
use vestibule_core::login::entry::second_factor;
use vestibule_core::{Outcome, mfa};

use super::door::{Call, Reply};

pub(super) fn authenticate(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let user = second_factor::awaited(&call.ctx, &call.visit, Stage::MfaAuthenticate).await?;
        let code = code(call)?;
        second_factor::authenticate(&call.ctx, &mut call.visit, &user, &code).await?;
        call.authentication().await
    })
}

pub(super) fn reauthenticate(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        call.visit.current()?;
        let code = code(call)?;
        mfa::reauthenticate(&call.ctx, &mut call.visit, &code).await?;
        call.authentication().await
    })
}

pub(super) fn trust(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let user = second_factor::awaited(&call.ctx, &call.visit, Stage::MfaTrust).await?;
        let mut form = call.form()?;
        let trusts = form.flag("trust");
        form.finish()?;
        second_factor::trust(&call.ctx, &mut call.visit, &user, trusts).await?;
        call.authentication().await
    })
}

fn code(call: &Call) -> Outcome<String> {
    let mut form = call.form()?;
    let code = form.text("code", true);
    form.finish_with(code)
}
