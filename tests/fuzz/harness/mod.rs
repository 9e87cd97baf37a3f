//! Fuzzing without an instrumented compiler: inputs are made from sound ones by changes that know the format, and those
//! after which a parser says something new are changed further.
//!
//! Each target runs in a process of its own, about a second in a normal test run and as long as
//! `EMBERWRIGHT_FUZZ_SECONDS` says otherwise; `EMBERWRIGHT_FUZZ_SEED` gives other inputs. A finding is an input that panics,
//! ends the process, takes far more memory than it has bytes, takes long, or is refused as if the fault were ours. It is
//! written below Cargo's folder for temporary files, and the failing test names the place.

mod corpus;
mod dice;
mod input;
pub mod memory;
pub mod mutate;
pub mod session;
pub mod supervise;
mod watchdog;

use std::path::Path;

use protocol::Result;

pub use dice::Dice;
pub use input::Input;

/// Reads a folder as the program does. What it says of a sound one tells inputs apart that went different ways.
pub type Run = Box<dyn FnMut(&Path) -> Result<String>>;

pub struct Target {
    pub seeds: fn() -> Vec<Input>,
    pub start: fn() -> Run,
    /// Bytes that may be held beside a multiple of the input's.
    pub memory: usize,
}

impl Target {
    pub fn new(seeds: fn() -> Vec<Input>, start: fn() -> Run) -> Self {
        Self { seeds, start, memory: 64 << 20 }
    }
}

/// What the changes know of files, by their names.
#[derive(Clone, Copy)]
pub struct Formats {
    /// Changes a file within its format; says whether there was something to change.
    pub change: fn(&str, &mut Vec<u8>, &mut Dice) -> bool,
    /// Words that mean something.
    pub words: fn(&str) -> &'static [&'static str],
}

/// One test a target, and the process that they start.
#[macro_export]
macro_rules! fuzz_targets {
    ($formats:expr; $($name:ident),* $(,)?) => {
        #[global_allocator]
        static ALLOCATOR: harness::memory::Counted = harness::memory::Counted;

        $(#[test]
        fn $name() {
            harness::supervise::run(stringify!($name));
        })*

        /// The process of one target.
        #[test]
        #[ignore = "the child of the other tests"]
        fn child() {
            let Some(order) = harness::supervise::order() else { return };
            let target = match order.target.as_str() {
                $(stringify!($name) => targets::$name::target(),)*
                name => panic!("there is no target {name}"),
            };
            harness::session::fuzz(&order, target, $formats);
        }
    };
}
