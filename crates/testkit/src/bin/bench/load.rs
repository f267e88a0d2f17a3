//! The load generator: keep-alive HTTP/1.1 connections that each send the next request when the last is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Error;

/// What a connection sends: given its number, counted from 0, one request after the other.
pub(crate) type Make = Arc<dyn Fn(usize) -> Request<Full<Bytes>> + Send + Sync>;

/// What a connection learns from an answer, for its next request.
pub(crate) type Learn = Arc<dyn Fn(usize, &Answer) + Send + Sync>;

/// A load on one server.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) make: Make,
    /// The status of each answer; another one makes the measurement worthless and ends it.
    pub(crate) status: StatusCode,
    pub(crate) learn: Option<Learn>,
}

/// What was measured.
#[derive(Debug, Default, Clone)]
pub(crate) struct Sample {
    /// From the first request to the last answer.
    elapsed: Duration,
    /// One for each answer, in no order.
    latencies: Vec<Duration>,
}

impl Load {
    /// Sends for a time; requests under way at its end are awaited and counted.
    pub(crate) async fn run(&self, time: Duration) -> Result<Sample, Error> {
        let mut connections = Vec::new();
        for _ in 0..self.connections {
            connections.push(connect(self.address).await?);
        }
        let start = Instant::now();
        let mut running = JoinSet::new();
        for (number, mut connection) in connections.into_iter().enumerate() {
            let (make, expected, learn) = (Arc::clone(&self.make), self.status, self.learn.clone());
            running.spawn(async move {
                let mut latencies = Vec::new();
                while start.elapsed() < time {
                    let request = make(number);
                    let sent = Instant::now();
                    let answer = send(&mut connection, request).await?;
                    latencies.push(sent.elapsed());
                    answer.must_be(expected)?;
                    if let Some(learn) = &learn {
                        learn(number, &answer);
                    }
                }
                Ok::<_, Error>(latencies)
            });
        }
        let mut latencies = Vec::new();
        while let Some(finished) = running.join_next().await {
            latencies.extend(finished.map_err(std::io::Error::other)??);
        }
        Ok(Sample::of(latencies, start.elapsed()))
    }
}

impl Sample {
    /// Of answers that took so long each, and so long together.
    pub(crate) fn of(latencies: Vec<Duration>, elapsed: Duration) -> Self {
        Self { elapsed, latencies }
    }

    /// How many answers there were.
    pub(crate) fn count(&self) -> usize {
        self.latencies.len()
    }

    /// Answers per second.
    pub(crate) fn rate(&self) -> f64 {
        self.count() as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency, in milliseconds, that this share of the answers did not exceed.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let at = (sorted.len() as f64 * share).ceil() as usize;
        sorted.get(at.saturating_sub(1)).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1000.0)
    }

    /// Adds what another round has measured.
    pub(crate) fn add(&mut self, other: Self) {
        self.elapsed += other.elapsed;
        self.latencies.extend(other.latencies);
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn must_be(&self, status: StatusCode) -> Result<(), Error> {
        if self.status == status {
            return Ok(());
        }
        let body = String::from_utf8_lossy(&self.body).into_owned();
        Err(Error::Answer { expected: status, got: self.status, body })
    }
}

/// One request on a connection of its own.
pub(crate) async fn once(address: SocketAddr, request: Request<Full<Bytes>>) -> Result<Answer, Error> {
    send(&mut connect(address).await?, request).await
}

/// A request with an empty body, or a JSON one.
pub(crate) fn request(method: Method, path: &str, json: Option<String>) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    *request.method_mut() = method;
    // Paths are this program's own.
    *request.uri_mut() = path.parse().unwrap_or_default();
    request.headers_mut().insert(HOST, hyper::header::HeaderValue::from_static("127.0.0.1"));
    if let Some(json) = json {
        request
            .headers_mut()
            .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
        *request.body_mut() = Full::from(json);
    }
    request
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>, Error> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn send(
    connection: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Answer, Error> {
    connection.ready().await?;
    let (head, body) = connection.send_request(request).await?.into_parts();
    Ok(Answer { status: head.status, headers: head.headers, body: body.collect().await?.to_bytes() })
}
