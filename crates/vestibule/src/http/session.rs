//! `auth/session`: who is logged in, and logging out.

use vestibule_core::session;

use super::door::{Call, Reply};

pub(super) fn get(call: &mut Call) -> Reply<'_> {
    Box::pin(async move { call.authentication().await })
}

pub(super) fn delete(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        session::end(&call.ctx, &mut call.visit).await?;
        call.authentication().await
    })
}
