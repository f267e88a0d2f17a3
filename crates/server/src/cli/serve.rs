//! `vestibule serve`: opens everything, answers until it is told to stop, and leaves in good order.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use vestibule_base::config::Config;

use super::{Failure, Settings, furnished};
use crate::traces::{self, Exporter};
use crate::{admin, listener, metrics, output, portal, telemetry};
use vestibule::Vestibule;

/// Why it does not serve.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServeError {
    #[error("cannot listen on {address} ({setting}): {hint}")]
    Listen { address: String, setting: &'static str, hint: String },
    #[error("cannot wait for signals: {0}")]
    Signals(io::Error),
    #[error("the background work ended by itself: see the log")]
    Background,
}

pub(super) async fn run(settings: Settings) -> Result<(), Failure> {
    let (config, doubts) = settings.judged()?;
    // Logs are set up along with traces.
    let traced = config.telemetry.otlp_endpoint.is_some();
    let (collector, collected) = traced.then(traces::collector).unzip();
    telemetry::start_with("info", collector);
    for doubt in doubts {
        tracing::warn!("{doubt}");
    }
    let config = furnished(config)?;
    let exporter = match (collected, &config.telemetry.otlp_endpoint) {
        (Some(collected), Some(endpoint)) => Some(Exporter::new(collected, endpoint, &config.telemetry)?),
        _ => None,
    };
    // First, so that a second instance on the same port has not touched the database.
    let public = bind(&config.server.listen, "server.listen").await?;
    let private = match &config.server.metrics_listen {
        Some(address) => Some(bind(address, "server.metrics_listen").await?),
        None => None,
    };
    let office = match &config.admin.listen {
        Some(address) => Some((bind(address, "admin.listen").await?, config.admin.clone())),
        None => None,
    };
    let patience = Duration::from_secs(u64::try_from(config.server.shutdown_timeout).unwrap_or_default());
    let greeting = greeting(&config, public.local_addr().ok());
    let mut signals = Signals::new().map_err(ServeError::Signals)?;

    let portal = portal::router(&config)?;
    let sampler = traced.then(|| traces::Sampler::new(&config));
    let vestibule = Vestibule::builder(config).build().await?;
    let (stop, stopping) = watch::channel(false);
    let mut background = tokio::spawn({
        let (vestibule, stopping) = (vestibule.clone(), stopping.clone());
        async move { vestibule.background(stopping).await }
    });
    let mut router = vestibule.router();
    if let Some(portal) = portal {
        router = router.merge(portal);
    }
    if let Some(sampler) = sampler {
        router = traces::follow(router, sampler);
    }
    let (flush, flushing) = oneshot::channel();
    let exporting = exporter.map(|exporter| tokio::spawn(exporter.run(flushing)));
    let mut servers = tokio::task::JoinSet::new();
    if let Some(private) = private {
        let (measured, numbers) = metrics::measure(router);
        router = measured;
        servers.spawn(listener::serve(private, numbers, stopping.clone(), patience));
    }
    if let Some((office, settings)) = office {
        let router = admin::router(&vestibule, &settings);
        servers.spawn(listener::serve(office, router, stopping.clone(), patience));
    }
    servers.spawn(listener::serve(public, router, stopping, patience));
    output::line(greeting);

    let result = tokio::select! {
        signal = signals.next() => {
            tracing::info!(signal, "stopping");
            Ok(())
        }
        _ = &mut background => Err(ServeError::Background.into()),
    };
    let _ = stop.send(true);
    let leaving = async {
        while servers.join_next().await.is_some() {}
        if !background.is_finished() {
            let _ = background.await;
        }
        vestibule.close().await;
        let _ = flush.send(());
        if let Some(exporting) = exporting {
            let _ = exporting.await;
        }
    };
    // Only the key of a person counts as asking twice: supervisors send SIGTERM to the process and to its group.
    tokio::select! {
        () = leaving => {}
        _ = tokio::signal::ctrl_c() => tracing::warn!("stopped at once, as asked again"),
    }
    result
}

async fn bind(address: &str, setting: &'static str) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => {
                format!("something listens there already. Stop it, or set {setting} to another address")
            }
            io::ErrorKind::PermissionDenied => {
                format!("not permitted (ports below 1024 need a privilege). Set {setting} to another port")
            }
            io::ErrorKind::AddrNotAvailable => {
                format!("this machine does not have that address. Set {setting} to one that it has")
            }
            _ => error.to_string(),
        };
        ServeError::Listen { address: address.to_owned(), setting, hint }
    })
}

fn greeting(config: &Config, bound: Option<SocketAddr>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let url = &config.server.public_url;
    // Said only where the URL does not say it already.
    let address = match bound {
        Some(bound) if !url.ends_with(&format!(":{}", bound.port())) => format!("at {bound}, "),
        _ => String::new(),
    };
    let database = database(config.database_url().expose_secret());
    let mail = if config.email.is_development() {
        format!(", development mailbox at {url}/_dev/mail")
    } else {
        String::new()
    };
    format!("Vestibule {version} listening on {url} ({address}{database}{mail})")
}

/// The database for people: without user, password and parameters.
fn database(url: &str) -> String {
    match url.strip_prefix("sqlite:") {
        Some(path) => format!("SQLite {}", path.trim_start_matches("//")),
        None => {
            let place = url
                .rsplit_once('@')
                .map_or_else(|| url.split_once("://").map_or("", |(_, place)| place), |(_, place)| place);
            format!("PostgreSQL {}", place.split('?').next().unwrap_or_default())
        }
    }
}

/// What ends the process in good order.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        #[cfg(unix)]
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            #[cfg(unix)]
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one.
    async fn next(&mut self) -> &'static str {
        #[cfg(unix)]
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = tokio::signal::ctrl_c() => "SIGINT",
        }
        #[cfg(not(unix))]
        {
            let _ = tokio::signal::ctrl_c().await;
            "CTRL-C"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x3_the_greeting_holds_no_password() {
        for (url, shown) in [
            ("sqlite://vestibule-data/vestibule.sqlite3", "SQLite vestibule-data/vestibule.sqlite3"),
            ("sqlite:///var/lib/v.db", "SQLite /var/lib/v.db"),
            (
                "postgres://me:s3cr@t@db.example.org:5432/auth?sslmode=require",
                "PostgreSQL db.example.org:5432/auth",
            ),
            ("postgres:///auth?host=/run/pg&password=s3cret", "PostgreSQL /auth"),
        ] {
            assert_eq!(database(url), shown);
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_its_setting() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let said = bind(&address, "server.listen").await.unwrap_err().to_string();
        assert_eq!(
            said,
            format!(
                "cannot listen on {address} (server.listen): something listens there already. Stop it, or set server.listen to another address"
            )
        );
    }
}
