//! For tests: a world whose calls are answered from a list, and that keeps what was asked.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use vestibule_base::config::App;
use vestibule_base::outbound::{Answer, Outbound, OutboundError, Played, Stage};
use vestibule_base::security::{Millis, TestClock};

use crate::assemble::assemble;
use crate::provider::Provider;
use crate::world::World;

/// 2026-01-02T03:04:05Z
pub(crate) const NOW: Millis = 1_767_323_045_000;

/// Answers in order: status and body.
#[derive(Debug)]
pub(crate) struct Rehearsal {
    answers: Mutex<VecDeque<(u16, String)>>,
    asked: Mutex<Vec<Played>>,
}

impl Rehearsal {
    /// The requests so far.
    pub(crate) fn asked(&self) -> Vec<Played> {
        self.asked.lock().unwrap().clone()
    }
}

impl Stage for Rehearsal {
    fn answer(&self, played: Played) -> Pin<Box<dyn Future<Output = Result<Answer, OutboundError>> + Send>> {
        self.asked.lock().unwrap().push(played);
        let answer = self.answers.lock().unwrap().pop_front();
        let answer = answer.map(|(status, text)| Answer { status, media_type: "text/html".to_owned(), text });
        Box::pin(async move { answer.ok_or(OutboundError::Timeout) })
    }
}

/// A world at `https://site.example`, at [`NOW`].
pub(crate) fn world(answers: &[(u16, &str)]) -> (World, Arc<Rehearsal>) {
    let answers = answers.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
    let stage = Arc::new(Rehearsal { answers: Mutex::new(answers), asked: Mutex::default() });
    // Certificates are read once: that takes a while.
    static OUTBOUND: LazyLock<Outbound> = LazyLock::new(|| Outbound::new().unwrap());
    let world = World {
        outbound: OUTBOUND.clone().staged(stage.clone()),
        clock: Arc::new(TestClock::at(NOW)),
        site: "https://site.example".parse().unwrap(),
        patience: Duration::from_secs(5),
        query_email: true,
        store_tokens: false,
        oidc_prefix: "oidc".to_owned(),
    };
    (world, stage)
}

/// The provider of an app, which is written as in the configuration.
pub(crate) fn provider(world: &World, app: &str) -> Provider {
    provider_of(world, app, None)
}

/// The same, by a catalogue of the test's own.
pub(crate) fn provider_of(world: &World, app: &str, catalogue: Option<&str>) -> Provider {
    let app: App = toml::from_str(app).unwrap();
    assemble(&[app], catalogue, world).unwrap().remove(0)
}
