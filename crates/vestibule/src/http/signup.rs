//! `auth/signup`, and the beginning of `auth/webauthn/signup`.

use vestibule_base::config::{Action, Presence, SignupField};
use vestibule_core::account::signup::NewAccount;
use vestibule_core::account::username::Username;
use vestibule_core::login::entry::signup::{self, Signup};
use vestibule_core::{Outcome, Problem};

use super::answer::Answer;
use super::door::{Call, Reply};
use super::input::Form;

pub(super) fn post(call: &mut Call) -> Reply<'_> {
    Box::pin(async move { begin(call, false).await })
}

/// The same for an account with a passkey, which is asked for once the address is proved.
pub(super) fn by_passkey(call: &mut Call) -> Reply<'_> {
    Box::pin(async move { begin(call, true).await })
}

async fn begin(call: &mut Call, by_passkey: bool) -> Outcome<Answer> {
    call.limit(Action::Signup).await?;
    let mut form = call.form()?;
    let new = read(call, &mut form, by_passkey);
    signup::signup(&call.ctx, &mut call.visit, &new, form.into_problems()).await?;
    call.authentication().await
}

/// The fields of `signup_fields`, in whatever combination.
fn read(call: &Call, form: &mut Form, by_passkey: bool) -> Signup {
    let account = &call.ctx.config.account;
    let mut new = NewAccount::default();
    for (field, presence) in account.signup_fields.iter() {
        let required = presence == Presence::Required;
        match field {
            SignupField::Username => {
                let typed = form.text("username", required);
                new.username = typed.and_then(|typed| {
                    Username::parse(account, &typed)
                        .map_err(|problem| form.reject(problem.on("username")))
                        .ok()
                });
            }
            SignupField::Email => new.email = form.email("email", required, account.email_max_length),
            SignupField::Phone => new.phone = form.phone("phone", required),
            // An account with a passkey has no password.
            SignupField::Password1 if by_passkey => {}
            SignupField::Password1 => new.password = form.password("password", required),
            // Asked for by forms, not by the API: whoever calls it has compared them.
            SignupField::Password2 => {}
            SignupField::Email2 => {}
        }
    }
    if let Some(presence) = account.signup_fields.get(SignupField::Email2) {
        let again = form.email("email2", presence == Presence::Required, account.email_max_length);
        if again.is_some() && new.email.is_some() && again != new.email {
            form.reject(Problem::emails_differ().on("email2"));
        }
    }
    new.fields = form.extra(&account.extra_signup_fields);
    let trap = account.signup_form_honeypot_field.as_deref();
    let by_robot = trap
        .and_then(|name| form.value(name))
        .is_some_and(|value| !matches!(value.as_str(), Some("")) && !value.is_null());
    Signup { account: new, by_robot, by_passkey }
}
