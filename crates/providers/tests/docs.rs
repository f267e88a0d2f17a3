//! The settings that the documentation shows can be used as they stand there.

#![expect(clippy::unwrap_used, reason = "a panic is how a test says that it failed")]

use std::sync::Arc;
use std::time::Duration;

use url::Url;
use vestibule_base::config::Config;
use vestibule_base::outbound::Outbound;
use vestibule_base::security::SystemClock;
use vestibule_providers::{Providers, World};

const PAGE: &str = include_str!("../../../docs/how-to/providers.md");
const APPS: &str = "[[socialaccount.apps]]";
/// How many of the page's blocks set up an app.
const LEAST: usize = 14;

/// The blocks of TOML: those with apps, and those with entries of a catalogue.
fn blocks() -> (Vec<&'static str>, Vec<&'static str>) {
    let blocks = PAGE.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.partition(|block| block.contains(APPS))
}

fn world() -> World {
    World {
        outbound: Outbound::new().unwrap(),
        clock: Arc::new(SystemClock),
        site: Url::parse("http://localhost:8000").unwrap(),
        patience: Duration::from_secs(5),
        query_email: true,
        store_tokens: false,
        oidc_prefix: "oidc".to_owned(),
    }
}

#[test]
fn the_apps_on_the_page_can_be_used_as_they_stand_there() {
    let (with_apps, entries) = blocks();
    assert!(with_apps.len() >= LEAST, "{with_apps:?}");
    let catalogue = entries.concat();
    let world = world();
    for block in with_apps {
        let config = Config::from_toml(block).unwrap_or_else(|error| panic!("{error}\n{block}"));
        let providers = Providers::new(&config.socialaccount.apps, Some(&catalogue), world.clone());
        let providers = providers.unwrap_or_else(|complaints| panic!("{complaints:?}\n{block}"));
        // The page says for each which URL to register.
        for provider in providers.all() {
            let path = provider.callback_path(&world);
            let path = path.replace("/oidc/keycloak/", "/oidc/PROVIDER_ID/");
            let shown = PAGE.contains(&format!("https://auth.example.org{path}"));
            assert!(shown || provider.kind() == "dummy", "{path} is not on the page");
        }
    }
}
