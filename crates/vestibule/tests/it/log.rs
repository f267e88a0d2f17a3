//! What is logged in this process, for the tests that look at it. One listener for all: a subscriber of one thread is
//! told nothing of what another thread, without any, was the first to log.

use std::io::Write;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// All lines while somebody listens, and how many do.
static HEARD: Mutex<(Vec<u8>, usize)> = Mutex::new((Vec::new(), 0));

fn heard() -> MutexGuard<'static, (Vec<u8>, usize)> {
    HEARD.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Tap;

impl Write for Tap {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let mut heard = heard();
        if heard.1 > 0 {
            heard.0.extend(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Somebody who listens. What other tests log at the same time is heard too.
pub(super) struct Ear {
    from: usize,
}

impl Ear {
    pub(super) fn open() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let log = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
            log.with_writer(|| Tap).init();
        });
        let mut heard = heard();
        heard.1 += 1;
        Self { from: heard.0.len() }
    }

    /// What was logged since this was last asked. The development mailbox shows mails on purpose: that is left out.
    pub(super) fn lines(&mut self) -> Vec<String> {
        let heard = heard();
        let text = String::from_utf8_lossy(&heard.0[self.from..]).into_owned();
        self.from = heard.0.len();
        text.lines().filter(|line| !line.contains("vestibule::mailbox")).map(str::to_owned).collect()
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let mut heard = heard();
        heard.1 -= 1;
        if heard.1 == 0 {
            heard.0 = Vec::new();
        }
    }
}
