//! Rounds: whatever is compared takes turns in short slices, so that a noisy moment of the machine hits all alike.

use std::time::Duration;

use crate::load::{Load, Sample};
use crate::server::Server;
use crate::{Error, hashing};

/// How long to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// Each subject's time before it counts.
    pub(crate) warm: Duration,
    /// Each subject's time in a round.
    pub(crate) slice: Duration,
    pub(crate) rounds: usize,
}

/// What takes part in a comparison.
pub(crate) enum Subject<'a> {
    /// A server under a load.
    Server(&'a Server, Load),
    /// The same, while the second load is on it too, which is not measured.
    Stormed(&'a Server, Load, Load),
    /// The password hash alone.
    Hash,
}

/// What a subject did in all rounds.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) sample: Sample,
    /// The server's processor time, where the system tells.
    pub(crate) processor: Option<Duration>,
    /// Answers per second, by round.
    rates: Vec<f64>,
}

impl Measured {
    /// This subject's rate by the other's: the median of the rounds.
    pub(crate) fn rate_by(&self, other: &Self) -> f64 {
        let mut ratios: Vec<f64> = self.rates.iter().zip(&other.rates).map(|(a, b)| a / b).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// Measures all subjects, in the order given.
pub(crate) async fn compare<const N: usize>(
    timing: Timing,
    subjects: [Subject<'_>; N],
) -> Result<[Measured; N], Error> {
    for subject in &subjects {
        subject.run(timing.warm).await?;
    }
    let mut measured: [Measured; N] = std::array::from_fn(|_| Measured::default());
    for round in 0..timing.rounds {
        let mut turns: Vec<_> = subjects.iter().zip(&mut measured).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        for (subject, measured) in turns {
            let before = subject.processor();
            let sample = subject.run(timing.slice).await?;
            let used = subject.processor().zip(before).map(|(after, before)| after - before);
            measured.processor = used.map(|used| used + measured.processor.unwrap_or_default());
            measured.rates.push(sample.rate());
            measured.sample.add(sample);
        }
    }
    Ok(measured)
}

/// A storm's lead over what is measured in it, and so how long it goes on afterwards.
const LEAD: Duration = Duration::from_millis(300);

impl Subject<'_> {
    async fn run(&self, time: Duration) -> Result<Sample, Error> {
        match self {
            Self::Server(_, load) => load.run(time).await,
            Self::Stormed(_, load, storm) => {
                let calm = async {
                    tokio::time::sleep(LEAD).await;
                    load.run(time).await
                };
                let (sample, storm) = tokio::join!(calm, storm.run(time + 2 * LEAD));
                storm?;
                sample
            }
            Self::Hash => {
                let hashing = tokio::task::spawn_blocking(move || hashing::run(time));
                Ok(hashing.await.map_err(std::io::Error::other)??)
            }
        }
    }

    /// Processor time that the server has used so far.
    fn processor(&self) -> Option<Duration> {
        match self {
            Self::Server(server, _) | Self::Stormed(server, ..) => server.processor_time(),
            Self::Hash => None,
        }
    }
}
