//! `config`: what a client asks for first. It depends on nothing but the settings and the kind of client.

use axum::body::Bytes;
use serde_json::{Map, Value, json};
use vestibule_base::config::{ClientKind, Config, LoginMethod};
use vestibule_core::Ctx;
use vestibule_core::social::{self, Offer};

use super::answer::Answer;
use super::door::{Call, Reply};

pub(super) fn get(call: &mut Call) -> Reply<'_> {
    Box::pin(async move { Ok(Answer::Written(call.config.clone())) })
}

/// The whole body.
pub(super) fn written(ctx: &Ctx, client: ClientKind) -> Bytes {
    let config = &ctx.config;
    let providers: Vec<Offer> = social::offered(ctx, client).into_iter().map(Offer::of).collect();
    let mut mfa = Map::new();
    mfa.insert("supported_types".into(), json!(config.mfa.supported_types));
    mfa.insert("passkey_login_enabled".into(), config.mfa.passkey_login_enabled.into());
    let data = json!({
        "account": account(config),
        "socialaccount": { "providers": providers },
        "mfa": mfa,
        "usersessions": { "track_activity": config.usersessions.track_activity },
    });
    Bytes::from(json!({ "status": 200, "data": data }).to_string())
}

fn account(config: &Config) -> Value {
    let account = &config.account;
    let mut shape = json!({
        "login_methods": account.login_methods,
        "is_open_for_signup": account.is_open_for_signup,
        "email_verification_by_code_enabled": account.email_verification_by_code_enabled,
        "login_by_code_enabled": account.login_by_code_enabled,
        "password_reset_by_code_enabled": account.password_reset_by_code_enabled,
    });
    if !account.extra_signup_fields.is_empty()
        && let Some(shape) = shape.as_object_mut()
    {
        shape.insert("extra_signup_fields".into(), json!(account.extra_signup_fields));
    }
    // Kept for old clients; a phone number has no word in it.
    let has = |method| account.login_methods.contains(&method);
    let method = match (has(LoginMethod::Email), has(LoginMethod::Username)) {
        (true, true) => Some("username_email"),
        (true, false) => Some("email"),
        (false, true) => Some("username"),
        (false, false) => None,
    };
    if let (Some(method), Some(shape)) = (method, shape.as_object_mut()) {
        shape.insert("authentication_method".into(), method.into());
    }
    shape
}
