//! How far a transfer is, and how long it will take.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::fault::Fault;

/// Hears bytes done, bytes in all, and the seconds that are left if they can be told.
pub type Progress = Arc<dyn Fn(u64, u64, Option<f64>) + Send + Sync>;

/// How much the newest stretch counts for the speed.
const NEWEST: f64 = 0.1;
/// No forecast before this much time has been watched.
const WATCHED: f64 = 1.0;

#[derive(Debug)]
pub(crate) struct Meter {
    total: u64,
    done: AtomicU64,
    /// Over the network, whether or not it was of use.
    fetched: AtomicU64,
}

impl Meter {
    pub fn new(total: u64) -> Self {
        Self { total, done: AtomicU64::new(0), fetched: AtomicU64::new(0) }
    }

    /// Bytes that were here already.
    pub fn found(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn came(&self, bytes: u64) {
        self.found(bytes);
        self.fetched.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes that were of no use.
    pub fn lost(&self, bytes: u64) {
        self.done.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub fn fetched(&self) -> u64 {
        self.fetched.load(Ordering::Relaxed)
    }

    /// Does the work and tells how far it is, from time to time and at the end.
    pub async fn watch<T>(
        &self,
        every: Duration,
        progress: &Progress,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let mut work = std::pin::pin!(work);
        let mut tick = tokio::time::interval(every);
        let mut speed = Speed::new();
        loop {
            tokio::select! {
                biased;
                done = &mut work => {
                    self.tell(progress, &mut speed);
                    return done;
                }
                _ = tick.tick() => self.tell(progress, &mut speed),
            }
        }
    }

    fn tell(&self, progress: &Progress, speed: &mut Speed) {
        let done = self.done.load(Ordering::Relaxed);
        let left = speed.seconds(self.fetched(), self.total.saturating_sub(done));
        progress(done, self.total, left);
    }
}

/// Bytes per second, smoothed.
struct Speed {
    start: Instant,
    last: (Instant, u64),
    rate: Option<f64>,
}

impl Speed {
    fn new() -> Self {
        let now = Instant::now();
        Self { start: now, last: (now, 0), rate: None }
    }

    fn seconds(&mut self, fetched: u64, left: u64) -> Option<f64> {
        let passed = self.last.0.elapsed().as_secs_f64();
        if passed > 0.0 {
            let rate = fetched.saturating_sub(self.last.1) as f64 / passed;
            self.rate = Some(self.rate.map_or(rate, |old| old + NEWEST * (rate - old)));
            self.last = (Instant::now(), fetched);
        }
        let watched = self.start.elapsed().as_secs_f64() > WATCHED;
        self.rate.filter(|rate| watched && *rate > 0.0).map(|rate| left as f64 / rate)
    }
}
