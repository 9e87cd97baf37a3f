//! Keeps the threads of the pool awake between products that take microseconds each.
//!
//! A token is a hundred products with a little work of one thread between them. A thread that finds nothing to do for that
//! long goes to sleep, and to wake it costs as much as a small product. OpenMP's threads wait actively for the same reason.

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rayon::Yield;

/// With more threads their search for work would be what keeps the memory busy.
const MOST_THREADS: usize = 16;
/// For all threads to wake up; without them it goes on as ever.
const PATIENCE: Duration = Duration::from_micros(500);
/// Looks at nothing between two looks for work.
const PAUSES: usize = 32;

/// While this lives, the other threads of the pool that the caller belongs to look for work without rest.
pub struct Awake(Arc<Watch>);

#[derive(Default)]
struct Watch {
    over: AtomicBool,
    come: AtomicUsize,
}

impl Awake {
    /// None where there are no other threads, too many, or they are busy with something else: whoever waits here could
    /// wait for that very work, which would be under theirs.
    pub fn new() -> Option<Self> {
        let (caller, threads) = (rayon::current_thread_index()?, rayon::current_num_threads());
        if !(2..=MOST_THREADS).contains(&threads) {
            return None;
        }
        let awake = Self(Arc::default());
        let watch = awake.0.clone();
        rayon::spawn_broadcast(move |thread| {
            if thread.index() != caller {
                watch.keep();
            }
        });
        awake.0.all_come(threads - 1).then_some(awake)
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Release);
    }
}

impl Watch {
    fn keep(&self) {
        self.come.fetch_add(1, Ordering::Release);
        while !self.over.load(Ordering::Acquire) {
            if rayon::yield_now() != Some(Yield::Executed) {
                (0..PAUSES).for_each(|_| spin_loop());
                // Whoever else wants this core gets it.
                thread::yield_now();
            }
        }
    }

    fn all_come(&self, others: usize) -> bool {
        let began = Instant::now();
        while self.come.load(Ordering::Acquire) < others {
            if began.elapsed() > PATIENCE {
                return false;
            }
            spin_loop();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;

    #[test]
    fn work_is_done_while_all_are_kept_awake_and_after() {
        for threads in [1, 2, 4] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for _ in 0..200 {
                pool.install(|| {
                    let awake = Awake::new();
                    assert!(threads > 1 || awake.is_none());
                    let below = |at: u64| (0..at).into_par_iter().sum::<u64>();
                    let sum = || (0..64).into_par_iter().map(below).sum();
                    let within: u64 = sum();
                    drop(awake);
                    let after: u64 = sum();
                    assert_eq!((within, after), (41_664, 41_664));
                });
            }
        }
        assert!(Awake::new().is_none(), "outside a pool");
    }

    #[test]
    fn nobody_is_kept_from_other_work() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let (busy, end) = (AtomicBool::new(false), AtomicBool::new(false));
        pool.scope(|scope| {
            scope.spawn_broadcast(|_, thread| {
                if thread.index() == 0 {
                    while !busy.load(Ordering::Acquire) {
                        spin_loop();
                    }
                    assert!(Awake::new().is_none(), "the other one does not come");
                    end.store(true, Ordering::Release);
                } else {
                    busy.store(true, Ordering::Release);
                    while !end.load(Ordering::Acquire) {
                        spin_loop();
                    }
                }
            });
        });
    }
}
