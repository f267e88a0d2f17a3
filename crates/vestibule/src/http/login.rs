//! `auth/login` and `auth/reauthenticate`: by password.

use vestibule_base::config::{Action, LoginMethod};
use vestibule_base::security::password::Password;
use vestibule_core::account::reauthenticate as proof;
use vestibule_core::login::entry::password::{self, Identifier};
use vestibule_core::{Outcome, Problem};

use super::door::{Call, Reply};
use super::input::Form;

pub(super) fn post(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let (who, given) = match credentials(call) {
            Ok(credentials) => credentials,
            Err(refusal) => {
                // Counted all the same.
                call.limit(Action::Login).await?;
                return Err(refusal);
            }
        };
        password::login(&call.ctx, &mut call.visit, who, &given).await?;
        call.authentication().await
    })
}

fn credentials(call: &Call) -> Outcome<(Identifier, Password)> {
    let mut form = call.form()?;
    let who = identifiers(call, &mut form);
    let given = form.password("password", true);
    form.finish()?;
    Ok(only_one(who)?.zip(given).ok_or_else(Problem::invalid_login)?)
}

/// Every way of saying who one is that the body holds.
fn identifiers(call: &Call, form: &mut Form) -> Vec<Option<Identifier>> {
    let account = &call.ctx.config.account;
    let required = account.login_methods.len() == 1;
    let read = |form: &mut Form, method: &LoginMethod| match method {
        LoginMethod::Username => form.text("username", required).map(Identifier::Username),
        LoginMethod::Email => form.email("email", required, account.email_max_length).map(Identifier::Email),
        LoginMethod::Phone => form.phone("phone", required).map(Identifier::Phone),
    };
    let name = |method: &LoginMethod| match method {
        LoginMethod::Username => "username",
        LoginMethod::Email => "email",
        LoginMethod::Phone => "phone",
    };
    let mut found = Vec::new();
    for method in &account.login_methods {
        let sent = form.has(name(method));
        let value = read(form, method);
        if sent {
            found.push(value);
        }
    }
    found
}

/// A field that was sent counts, also when it is empty.
fn only_one(found: Vec<Option<Identifier>>) -> Outcome<Option<Identifier>> {
    match <[Option<Identifier>; 1]>::try_from(found) {
        Ok([only]) => Ok(only),
        Err(_) => Err(Problem::invalid_login().into()),
    }
}

pub(super) fn reauthenticate(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        call.visit.current()?;
        call.limit(Action::Reauthenticate).await?;
        let mut form = call.form()?;
        let given = form.password("password", true);
        let given = form.finish_with(given)?;
        proof::by_password(&call.ctx, &mut call.visit, &given).await?;
        call.authentication().await
    })
}
