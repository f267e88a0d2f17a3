//! Three servers over one PostgreSQL of their own, and before them a balancer: each connection goes to the next server,
//! to one that says it is ready while there is one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use vestibule_testkit::cluster::{Cluster, Durability};
use vestibule_testkit::database::Backend;

use crate::cli::{Server, vestibule};

pub(super) const INSTANCES: usize = 3;
/// What the servers say on their standard errors; shown if the test fails.
const LOG: &str = "vestibule.log";

pub(super) struct House {
    pub(super) cluster: Cluster,
    pub(super) database: String,
    /// Where the balancer is.
    pub(super) door: SocketAddr,
    instances: Vec<Option<Server>>,
    posts: Posts,
    over: Arc<AtomicBool>,
    folder: TempDir,
}

impl House {
    /// All start at the same moment, with an empty database. Nothing without PostgreSQL.
    pub(super) fn start(settings: &str) -> Option<Self> {
        if !Backend::all().contains(&Backend::Postgres) {
            return None;
        }
        let cluster = Cluster::start(Durability::Durable).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let database = runtime.block_on(cluster.create_empty("instances")).unwrap();
        let folder = TempDir::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let door = listener.local_addr().unwrap();
        let mut house = Self {
            cluster,
            database,
            door,
            instances: Vec::new(),
            posts: Posts::default(),
            over: Arc::default(),
            folder,
        };
        house.configure(settings);
        let starting: Vec<_> = (0..INSTANCES)
            .map(|_| {
                let mut command = house.command();
                thread::spawn(move || Server::start_as(&mut command))
            })
            .collect();
        house.instances = starting.into_iter().map(|server| Some(server.join().unwrap())).collect();
        *house.posts.0.lock().unwrap() = house.addresses().into_iter().map(|at| (at, true)).collect();
        let (posts, over) = (house.posts.clone(), Arc::clone(&house.over));
        thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                posts.look();
                thread::sleep(Duration::from_millis(50));
            }
        });
        let (posts, over) = (house.posts.clone(), Arc::clone(&house.over));
        thread::spawn(move || balance(&listener, &posts, &over));
        Some(house)
    }

    /// Settings of whoever starts from now on.
    pub(super) fn configure(&self, settings: &str) {
        let text = format!(
            "database.url = {:?}\n\
             passwords.argon2 = {{ memory_kib = 64, iterations = 1, parallelism = 1 }}\n\
             {settings}",
            self.database
        );
        fs::write(self.folder.path().join("vestibule.toml"), text).unwrap();
    }

    fn command(&self) -> Command {
        let log = OpenOptions::new().create(true).append(true).open(self.folder.path().join(LOG)).unwrap();
        let mut command = vestibule(self.folder.path(), &["serve"]);
        command.stderr(log);
        command
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self, instance: usize) {
        drop(self.instances[instance].take());
    }

    /// SIGTERM, and waits for the end.
    pub(super) fn stop(&mut self, instance: usize) {
        let mut server = self.instances[instance].take().unwrap();
        let id = server.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert!(server.process.wait().unwrap().success());
    }

    /// One that is gone comes back, at another address.
    pub(super) fn start_again(&mut self, instance: usize) {
        let server = Server::start_as(&mut self.command());
        self.posts.0.lock().unwrap()[instance] = (server.address, true);
        self.instances[instance] = Some(server);
    }

    /// One more, with other settings and a folder of its own, that is expected not to start.
    pub(super) fn refuse(&self, settings: &str) -> Output {
        let folder = TempDir::new().unwrap();
        let text = format!("database.url = {:?}\nserver.listen = '127.0.0.1:0'\n{settings}", self.database);
        fs::write(folder.path().join("vestibule.toml"), text).unwrap();
        vestibule(folder.path(), &["serve"]).stdin(Stdio::null()).output().unwrap()
    }

    /// Where those are that run.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.instances.iter().flatten().map(|server| server.address).collect()
    }

    /// How many of them say that they are ready.
    pub(super) fn ready(&self) -> usize {
        self.addresses().into_iter().filter(|address| is_ready(*address)).count()
    }
}

impl Drop for House {
    #[expect(
        clippy::print_stderr,
        reason = "the test runner shows it under the name of the test that failed"
    )]
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Lets go of the door.
        let _ = TcpStream::connect(self.door);
        if thread::panicking() {
            let mut said = String::new();
            let log = File::open(self.folder.path().join(LOG));
            let _ = log.and_then(|mut log| log.read_to_string(&mut said));
            let from = said.len().saturating_sub(20_000);
            eprintln!("{LOG}:\n{}", said.get(from..).unwrap_or(&said));
        }
    }
}

/// The servers, and whether each was ready at the last look.
#[derive(Clone, Default)]
struct Posts(Arc<Mutex<Vec<(SocketAddr, bool)>>>);

impl Posts {
    fn look(&self) {
        let seen = self.0.lock().unwrap().clone();
        for (at, (address, _)) in seen.into_iter().enumerate() {
            let ready = is_ready(address);
            let mut posts = self.0.lock().unwrap();
            // Unless another has taken its place meanwhile.
            if posts[at].0 == address {
                posts[at].1 = ready;
            }
        }
    }

    /// Beginning with `turn`; those that are not ready last.
    fn order(&self, turn: usize) -> Vec<SocketAddr> {
        let mut posts = self.0.lock().unwrap().clone();
        let half = turn % posts.len();
        posts.rotate_left(half);
        posts.sort_by_key(|(_, ready)| !ready);
        posts.into_iter().map(|(address, _)| address).collect()
    }
}

fn is_ready(address: SocketAddr) -> bool {
    let ask = || -> io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(6)))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}

fn balance(listener: &TcpListener, posts: &Posts, over: &AtomicBool) {
    for (turn, client) in listener.incoming().flatten().enumerate() {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let order = posts.order(turn);
        thread::spawn(move || lead(&client, &order));
    }
}

/// Leads a client to the first server that takes it, until one of both closes. What was sent is never sent twice.
fn lead(client: &TcpStream, order: &[SocketAddr]) {
    let Some(server) = order.iter().find_map(|address| TcpStream::connect(address).ok()) else { return };
    thread::scope(|scope| {
        scope.spawn(|| copy(client, &server, Shutdown::Write));
        copy(&server, client, Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    });
}

fn copy(mut from: &TcpStream, mut to: &TcpStream, end: Shutdown) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(end);
}
