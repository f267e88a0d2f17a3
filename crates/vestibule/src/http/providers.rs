//! `account/providers`: connections to third parties. None can be made yet, so everybody has none.

use serde_json::json;

use super::answer::Answer;
use super::door::{Call, Reply};

pub(super) fn get(call: &mut Call) -> Reply<'_> {
    Box::pin(async move {
        call.visit.current()?;
        Answer::data(json!([]))
    })
}
