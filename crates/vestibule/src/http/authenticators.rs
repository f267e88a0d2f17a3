//! `account/authenticators`: the second factors of whoever is logged in.

use axum::http::StatusCode;
use serde::Serialize;
use serde_json::json;
use vestibule_base::config::AuthenticatorType;
use vestibule_base::storage::authenticators::Authenticator;
use vestibule_core::Problem;
use vestibule_core::mfa::recovery_codes::{self, Counts, Shown, Unused};
use vestibule_core::mfa::totp::{self, Status};
use vestibule_core::mfa::webauthn::{self, NewKey};
use vestibule_core::mfa::{self, Listed};

use super::answer::Answer;
use super::door::{Call, Reply};
use super::envelope::{Meta, Offer};
use super::view;

pub(super) fn get(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let listed = mfa::list(&call.ctx, &call.visit).await?;
        Answer::data(listed.iter().map(Shape::listed).collect::<Vec<_>>())
    })
}

pub(super) fn totp(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        match totp::status(&call.ctx, &mut call.visit).await? {
            Status::Active(row) => Answer::data(Shape::new(&row, None)),
            Status::Offered(totp::Offer { secret, url }) => {
                let offer = Some(Offer { secret, totp_url: url });
                Ok(Answer::Envelope {
                    status: StatusCode::NOT_FOUND,
                    data: None,
                    meta: Meta { offer, ..Meta::default() },
                })
            }
        }
    })
}

pub(super) fn activate_totp(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        call.visit.current()?;
        let mut form = call.form()?;
        let code = form.text("code", true);
        let code = form.finish_with(code)?;
        let row = totp::activate(&call.ctx, &call.visit, &code).await?;
        Answer::data(Shape::new(&row, None))
    })
}

pub(super) fn deactivate_totp(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        totp::deactivate(&call.ctx, &call.visit).await?;
        Ok(Answer::status(StatusCode::OK))
    })
}

pub(super) fn key_options(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let passwordless = call.asks("passwordless");
        let options = webauthn::creation_options(&call.ctx, &mut call.visit, passwordless).await?;
        Answer::data(json!({ "creation_options": options }))
    })
}

pub(super) fn add_key(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        webauthn::check_may_add(&call.ctx, &call.visit).await?;
        let mut form = call.form()?;
        let passwordless = form.flag("passwordless") && call.ctx.config.mfa.passkey_login_enabled;
        let name = form.text("name", false);
        let sent = form.structure("credential");
        let new = NewKey { name, sent: form.finish_with(sent)?, passwordless };
        let (key, with_codes) = webauthn::add(&call.ctx, &call.visit, new).await?;
        let meta = Meta { recovery_codes_generated: Some(with_codes), ..Meta::default() };
        Answer::envelope(StatusCode::OK, Shape::listed(&key.listed()), meta)
    })
}

pub(super) fn rename_key(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        call.visit.current()?;
        let mut form = call.form()?;
        let id = form.id("id", &Problem::unknown_key());
        if let Some(id) = id
            && !webauthn::are_own(&call.ctx, &call.visit, &[id]).await?
        {
            form.reject(Problem::unknown_key().on("id"));
        }
        let name = form.text("name", true);
        if name.as_ref().is_some_and(|name| name.chars().count() > webauthn::LONGEST_NAME as usize) {
            form.reject(Problem::max_length(webauthn::LONGEST_NAME).on("name"));
        }
        let (id, name) = form.finish_with(id.zip(name))?;
        let key = webauthn::rename(&call.ctx, &call.visit, id, &name).await?;
        Answer::data(Shape::listed(&key.listed()))
    })
}

pub(super) fn remove_keys(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        call.visit.current()?;
        let mut form = call.form()?;
        let ids = form.ids("authenticators", &Problem::unknown_key());
        if let Some(ids) = &ids
            && !webauthn::are_own(&call.ctx, &call.visit, ids).await?
        {
            form.reject(Problem::unknown_key().on("authenticators"));
        }
        let ids = form.finish_with(ids)?;
        webauthn::remove_keys(&call.ctx, &call.visit, &ids).await?;
        Ok(Answer::status(StatusCode::OK))
    })
}

pub(super) fn recovery_codes(call: &mut Call) -> Reply<'_> {
    Box::pin(async move { Answer::data(shown(&recovery_codes::view(&call.ctx, &call.visit).await?)) })
}

pub(super) fn generate_recovery_codes(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        call.visit.current()?;
        call.form()?;
        Answer::data(shown(&recovery_codes::generate(&call.ctx, &call.visit).await?))
    })
}

/// An authenticator, as clients see it.
#[derive(Serialize)]
struct Shape<'a> {
    #[serde(rename = "type")]
    kind: AuthenticatorType,
    created_at: f64,
    last_used_at: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_code_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unused_code_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unused_codes: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_passwordless: Option<bool>,
}

impl<'a> Shape<'a> {
    fn listed(listed: &'a Listed) -> Self {
        Self { is_passwordless: listed.passwordless, ..Self::new(&listed.row, listed.codes) }
    }

    fn new(row: &'a Authenticator, codes: Option<Counts>) -> Self {
        let is_key = row.kind == AuthenticatorType::Webauthn;
        Self {
            kind: row.kind,
            id: is_key.then_some(row.id),
            name: row.name.as_deref(),
            is_passwordless: None,
            created_at: view::seconds(row.created_at),
            last_used_at: row.last_used_at.map(view::seconds),
            total_code_count: codes.map(|counts| counts.total),
            unused_code_count: codes.map(|counts| counts.unused),
            unused_codes: None,
        }
    }
}

fn shown(set: &Shown) -> Shape<'_> {
    let unused = set.unused.as_ref().map(|codes| codes.iter().map(Unused::expose).collect());
    Shape { unused_codes: unused, ..Shape::new(&set.row, Some(set.counts)) }
}
