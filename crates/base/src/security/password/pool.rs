//! Hashing on threads of its own: so many at once, so many waiting, and no more. Others never wait for it.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::Span;

use super::hasher::Hasher;
use super::params::{Argon2Params, BadParams};
use super::{Password, PasswordHash};
use crate::trace;

/// How long a thread without work keeps its memory. A storm pays for memory once, a quiet server holds none.
const KEEP_MEMORY: Duration = Duration::from_secs(1);

/// Threads that hash, and the line before them. Ends its threads when dropped.
pub struct HashPool {
    shared: Arc<Shared>,
}

/// Why there is no hash and no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// The line is full: try again later.
    #[error("too many passwords are being checked at this moment")]
    Busy,
    /// No memory, or no random bytes.
    #[error("a password could not be hashed")]
    Failed,
}

/// Why a pool cannot start.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// Its parameters are out of bounds.
    #[error(transparent)]
    Params(#[from] BadParams),
    /// The system gave no thread.
    #[error("no thread for hashing passwords")]
    Thread(#[source] std::io::Error),
}

impl HashPool {
    /// Starts `threads` threads (at least one), before which `queue` requests may wait. Working, each takes as much
    /// memory as `params` say; new hashes are made with these.
    ///
    /// # Errors
    /// [`PoolError`] for parameters out of bounds, or if a thread cannot be started.
    pub fn new(params: Argon2Params, threads: usize, queue: usize) -> Result<Self, PoolError> {
        params.check()?;
        let threads = threads.max(1);
        let line = Mutex::new(Line { waiting: VecDeque::new(), working: 0, closed: false });
        let limit = threads.saturating_add(queue);
        let pool = Self { shared: Arc::new(Shared { params, limit, line, called: Condvar::new() }) };
        for number in 1..=threads {
            let shared = Arc::clone(&pool.shared);
            std::thread::Builder::new()
                .name(format!("hash-{number}"))
                .spawn(move || shared.work())
                .map_err(PoolError::Thread)?;
        }
        Ok(pool)
    }

    /// The parameters of new hashes.
    #[must_use]
    pub fn params(&self) -> &Argon2Params {
        &self.shared.params
    }

    /// Hashes a password for storage. Dropping the future gives up the place in the line.
    ///
    /// # Errors
    /// [`HashError`].
    pub async fn hash(&self, password: &Password) -> Result<PasswordHash, HashError> {
        let _span = trace::hash();
        let (reply, answer) = oneshot::channel();
        self.shared.enter(Job::new(password, Task::Hash { reply }))?;
        answer.await.unwrap_or(Err(HashError::Failed))
    }

    /// Whether `stored` is a hash of this password. An unknown account, one without a password, and a stored hash that
    /// is damaged, unknown or absurdly costly give false, and take the time of a hash with the pool's parameters.
    /// Dropping the future gives up the place in the line.
    ///
    /// # Errors
    /// [`HashError`].
    pub async fn verify(
        &self,
        password: &Password,
        stored: Option<&PasswordHash>,
    ) -> Result<bool, HashError> {
        let _span = trace::hash();
        let (reply, answer) = oneshot::channel();
        self.shared.enter(Job::new(password, Task::Verify { stored: stored.cloned(), reply }))?;
        answer.await.unwrap_or(Err(HashError::Failed))
    }
}

impl fmt::Debug for HashPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashPool").field("params", &self.shared.params).finish_non_exhaustive()
    }
}

impl Drop for HashPool {
    fn drop(&mut self) {
        self.shared.line().closed = true;
        self.shared.called.notify_all();
    }
}

struct Shared {
    params: Argon2Params,
    /// Requests in hand and waiting, together.
    limit: usize,
    line: Mutex<Line>,
    called: Condvar,
}

struct Line {
    waiting: VecDeque<Job>,
    working: usize,
    closed: bool,
}

struct Job {
    /// The request's, so that what is logged while hashing is found with it.
    span: Span,
    password: Password,
    task: Task,
}

enum Task {
    Hash { reply: oneshot::Sender<Result<PasswordHash, HashError>> },
    Verify { stored: Option<PasswordHash>, reply: oneshot::Sender<Result<bool, HashError>> },
}

/// What a thread finds when it has nothing in hand.
enum Next {
    Job(Job),
    Quiet,
    Closed,
}

impl Shared {
    fn enter(&self, job: Job) -> Result<(), HashError> {
        self.line().push(job, self.limit)?;
        self.called.notify_one();
        Ok(())
    }

    fn work(&self) {
        let mut hasher = Hasher::default();
        loop {
            match self.next(hasher.holds_memory()) {
                Next::Job(job) => {
                    // Should a hasher panic, its request fails and the thread lives on.
                    let done = catch_unwind(AssertUnwindSafe(|| job.run(&mut hasher, &self.params)));
                    if done.is_err() {
                        hasher = Hasher::default();
                    }
                    hasher.shrink(&self.params);
                    // The place is free before the answer is there: who has it may come back at once.
                    self.line().working -= 1;
                    if let Ok(answer) = done {
                        answer();
                    }
                }
                Next::Quiet => hasher.release(),
                Next::Closed => return,
            }
        }
    }

    /// Waits for a job; if `impatient`, only so long as memory is kept.
    fn next(&self, impatient: bool) -> Next {
        let mut line = self.line();
        loop {
            if line.closed {
                return Next::Closed;
            }
            if let Some(job) = line.take() {
                return Next::Job(job);
            }
            if impatient {
                let (woken, timeout) =
                    self.called.wait_timeout(line, KEEP_MEMORY).unwrap_or_else(PoisonError::into_inner);
                line = woken;
                if timeout.timed_out() && line.waiting.is_empty() && !line.closed {
                    return Next::Quiet;
                }
            } else {
                line = self.called.wait(line).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Nothing panics while it holds the line, so that a poisoned lock would be in order.
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Takes a place at the end, after those who went away have left theirs.
    fn push(&mut self, job: Job, limit: usize) -> Result<(), HashError> {
        if self.working + self.waiting.len() >= limit {
            self.waiting.retain(|job| !job.gone());
        }
        if self.working + self.waiting.len() >= limit {
            return Err(HashError::Busy);
        }
        self.waiting.push_back(job);
        Ok(())
    }

    /// The first who is still there; it counts as working from now on.
    fn take(&mut self) -> Option<Job> {
        while let Some(job) = self.waiting.pop_front() {
            if !job.gone() {
                self.working += 1;
                return Some(job);
            }
        }
        None
    }
}

impl Job {
    fn new(password: &Password, task: Task) -> Self {
        Self { span: Span::current(), password: password.clone(), task }
    }

    /// Whether nobody waits for it any more.
    fn gone(&self) -> bool {
        match &self.task {
            Task::Hash { reply } => reply.is_closed(),
            Task::Verify { reply, .. } => reply.is_closed(),
        }
    }

    /// Does the work; what is given back tells whoever waits for it.
    fn run(self, hasher: &mut Hasher, params: &Argon2Params) -> Box<dyn FnOnce()> {
        let _entered = self.span.enter();
        // An answer that nobody waits for is dropped.
        match self.task {
            Task::Hash { reply } => {
                let hash = hasher.hash(&self.password, params);
                Box::new(move || {
                    let _ = reply.send(hash);
                })
            }
            Task::Verify { stored, reply } => {
                let right = hasher.verify(&self.password, stored.as_ref(), params);
                Box::new(move || {
                    let _ = reply.send(right);
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    const QUICK: Argon2Params = Argon2Params { memory_kib: 64, iterations: 1, parallelism: 1 };
    const SLOW: Argon2Params = Argon2Params { memory_kib: 16 * 1024, iterations: 4, parallelism: 1 };

    fn password(text: &str) -> Password {
        Password::parse(text).unwrap()
    }

    fn job() -> (Job, oneshot::Receiver<Result<bool, HashError>>) {
        let (reply, answer) = oneshot::channel();
        (Job::new(&password("p"), Task::Verify { stored: None, reply }), answer)
    }

    fn line() -> Line {
        Line { waiting: VecDeque::new(), working: 0, closed: false }
    }

    #[tokio::test]
    async fn what_is_hashed_verifies() {
        let pool = HashPool::new(QUICK, 2, 8).unwrap();
        let stored = pool.hash(&password("right")).await.unwrap();
        assert_eq!(pool.verify(&password("right"), Some(&stored)).await, Ok(true));
        assert_eq!(pool.verify(&password("wrong"), Some(&stored)).await, Ok(false));
    }

    #[tokio::test]
    async fn p6_no_password_never_verifies() {
        let pool = HashPool::new(QUICK, 1, 8).unwrap();
        for stored in ["", " ", "!", "!right", "right", "$argon2id$", "pbkdf2_sha256$99999999999$salt$AAAA"] {
            let stored = PasswordHash::from_stored(stored.to_owned());
            assert_eq!(
                pool.verify(&password("right"), Some(&stored)).await,
                Ok(false),
                "{}",
                stored.as_str()
            );
        }
        assert_eq!(pool.verify(&password("right"), None).await, Ok(false));
    }

    #[tokio::test]
    async fn p3_an_unknown_account_costs_one_hash() {
        let pool = HashPool::new(SLOW, 1, 8).unwrap();
        let typed = password("wrong");
        let stored = pool.hash(&password("right")).await.unwrap();
        let unusable = PasswordHash::from_stored("!".to_owned());
        let mut best = [Duration::MAX; 3];
        for _ in 0..7 {
            for (best, stored) in best.iter_mut().zip([Some(&stored), None, Some(&unusable)]) {
                let begun = Instant::now();
                assert_eq!(pool.verify(&typed, stored).await, Ok(false));
                *best = begun.elapsed().min(*best);
            }
        }
        let [known, unknown, unusable] = best;
        // Loose, for machines that do other things at the same time; without the hash it would be a thousandth.
        for other in [unknown, unusable] {
            assert!(other * 2 > known && known * 2 > other, "{known:?} {other:?}");
        }
    }

    #[tokio::test]
    async fn a_place_is_free_before_its_answer_is_there() {
        let pool = HashPool::new(QUICK, 1, 0).unwrap();
        for _ in 0..200 {
            pool.hash(&password("p")).await.unwrap();
        }
    }

    #[tokio::test]
    async fn p4_a_full_line_is_busy_at_once() {
        let pool = Arc::new(HashPool::new(SLOW, 1, 2).unwrap());
        let storm: Vec<_> = (0..12)
            .map(|_| {
                let pool = Arc::clone(&pool);
                tokio::spawn(async move { pool.hash(&password("p")).await })
            })
            .collect();
        let (mut served, mut busy) = (0, 0);
        for request in storm {
            match request.await.unwrap() {
                Ok(_) => served += 1,
                Err(error) => {
                    assert_eq!(error, HashError::Busy);
                    busy += 1;
                }
            }
        }
        assert!(served >= 3 && busy >= 1, "{served} served, {busy} busy");
        assert!(pool.hash(&password("p")).await.is_ok(), "the line is free again");
    }

    #[test]
    fn p4_in_hand_and_waiting_never_exceed_the_limit() {
        let mut line = line();
        let mut kept = Vec::new();
        for place in 0..5 {
            let (job, answer) = job();
            assert_eq!(line.push(job, 3).is_ok(), place < 3);
            kept.push(answer);
            if place == 0 {
                assert!(line.take().is_some());
            }
        }
        assert_eq!((line.working, line.waiting.len()), (1, 2));
    }

    #[test]
    fn a_request_that_went_away_is_not_hashed_and_leaves_its_place() {
        let mut line = line();
        let (first, gone) = job();
        let (second, _kept) = job();
        let (third, _refused) = job();
        line.push(first, 1).unwrap();
        assert_eq!(line.push(second, 1), Err(HashError::Busy));
        drop(gone);
        line.push(third, 1).unwrap();
        assert_eq!(line.waiting.len(), 1);
        let (fourth, gone) = job();
        line.push(fourth, 2).unwrap();
        drop(gone);
        assert!(line.take().is_some());
        assert!(line.take().is_none(), "the one that went away is skipped");
        assert_eq!(line.working, 1);
    }

    #[test]
    fn absurd_parameters_do_not_start() {
        let params = Argon2Params { memory_kib: u32::MAX, ..QUICK };
        assert!(matches!(HashPool::new(params, 1, 1), Err(PoolError::Params(BadParams::TooMuch))));
    }

    #[test]
    fn threads_end_with_their_pool() {
        let pool = HashPool::new(QUICK, 2, 1).unwrap();
        let shared = Arc::downgrade(&pool.shared);
        drop(pool);
        let begun = Instant::now();
        while shared.strong_count() > 0 && begun.elapsed() < Duration::from_secs(10) {
            std::thread::yield_now();
        }
        assert_eq!(shared.strong_count(), 0);
    }
}
