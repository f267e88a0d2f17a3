//! `account`: what people may do about their data. Both are extensions of ours, and off unless the settings say so.

use vestibule_core::account::deletion;
use vestibule_core::dossier;

use super::answer::Answer;
use super::door::{Call, Reply};

pub(super) fn delete(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        deletion::delete(&call.ctx, &mut call.visit).await?;
        call.authentication().await
    })
}

pub(super) fn export(call: &mut Call) -> Reply<'_> {
    Box::pin(async move { Answer::download("account.json", dossier::own(&call.ctx, &call.visit).await?) })
}
