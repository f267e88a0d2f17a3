//! Serves a router on a socket: HTTP/1.1 and HTTP/2 without TLS, with the limits that axum's own `serve` lacks.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tower::Service;

/// How long a new connection may take to bring the head of its first request.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
/// How long a connection may go without a further request, before it is closed at some time within as much again:
/// whether it rests, sends a request byte by byte, or does not read its answer. Longer than the idle time of common
/// proxies (60 s), which would otherwise meet a connection that is just being closed, and than any answer takes.
const NEXT_REQUEST: Duration = Duration::from_secs(75);
/// Bytes buffered per connection, and so the longest head of a request.
const BUFFER: usize = 32 * 1024;
/// Requests at once on one HTTP/2 connection.
const STREAMS: u32 = 128;
/// Connections at once; more wait in the kernel's queue. Bounds memory to some hundred megabytes at the worst.
const CONNECTIONS: usize = 8192;
/// File descriptors left to the database, mails and logs.
const RESERVED: usize = 128;

/// Serves `router` until `stop` turns true (or its sender is gone), then lets the requests under way end, for
/// `patience` at most. Every request carries the peer's address as [`ConnectInfo`].
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    mut stop: watch::Receiver<bool>,
    patience: Duration,
) {
    let limit = connection_limit();
    let slots = Arc::new(Semaphore::new(limit));
    let builder = Arc::new(builder());
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Some((stream, peer, slot)) = accepted else { continue };
        let connection = connection(stream, peer, router.clone(), Arc::clone(&builder), stop.clone());
        tokio::spawn(async move {
            connection.await;
            drop(slot);
        });
    }
    drop(listener);
    // All slots are free again when the last connection has ended.
    let all = u32::try_from(limit).unwrap_or(u32::MAX);
    if tokio::time::timeout(patience, slots.acquire_many(all)).await.is_err() {
        tracing::warn!(connections = limit - slots.available_permits(), "connections cut off at the stop");
    }
}

type Slot = tokio::sync::OwnedSemaphorePermit;

/// The next connection, once there is room for it. `None` when it failed before it was one.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> Option<(TcpStream, SocketAddr, Slot)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, slot)),
        Err(error) => {
            if !is_of_the_peer(&error) {
                tracing::warn!(%error, "cannot accept a connection");
                // Most likely out of file descriptors: those come back as connections end.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            None
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    builder: Arc<Builder<TokioExecutor>>,
    mut stop: watch::Receiver<bool>,
) {
    // Answers are small and complete: waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let requests = AtomicUsize::new(0);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        requests.fetch_add(1, Ordering::Relaxed);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().call(request)
    });
    let mut served = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut look = std::pin::pin!(tokio::time::sleep(FIRST_REQUEST));
    let (mut seen, mut stopping) = (0, false);
    loop {
        tokio::select! {
            biased; // nearly always it is the connection that woke the task
            result = served.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(%peer, error, "connection ended");
                }
                break;
            }
            () = look.as_mut() => {
                let count = requests.load(Ordering::Relaxed);
                // A request that began before the last look and is still under way has stalled.
                if count == seen {
                    tracing::debug!(%peer, count, "connection closed: it brought no further request");
                    break;
                }
                seen = count;
                look.as_mut().reset(Instant::now() + NEXT_REQUEST);
            }
            _ = stop.wait_for(|stop| *stop), if !stopping => {
                stopping = true;
                served.as_mut().graceful_shutdown();
            }
        }
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // hyper's own timeout for heads sets a timer for every request; `connection` looks once in a long while instead.
    builder.http1().header_read_timeout(None).max_buf_size(BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(BUFFER as u32)
        .max_send_buf_size(BUFFER)
        // A peer that vanished without a word is noticed.
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}

fn connection_limit() -> usize {
    open_files().map_or(CONNECTIONS, |files| files.saturating_sub(RESERVED).clamp(16, CONNECTIONS))
}

/// How many files this process may have open, where the system says so in `/proc`.
fn open_files() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
