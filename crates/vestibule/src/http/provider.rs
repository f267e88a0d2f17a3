//! `auth/provider/...`: to a provider and back, with a provider's token, and what a signup by a provider still lacks.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use vestibule_base::config::{Action, Config, Presence, SignupField};
use vestibule_core::account::username::Username;
use vestibule_core::login::entry::provider;
use vestibule_core::login::entry::provider_signup::Entered;
use vestibule_core::social::pending::{self, Pending};
use vestibule_core::social::{self, Offer, Process};
use vestibule_core::{Ctx, Problem, Refusal};
use vestibule_providers::{Callback, Presented, Provider};

use super::answer::Answer;
use super::door::{Call, Manner, Proof, Reply};
use super::input::Form;
use super::request::PATIENCE;

/// The manner of what asks a provider: it takes as long as the provider may, and then as long as any other.
pub(super) fn manner(config: &Config, proof: Proof) -> Manner {
    let seconds = u64::try_from(config.socialaccount.requests_timeout).unwrap_or_default();
    Manner { proof, patience: Duration::from_secs(seconds).saturating_add(PATIENCE) }
}

pub(super) fn redirect(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let (form, query) = (call.fields(), call.query());
        Ok(Answer::Redirect(provider::send_away(&call.ctx, &mut call.visit, &form, &query).await))
    })
}

/// Where providers send people back to, outside the API. Never an error: a person is looking.
pub(super) fn callback(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let ctx = Arc::clone(&call.ctx);
        let ours = |provider: &&Provider| ctx.providers.callback_path(provider) == call.path;
        let providers: Vec<&Provider> = ctx.providers.all().iter().filter(ours).collect();
        let callback = Callback { params: call.query().into_iter().chain(call.fields()).collect() };
        // Whoever only looks where this leads must not be the one who gets there.
        if call.method == Method::HEAD {
            return Ok(Answer::status(StatusCode::METHOD_NOT_ALLOWED));
        }
        if call.method == Method::POST {
            let location = provider::fetch_answer(&ctx, &call.visit, &providers, &call.path, &callback).await;
            return Ok(Answer::Redirect(location));
        }
        if let Some(page) = providers.iter().find_map(|provider| provider.callback_page(&callback)) {
            return Ok(Answer::Page { html: page.html, script_hash: page.script_hash });
        }
        Ok(Answer::Redirect(provider::come_back(&ctx, &mut call.visit, &providers, callback).await))
    })
}

pub(super) fn token(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        call.limit(Action::Login).await?;
        let ctx = Arc::clone(&call.ctx);
        let mut form = call.form()?;
        let process = process(&mut form);
        let id = form.text("provider", true);
        let token = read_token(&mut form);
        let found = id.zip(token).and_then(|(id, token)| {
            presented(&ctx, &id, &token).map_err(|problem| form.reject(problem)).ok()
        });
        let ((provider, presented), process) = form.finish_with(found.zip(process))?;
        provider::by_token(&ctx, &mut call.visit, provider, &presented, process).await?;
        call.authentication().await
    })
}

fn process(form: &mut Form) -> Option<Process> {
    let named = form.text("process", true)?;
    let process = Process::named(&named);
    if process.is_none() {
        form.reject(Problem::invalid_choice().on("process"));
    }
    process
}

/// As in the reference, no token is both missing and invalid, and an empty one is missing.
fn read_token(form: &mut Form) -> Option<Map<String, Value>> {
    let value = form.value("token").cloned();
    form.structure("token");
    match value {
        Some(Value::Object(members)) => Some(members).filter(|members| !members.is_empty()),
        _ => {
            form.reject(Problem::invalid_token().on("token"));
            None
        }
    }
}

/// The provider that a token is for, and what is to be looked at.
fn presented<'a>(
    ctx: &'a Ctx,
    id: &str,
    token: &Map<String, Value>,
) -> Result<(&'a Provider, Presented), Problem> {
    let client_id = token.get("client_id").and_then(Value::as_str);
    let provider = match client_id {
        Some(client_id) => social::named(ctx, id, Some(client_id)),
        None => social::named(ctx, id, None).filter(|provider| !provider.has_client()),
    };
    let provider = match (provider, client_id) {
        (Some(provider), _) => provider,
        (None, None) => return Err(Problem::client_id_required().on("token")),
        (None, Some(_)) => return Err(Problem::invalid_token().on("token")),
    };
    if !provider.supports_token() {
        return Err(Problem::token_authentication_not_supported().on("provider"));
    }
    let text = |name: &str| match token.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(SecretString::from(text.clone()))),
        Some(_) => Err(Problem::token_required().on("token")),
    };
    let presented = Presented { id_token: text("id_token")?, access_token: text("access_token")? };
    if presented.id_token.is_none() && presented.access_token.is_none() {
        return Err(Problem::token_required().on("token"));
    }
    Ok((provider, presented))
}

/// Who waits to be signed up.
pub(super) fn waiting(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let mut conn = call.ctx.db.read().await?;
        let waiting = pending::find(&call.ctx, &mut conn, &call.visit).await?.ok_or(Refusal::Conflict)?;
        if !call.ctx.config.account.is_open_for_signup {
            return Err(Refusal::Forbidden);
        }
        Answer::data(shape(&waiting))
    })
}

fn shape(waiting: &Pending<'_>) -> Value {
    let identity = &waiting.identity;
    let display = waiting.provider.display(&identity.extra_data, &identity.uid);
    let named = identity.username.as_ref().or(identity.email.as_ref()).unwrap_or(&display);
    let mut user = json!({ "display": named, "has_usable_password": false });
    if let (Some(username), Some(members)) = (&identity.username, user.as_object_mut()) {
        members.insert("username".into(), username.as_str().into());
    }
    json!({
        "user": user,
        "account": { "uid": identity.uid, "provider": Offer::of(waiting.provider), "display": display },
        "email": identity.emails,
    })
}

pub(super) fn sign_up(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        call.limit(Action::Signup).await?;
        let mut form = call.form()?;
        let entered = entered(call, &mut form);
        provider::finish_signup(&call.ctx, &mut call.visit, &entered, form.into_problems()).await?;
        call.authentication().await
    })
}

/// The fields of `signup_fields`, but for the password: none is asked for.
fn entered(call: &Call, form: &mut Form) -> Entered {
    let account = &call.ctx.config.account;
    let required = |field| account.signup_fields.get(field) == Some(Presence::Required);
    let asked = |field| account.signup_fields.get(field).is_some();
    let mut entered = Entered::default();
    if asked(SignupField::Username) {
        let typed = form.text("username", required(SignupField::Username));
        entered.username = typed.and_then(|typed| {
            Username::parse(account, &typed).map_err(|problem| form.reject(problem.on("username"))).ok()
        });
    }
    let email_required = call.ctx.config.providers_email_required();
    if email_required || asked(SignupField::Email) {
        entered.email = form.email("email", email_required, account.email_max_length);
    }
    if asked(SignupField::Phone) {
        entered.phone = form.phone("phone", required(SignupField::Phone));
    }
    entered.fields = form.extra(&account.extra_signup_fields);
    entered
}
