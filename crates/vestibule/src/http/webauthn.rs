//! `auth/webauthn/…`: keys as second factors and fresh proofs, passkeys as a way in, and the end of a signup with one.

use serde::Serialize;
use serde_json::{Value, json};
use vestibule_core::Outcome;
use vestibule_core::login::Stage;
use vestibule_core::login::entry::{passkey, second_factor};
use vestibule_core::mfa::webauthn::{self, NewKey};

use super::answer::Answer;
use super::door::{Call, Reply};

pub(super) fn authenticate_options(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let user = second_factor::awaited(&call.ctx, &call.visit, Stage::MfaAuthenticate).await?;
        request(second_factor::key_options(&call.ctx, &mut call.visit, &user).await?)
    })
}

pub(super) fn authenticate(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let user = second_factor::awaited(&call.ctx, &call.visit, Stage::MfaAuthenticate).await?;
        let sent = credential(call)?;
        second_factor::by_key(&call.ctx, &mut call.visit, &user, sent).await?;
        call.authentication().await
    })
}

pub(super) fn reauthenticate_options(call: &mut Call) -> Reply<'_> {
    Box::pin(async move { request(webauthn::reauthentication_options(&call.ctx, &mut call.visit).await?) })
}

pub(super) fn reauthenticate(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        call.visit.current()?;
        let sent = credential(call)?;
        webauthn::reauthenticate(&call.ctx, &mut call.visit, sent).await?;
        call.authentication().await
    })
}

pub(super) fn login_options(call: &mut Call) -> Reply<'_> {
    Box::pin(async move { request(passkey::options(&call.ctx, &mut call.visit).await?) })
}

pub(super) fn login(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        // What is malformed counts as well.
        passkey::count(&call.ctx, &call.visit).await?;
        let sent = credential(call)?;
        passkey::login(&call.ctx, &mut call.visit, sent).await?;
        call.authentication().await
    })
}

pub(super) fn signup_options(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let user = passkey::signup_awaited(&call.ctx, &call.visit).await?;
        let options = passkey::signup_options(&call.ctx, &mut call.visit, &user).await?;
        Answer::data(json!({ "creation_options": options }))
    })
}

pub(super) fn finish_signup(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let user = passkey::signup_awaited(&call.ctx, &call.visit).await?;
        let mut form = call.form()?;
        let name = form.text("name", false);
        let sent = form.structure("credential");
        let new = NewKey { name, sent: form.finish_with(sent)?, passwordless: true };
        passkey::finish_signup(&call.ctx, &mut call.visit, &user, new).await?;
        call.authentication().await
    })
}

fn request(options: impl Serialize) -> Outcome<Answer> {
    Answer::data(json!({ "request_options": options }))
}

fn credential(call: &Call) -> Outcome<Value> {
    let mut form = call.form()?;
    let sent = form.structure("credential");
    form.finish_with(sent)
}
