//! The wire to a database, which can be cut, go silent, and be mended.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A way to PostgreSQL in the test's hands.
pub(crate) struct Wire {
    /// The database at the other end.
    pub(crate) url: String,
    port: u16,
    socket: String,
    silent: watch::Sender<bool>,
    listening: JoinHandle<()>,
}

impl Wire {
    /// Leads to the database of a test cluster.
    pub(crate) async fn to(url: &str) -> Self {
        let (place, folder) = url.split_once("?host=").unwrap();
        let socket = format!("{folder}/.s.PGSQL.5432");
        let name = place.rsplit('/').next().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("postgres://vestibule@127.0.0.1:{port}/{name}?sslmode=disable");
        let silent = watch::Sender::new(false);
        let listening = tokio::spawn(forward(listener, socket.clone(), silent.subscribe()));
        Self { url, port, socket, silent, listening }
    }

    /// Ends all connections and refuses new ones.
    pub(crate) async fn cut(&mut self) {
        self.listening.abort();
        let _ = (&mut self.listening).await;
    }

    /// Lets nothing through, in either direction, and closes nothing.
    pub(crate) fn silence(&self) {
        self.silent.send_replace(true);
    }

    /// Takes connections again after [`Wire::cut`].
    pub(crate) async fn mend(&mut self) {
        self.silent.send_replace(false);
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.unwrap();
        self.listening = tokio::spawn(forward(listener, self.socket.clone(), self.silent.subscribe()));
    }
}

/// Ends its connections when it is aborted: they are tasks of its own.
async fn forward(listener: TcpListener, socket: String, silent: watch::Receiver<bool>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        let (socket, mut silent) = (socket.clone(), silent.clone());
        connections.spawn(async move {
            if *silent.borrow() {
                return std::future::pending().await;
            }
            let Ok(mut server) = UnixStream::connect(socket).await else { return };
            let silence = async { drop(silent.wait_for(|silent| *silent).await) };
            let fell_silent = tokio::select! {
                _ = copy_bidirectional(&mut client, &mut server) => false,
                () = silence => true,
            };
            if fell_silent {
                std::future::pending().await
            }
        });
    }
}
