//! The password hash alone: what a login cannot do without.

use std::thread;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use vestibule_base::config::Argon2 as Settings;

use crate::load::Sample;

/// Hashes with the default parameters on every processor at once, each reusing its memory. Blocks.
pub(crate) fn run(time: Duration) -> Result<Sample, argon2::Error> {
    let Settings { memory_kib, iterations, parallelism } = Settings::default();
    let params = Params::new(memory_kib, iterations, parallelism, None)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let start = Instant::now();
    let worker = || {
        let mut memory = vec![Block::default(); params.block_count()];
        let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
        let mut latencies = Vec::new();
        while start.elapsed() < time {
            let begun = Instant::now();
            argon2.hash_password_into_with_memory(
                b"password",
                b"a salt of 16 byt",
                &mut output,
                &mut memory,
            )?;
            latencies.push(begun.elapsed());
        }
        Ok::<_, argon2::Error>(latencies)
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        let mut latencies = Vec::new();
        for thread in threads {
            latencies.extend(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(Sample::of(latencies, start.elapsed()))
    })
}
