//! `account/providers`: what is connected to the account of whoever is logged in.

use serde_json::{Value, json};
use vestibule_base::storage::social::SocialAccount;
use vestibule_core::social::{Offer, connect};
use vestibule_core::{Ctx, Outcome};

use super::answer::Answer;
use super::door::{Call, Reply};

pub(super) fn get(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        let connected = connect::list(&call.ctx, &call.visit).await?;
        Answer::data(shape(&call.ctx, &connected)?)
    })
}

pub(super) fn delete(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        call.visit.current()?;
        let mut form = call.form()?;
        let named = (form.text("provider", true), form.text("account", true));
        let (provider, uid) = form.finish_with(named.0.zip(named.1))?;
        let left = connect::disconnect(&call.ctx, &call.visit, &provider, &uid).await?;
        Answer::data(shape(&call.ctx, &left)?)
    })
}

fn shape(ctx: &Ctx, connected: &[SocialAccount]) -> Outcome<Vec<Value>> {
    connected
        .iter()
        .map(|account| {
            let provider = ctx.providers.find(&account.provider);
            let display = match provider {
                Some(provider) => provider.display(&serde_json::from_str(&account.extra_data)?, &account.uid),
                None => account.uid.clone(),
            };
            let offer = Offer::of_account(ctx, account);
            Ok(json!({ "uid": account.uid, "provider": offer, "display": display }))
        })
        .collect()
}
