//! A whole Vestibule in process, on a database of its own and a clock that the test moves.

use std::sync::{Arc, LazyLock};

use axum::http::Method;
use vestibule::Vestibule;
use vestibule::hooks::Hooks;
use vestibule_base::config::Config;
use vestibule_base::delivery::mailbox::StoredMessage;
use vestibule_base::outbound::Outbound;
use vestibule_base::security::TestClock;
use vestibule_base::security::clock::SECOND;
use vestibule_base::storage::Db;

use crate::client::{Client, Door, Reply};
use crate::contract::Contract;
use crate::database::{Backend, TestDatabase};
use crate::idp::Idp;
use crate::mailbox;

/// The server of one test.
#[derive(Debug)]
pub struct TestApp {
    /// The library's front.
    pub vestibule: Vestibule,
    /// Its database.
    pub db: Db,
    /// Its clock, which stands still unless moved.
    pub clock: Arc<TestClock>,
    /// What its clients speak to.
    pub door: Door,
    settings: toml::Table,
    outbound: Option<Outbound>,
    hooks: Option<Arc<dyn Hooks>>,
    // Last, so that the connections are gone before what they connect to.
    database: Arc<TestDatabase>,
}

/// 2030-01-01T00:00:00Z: what clocks show at first, in milliseconds.
pub const START: i64 = 1_893_456_000_000;

/// Settings of every test server, beneath the test's own.
const SETTINGS: &str = r#"
[server]
public_url = "http://localhost:8000"
secret_key = "the secret key of tests, known to all the world"

[headless.frontend_urls]
account_confirm_email = "http://localhost:8000/verify-email/{key}"
account_reset_password = "http://localhost:8000/reset-password"
account_reset_password_from_key = "http://localhost:8000/reset-password/{key}"
account_signup = "http://localhost:8000/signup"
socialaccount_login_error = "http://localhost:8000/login-error"

# So cheap that a test may log in often.
[passwords]
argon2 = { memory_kib = 64, iterations = 1, parallelism = 1 }
"#;

impl TestApp {
    /// Starts a server with defaults, cheap password hashes, the development mailbox, and `settings` in TOML over
    /// them. Nothing runs in the background: what is to be sent waits for [`TestApp::deliver`].
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(backend: Backend, settings: &str) -> Self {
        Self::create(backend, settings, Arc::new(TestClock::at(START)), None, None).await
    }

    /// The same with apps at the fake identity provider, which answers all calls of the server and goes by its clock.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_with(backend: Backend, settings: &str, idp: &Idp) -> Self {
        let mut all = parse(&Idp::apps(""));
        merge(&mut all, parse(settings));
        Self::create(backend, &all.to_string(), idp.clock(), Some(idp.outbound()), None).await
    }

    /// The same, asking `hooks`.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_asking(backend: Backend, settings: &str, idp: &Idp, hooks: Arc<dyn Hooks>) -> Self {
        let mut all = parse(&Idp::apps(""));
        merge(&mut all, parse(settings));
        Self::create(backend, &all.to_string(), idp.clock(), Some(idp.outbound()), Some(hooks)).await
    }

    /// The same, where `outbound` carries all calls of the server.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_calling(backend: Backend, settings: &str, outbound: Outbound) -> Self {
        Self::create(backend, settings, Arc::new(TestClock::at(START)), Some(outbound), None).await
    }

    async fn create(
        backend: Backend,
        settings: &str,
        clock: Arc<TestClock>,
        outbound: Option<Outbound>,
        hooks: Option<Arc<dyn Hooks>>,
    ) -> Self {
        let database = Arc::new(TestDatabase::create(backend).await);
        let mut all = parse(SETTINGS);
        merge(&mut all, parse(settings));
        merge(&mut all, parse(&format!("database.url = {:?}", database.url)));
        Self::on(database, all, clock, outbound, hooks).await
    }

    /// Another server of the same settings on the same database, by the same clock: the next instance of a cluster, or
    /// the same one after a restart.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn second(&self) -> Self {
        self.second_with("").await
    }

    /// The same, with `settings` in TOML over those of this one.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn second_with(&self, settings: &str) -> Self {
        let mut all = self.settings.clone();
        merge(&mut all, parse(settings));
        let (outbound, hooks) = (self.outbound.clone(), self.hooks.clone());
        Self::on(Arc::clone(&self.database), all, Arc::clone(&self.clock), outbound, hooks).await
    }

    async fn on(
        database: Arc<TestDatabase>,
        settings: toml::Table,
        clock: Arc<TestClock>,
        outbound: Option<Outbound>,
        hooks: Option<Arc<dyn Hooks>>,
    ) -> Self {
        let config = Config::from_toml(&settings.to_string()).unwrap_or_else(|error| panic!("{error}"));
        let (public_url, prefix) = (config.server.public_url.clone(), config.headless.path_prefix.clone());
        let mut builder = Vestibule::builder(config).clock(clock.clone());
        if let Some(outbound) = &outbound {
            builder = builder.outbound(outbound.clone());
        }
        if let Some(hooks) = &hooks {
            builder = builder.hooks(Arc::clone(hooks));
        }
        let vestibule = builder.build().await;
        let vestibule = vestibule.unwrap_or_else(|error| panic!("{error}"));
        let observer = Arc::new({
            let prefix = prefix.clone();
            move |method: &Method, path: &str, reply: &Reply| keeps_the_contract(&prefix, method, path, reply)
        });
        let door = Door { router: vestibule.router(), public_url, prefix, observer: Some(observer) };
        Self { db: vestibule.db().clone(), vestibule, clock, door, settings, outbound, hooks, database }
    }

    /// A new app client.
    #[must_use]
    pub fn app(&self) -> Client {
        Client::app(self.door.clone())
    }

    /// A new browser client.
    #[must_use]
    pub fn browser(&self) -> Client {
        Client::browser(self.door.clone())
    }

    /// Lets `seconds` pass.
    pub fn pass(&self, seconds: i64) {
        self.clock.advance(seconds * SECOND);
    }

    /// Sends what waits to be sent.
    ///
    /// # Panics
    /// If the database does not answer; so for all below.
    pub async fn deliver(&self) {
        self.vestibule.deliver_now().await.expect("the outbox");
    }

    /// All messages to an address or phone number so far, newest first.
    pub async fn messages_for(&self, to: &str) -> Vec<StoredMessage> {
        self.deliver().await;
        mailbox::messages_for(&self.db, to).await
    }

    /// The code in the newest message to `to`.
    pub async fn code_for(&self, to: &str) -> String {
        self.deliver().await;
        mailbox::code_for(&self.db, to).await
    }

    /// The link in the newest message to `to`.
    pub async fn link_for(&self, to: &str) -> String {
        self.deliver().await;
        mailbox::link_for(&self.db, to).await
    }

    /// The key in the link of the newest message to `to`.
    pub async fn link_key_for(&self, to: &str) -> String {
        self.deliver().await;
        mailbox::link_key_for(&self.db, to).await
    }
}

/// Holds an answer of the API against Vestibule's own document.
fn keeps_the_contract(prefix: &str, method: &Method, path: &str, reply: &Reply) {
    static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
        Contract::parse(include_str!("../../../api/openapi.yaml")).unwrap_or_else(|error| panic!("{error}"))
    });
    let Some(path) = path.strip_prefix(prefix).filter(|path| !path.starts_with("/openapi.")) else { return };
    let path = format!("/_allauth{path}");
    let checked = CONTRACT.check(method.as_str(), &path, reply.status, &reply.json);
    assert!(checked.is_ok(), "{}\nin {reply}", checked.err().unwrap_or_default());
}

fn parse(settings: &str) -> toml::Table {
    settings.parse().unwrap_or_else(|error| panic!("{error}in {settings}"))
}

/// Lays `above` over `below`; tables are merged, everything else is replaced.
fn merge(below: &mut toml::Table, above: toml::Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => merge(below, above),
            (_, value) => drop(below.insert(key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::on_both;

    #[test]
    fn a_server_starts_and_its_answers_are_checked() {
        on_both(async |backend| {
            let server = TestApp::start(backend, "account.login_methods = ['email']").await;
            for mut client in [server.app(), server.browser()] {
                let reply = client.get("config").await.expect(200);
                assert_eq!(reply.data()["account"]["login_methods"][0], "email");
                client.get("auth/session").await.expect(401);
            }
        });
    }

    #[test]
    fn a_tests_settings_lie_over_the_common_ones() {
        let mut settings = parse("[a]\nx = 1\ny = { z = 1 }");
        merge(&mut settings, parse("a.x = 2\na.y.w = 3\nb = 4"));
        assert_eq!(settings, parse("b = 4\n[a]\nx = 2\ny = { z = 1, w = 3 }"));
    }
}
