//! Threads with deep stacks, for work on what others wrote: templates, and values nested as deep as they like.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use protocol::{Result, UserError, text};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// A hostile template can nest a value as deep as it has steps, and dropping it recurses. Of this much
/// only what is used is ever backed by memory.
const STACK_BYTES: usize = 512 << 20;

thread_local! {
    /// Whether this thread's stack is deep.
    static DEEP: Cell<bool> = const { Cell::new(false) };
}

/// As many threads as the caller's rayon pool has, for a pass over many rows. They end with the value, and with
/// them the memory that a deep recursion has touched.
pub(crate) struct DeepPool(ThreadPool);

impl DeepPool {
    /// # Errors
    /// When the system gives no threads.
    pub fn new() -> Result<Self> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(rayon::current_num_threads())
            .thread_name(|number| format!("rows {number}"))
            .stack_size(STACK_BYTES)
            .start_handler(|_| DEEP.set(true))
            .build();
        pool.map(Self).map_err(|err| {
            UserError::failure(text!("No threads could be started: {err}", "无法启动线程：{err}"))
        })
    }

    /// Runs `work` in the pool: its parallel iterators use the pool's threads.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.0.install(work)
    }
}

/// Runs work where deep recursion can do no harm: here if this thread's stack is deep, else on a thread of its
/// own.
///
/// # Errors
/// Says why there is no answer: the work panicked, or the system gave no thread.
pub(crate) fn on_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    let failed = |_| "it broke down".to_owned();
    if DEEP.get() {
        return catch_unwind(AssertUnwindSafe(work)).map_err(failed);
    }
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("deep".to_owned()).stack_size(STACK_BYTES);
        let thread = builder.spawn_scoped(scope, work).map_err(|err| err.to_string())?;
        thread.join().map_err(failed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_on_both_kinds_of_threads() {
        let broken = || on_deep_stack(|| -> u32 { panic!("as a hostile template makes it") });
        assert_eq!(broken(), Err("it broke down".to_owned()));
        let pool = DeepPool::new().unwrap();
        assert_eq!(pool.run(broken), Err("it broke down".to_owned()));
        assert_eq!(
            pool.run(|| on_deep_stack(|| std::thread::current().id() == std::thread::current().id())),
            Ok(true)
        );
    }

    #[test]
    fn work_of_a_pool_stays_on_its_threads() {
        let here = || std::thread::current().id();
        let same = || here() == on_deep_stack(here).unwrap();
        assert!(!same());
        assert!(DeepPool::new().unwrap().run(same));
    }
}
