//! Putting the house together.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use sqlx::{PgPool, SqlitePool};
use tokio::sync::watch;
use url::Url;
use vestibule_base::config::{Config, SmtpTls};
use vestibule_base::delivery::{Delivery, DeliveryError, Settings, SmsWebhook, TlsMode, Transport};
use vestibule_base::outbound::{Outbound, OutboundError};
use vestibule_base::security::jwt::KeyError;
use vestibule_base::security::password::{Argon2Params, HashPool, PoolError};
use vestibule_base::security::webauthn::RelyingParty;
use vestibule_base::security::{Clock, Keyring, Purpose, SigningKeys, SystemClock};
use vestibule_base::storage::{Db, StorageError, instances};
use vestibule_base::webhooks::Webhooks as Receivers;
use vestibule_core::event::Event;
use vestibule_core::hooks::{HookSettingError, Hooks, HttpHooks};
use vestibule_core::social::tokens as social_tokens;
use vestibule_core::{Ctx, Fault, admin, mfa};
use vestibule_providers::{Providers, World};

use crate::events::{Events, Webhooks};
use crate::http::{self, Callers};
use crate::users::{Sessions, Users};

/// A running Vestibule. Clones are one.
#[derive(Debug, Clone)]
pub struct Vestibule {
    pub(crate) ctx: Arc<Ctx>,
    pub(crate) callers: Arc<Callers>,
}

/// Why it cannot start. One line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No secret key.
    #[error("server.secret_key: not set; put at least 32 random characters there")]
    NoSecretKey,
    /// The database was used with a key that is none of these.
    #[error(
        "server.secret_key: not the one that this database was used with last. All instances need the same key; a former one \
         belongs in server.secret_key_fallbacks. If it is lost, vestibule keys adopt goes on without it"
    )]
    OtherSecretKey,
    /// The database.
    #[error("database: {0}")]
    Storage(#[from] StorageError),
    /// Messages.
    #[error("{0}")]
    Delivery(#[from] DeliveryError),
    /// The keys that sign tokens.
    #[error("{0}")]
    Signing(#[from] KeyError),
    /// Password hashing.
    #[error("passwords.argon2: {0}")]
    Passwords(#[from] PoolError),
    /// The HTTP client.
    #[error("{0}")]
    Outbound(#[from] OutboundError),
    /// The service that is asked.
    #[error("{0}")]
    Hooks(#[from] HookSettingError),
    /// The apps at third parties.
    #[error("{}", .0.join("\n"))]
    Providers(Vec<String>),
    /// The services that are told of events.
    #[error("{}", .0.join("\n"))]
    Webhooks(Vec<String>),
}

/// Makes a [`Vestibule`].
#[derive(Debug)]
pub struct Builder {
    config: Config,
    clock: Arc<dyn Clock>,
    outbound: Option<Outbound>,
    database: Option<Db>,
    hooks: Option<Arc<dyn Hooks>>,
    adopts: bool,
}

impl Vestibule {
    /// Begins with settings.
    #[must_use]
    pub fn builder(config: Config) -> Builder {
        Builder {
            config,
            clock: Arc::new(SystemClock),
            outbound: None,
            database: None,
            hooks: None,
            adopts: false,
        }
    }

    /// The API and all else that is served to the public.
    pub fn router(&self) -> axum::Router {
        http::router(&self.callers)
    }

    /// Sends what is queued and clears away what has expired, until `stop` says true.
    pub async fn background(&self, stop: watch::Receiver<bool>) {
        let ctx = &self.ctx;
        let delivering = ctx.delivery.run(ctx.db.clone(), Arc::clone(&ctx.clock), stop.clone());
        let posting = ctx.webhooks.run(ctx.db.clone(), Arc::clone(&ctx.clock), stop.clone());
        let sweeping = Box::pin(self.sweep(stop));
        tokio::join!(delivering, posting, sweeping);
    }

    /// Sends what is queued, now.
    ///
    /// # Errors
    /// [`StorageError`] if the queue cannot be read.
    pub async fn deliver_now(&self) -> Result<usize, StorageError> {
        let ctx = &self.ctx;
        let sent = ctx.delivery.deliver_due(&ctx.db, ctx.clock.now()).await?;
        Ok(sent + ctx.webhooks.deliver_due(&ctx.db, &ctx.clock).await?)
    }

    /// Encrypts with the present secret key what was encrypted with a former one, so that this one can be taken out of
    /// the settings. Gives how many secrets there are.
    ///
    /// # Errors
    /// [`Fault`] if the database does not answer, or one of them opens with none of the keys.
    pub async fn reseal(&self) -> Result<usize, Fault> {
        Ok(mfa::reseal(&self.ctx).await? + social_tokens::reseal(&self.ctx).await?)
    }

    /// The database.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.ctx.db
    }

    /// What an operator does with accounts.
    #[must_use]
    pub fn users(&self) -> Users<'_> {
        Users { ctx: &self.ctx }
    }

    /// What an operator does with sessions.
    #[must_use]
    pub fn sessions(&self) -> Sessions<'_> {
        Sessions { ctx: &self.ctx }
    }

    /// Counts a wrong token that somebody at `address` showed to an API for operators, and logs it; `false` if their
    /// network has shown too many.
    ///
    /// # Errors
    /// [`Fault`] if it cannot be counted.
    pub async fn refused_operator(&self, address: IpAddr) -> Result<bool, Fault> {
        let network = self.callers.network(address);
        admin::refused(&self.ctx, &address.to_string(), &network).await
    }

    /// What has happened to accounts.
    #[must_use]
    pub fn events(&self) -> Events<'_> {
        Events { ctx: &self.ctx }
    }

    /// The services that are told of it.
    #[must_use]
    pub fn webhooks(&self) -> Webhooks<'_> {
        Webhooks { ctx: &self.ctx }
    }

    /// Closes the database after its statements have ended.
    pub async fn close(&self) {
        self.ctx.db.close().await;
    }
}

impl Builder {
    /// Takes the time from `clock`.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Goes on with the secret key of the settings, even if the database was used with another one: what that one protected
    /// is lost.
    #[must_use]
    pub fn adopt_secret_key(mut self) -> Self {
        self.adopts = true;
        self
    }

    /// Calls others by `outbound`: tests answer for them.
    #[must_use]
    pub fn outbound(mut self, outbound: Outbound) -> Self {
        self.outbound = Some(outbound);
        self
    }

    /// Shares the application's pool of connections to PostgreSQL, in place of the setting `database.url`. Vestibule's tables
    /// come into the schema that the pool's connections see, and yours may refer to them: `REFERENCES users (id)`.
    #[must_use]
    pub fn postgres(mut self, pool: PgPool) -> Self {
        self.database = Some(Db::of_postgres(pool));
        self
    }

    /// Shares the application's pool of connections to a SQLite file, likewise. Let the pool have several connections, WAL
    /// (`SqliteJournalMode::Wal`), a `busy_timeout`, and foreign keys on, as they are in sqlx unless switched off. What an
    /// answer has acknowledged survives a loss of power if it has `SqliteSynchronous::Full`, too.
    #[must_use]
    pub fn sqlite(mut self, pool: SqlitePool) -> Self {
        self.database = Some(Db::of_sqlite(pool));
        self
    }

    /// Asks `hooks` before people sign up and log in, and for what clients are told of them; in place of the service that
    /// `[hooks]` names, if there is one.
    #[must_use]
    pub fn hooks(mut self, hooks: impl Hooks + 'static) -> Self {
        self.hooks = Some(Arc::new(hooks));
        self
    }

    /// Opens the database, brings its schema up to date, and puts everything together.
    ///
    /// # Errors
    /// [`BuildError`].
    pub async fn build(self) -> Result<Vestibule, BuildError> {
        // Settings are large, and futures that hold them are as well.
        Box::pin(self.put_together()).await
    }

    async fn put_together(self) -> Result<Vestibule, BuildError> {
        let config = self.config;
        let secret = config.server.secret_key.as_ref().ok_or(BuildError::NoSecretKey)?;
        let fallbacks: Vec<&str> =
            config.server.secret_key_fallbacks.iter().map(ExposeSecret::expose_secret).collect();
        let keyring = Keyring::new(secret.expose_secret(), &fallbacks);
        let signing = SigningKeys::of(&config)?;
        let db = match self.database {
            Some(shared) => shared,
            None => Db::open(config.database_url().expose_secret(), config.database.max_connections).await?,
        };
        db.migrate().await?;
        agree(&db, &keyring, self.adopts).await?;
        let delivery = Delivery::new(delivery_settings(&config), keyring.clone())?;
        let argon2 = &config.passwords.argon2;
        let params = Argon2Params {
            memory_kib: argon2.memory_kib,
            iterations: argon2.iterations,
            parallelism: argon2.parallelism,
        };
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers = config.server.hash_workers.map_or(cores, |workers| workers as usize);
        let hashes = HashPool::new(params, workers, config.server.hash_queue as usize)?;
        let outbound = self.outbound.map_or_else(Outbound::new, Ok)?;
        let clock = self.clock;
        let providers = providers(&config, &outbound, &clock)?;
        let webhooks = webhooks(&config, &outbound)?;
        let hooks = match self.hooks {
            Some(hooks) => Some(hooks),
            None => HttpHooks::new(&config.hooks, &outbound, Arc::clone(&clock))?
                .map(|hooks| Arc::new(hooks) as Arc<dyn Hooks>),
        };
        let relying_party = RelyingParty::new(
            &config.webauthn_rp_id(),
            &config.webauthn_rp_name(),
            config.webauthn_origins(),
        );
        let ctx = Ctx {
            config,
            clock,
            keyring,
            signing,
            relying_party,
            db,
            delivery,
            hashes,
            outbound,
            providers,
            webhooks,
            hooks,
        };
        let ctx = Arc::new(ctx);
        Ok(Vestibule { callers: Arc::new(Callers::new(Arc::clone(&ctx))), ctx })
    }
}

/// For programs that work on the database without a [`Vestibule`]: whether the key of `keyring` is the one that `db`, which
/// has been migrated, was used with last; or that one is a former key of `keyring`, whose present one then takes its place.
/// In a database that was not used yet, it is noted as the one to use. Ask before anything is sealed.
///
/// # Errors
/// [`BuildError::OtherSecretKey`], or [`BuildError::Storage`].
pub async fn check_secret_key(db: &Db, keyring: &Keyring) -> Result<(), BuildError> {
    agree(db, keyring, false).await
}

/// Holds the secret key against the one that the database was used with last. An instance with another one would log out
/// whoever another instance has logged in, and seal what the others cannot open.
async fn agree(db: &Db, keyring: &Keyring, adopts: bool) -> Result<(), BuildError> {
    let present = keyring.mac(Purpose::KeyMark, b"");
    let mut tx = db.write().await?;
    let found = instances::key_mark(&mut tx, &present).await?;
    if found != present {
        if !adopts && !keyring.verify(Purpose::KeyMark, b"", &found) {
            return Err(BuildError::OtherSecretKey);
        }
        instances::set_key_mark(&mut tx, &present).await?;
    }
    Ok(tx.commit().await?)
}

/// Whether the apps at third parties can be used as they are configured.
///
/// # Errors
/// [`BuildError::Providers`], with a line for each thing that is wrong.
pub fn check_providers(config: &Config) -> Result<(), BuildError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    providers(config, &Outbound::new()?, &clock).map(drop)
}

/// Whether the services that are told of events can be told as they are configured.
///
/// # Errors
/// [`BuildError::Webhooks`], with a line for each thing that is wrong.
pub fn check_webhooks(config: &Config) -> Result<(), BuildError> {
    webhooks(config, &Outbound::new()?).map(drop)
}

fn webhooks(config: &Config, outbound: &Outbound) -> Result<Receivers, BuildError> {
    let settings = &config.events.webhooks;
    let unknown = settings.iter().flat_map(|webhook| {
        let wrong = webhook.events.iter().filter_map(|event| event.parse::<Event>().err());
        wrong.map(|error| format!("events.webhooks: {}: events: {error}", webhook.name))
    });
    let mut wrong: Vec<String> = unknown.collect();
    match Receivers::new(settings, outbound) {
        Ok(hooks) if wrong.is_empty() => return Ok(hooks),
        Ok(_) => {}
        Err(more) => wrong.extend(more),
    }
    Err(BuildError::Webhooks(wrong))
}

fn providers(config: &Config, outbound: &Outbound, clock: &Arc<dyn Clock>) -> Result<Providers, BuildError> {
    let social = &config.socialaccount;
    let wrong = |line: String| BuildError::Providers(vec![line]);
    let catalogue = social.catalogue.as_ref().map(std::fs::read_to_string).transpose();
    let catalogue = catalogue.map_err(|error| wrong(format!("socialaccount.catalogue: {error}")))?;
    let site = Url::parse(config.server.public_url.trim_end_matches('/'));
    let world = World {
        outbound: outbound.clone(),
        clock: Arc::clone(clock),
        site: site.map_err(|error| wrong(format!("server.public_url: {error}")))?,
        patience: Duration::from_secs(u64::try_from(social.requests_timeout).unwrap_or_default()),
        query_email: config.queries_email(),
        store_tokens: social.store_tokens,
        oidc_prefix: social.openid_connect_url_prefix.clone(),
    };
    Providers::new(&social.apps, catalogue.as_deref(), world).map_err(BuildError::Providers)
}

fn delivery_settings(config: &Config) -> Settings {
    let email = &config.email;
    let transport = match &email.host {
        None => Transport::Mailbox,
        Some(host) => Transport::Smtp {
            host: host.clone(),
            port: email.port(),
            username: email.username.clone(),
            password: email.password.clone().unwrap_or_default(),
            tls: match email.tls() {
                SmtpTls::None => TlsMode::None,
                SmtpTls::StartTls => TlsMode::StartTls,
                SmtpTls::Tls => TlsMode::Tls,
            },
            timeout_s: u64::try_from(email.timeout).unwrap_or(10),
        },
    };
    let webhook = |url: &String| SmsWebhook {
        url: url.clone(),
        secret: config.sms.secret.clone(),
        timeout_s: u64::try_from(config.sms.timeout).unwrap_or(5),
    };
    Settings {
        transport,
        from_email: email.from_email.clone(),
        subject_prefix: email.subject_prefix.clone(),
        template_dir: email.template_dir.clone(),
        sms: config.sms.webhook_url.as_ref().map(webhook),
        site_name: config.host().unwrap_or_default(),
    }
}
