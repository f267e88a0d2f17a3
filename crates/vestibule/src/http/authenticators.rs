//! `account/authenticators`: the second factors of whoever is logged in.

use axum::http::StatusCode;
use serde::Serialize;
use vestibule_base::config::AuthenticatorType;
use vestibule_base::storage::authenticators::Authenticator;
use vestibule_core::mfa::recovery_codes::{self, Counts, Shown, Unused};
use vestibule_core::mfa::totp::{self, Status};
use vestibule_core::mfa::{self, Listed};

use super::answer::Answer;
use super::door::{Call, Reply};
use super::envelope::{Meta, Offer};
use super::view;

pub(super) fn get(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let listed = mfa::list(&call.ctx, &call.visit).await?;
        let shape = |Listed { row, codes }: &Listed| Shape::new(row, *codes);
        Answer::data(listed.iter().map(shape).collect::<Vec<_>>())
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
}

impl Shape<'_> {
    fn new(row: &Authenticator, codes: Option<Counts>) -> Self {
        Self {
            kind: row.kind,
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
