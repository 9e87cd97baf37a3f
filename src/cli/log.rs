//! Logs go to stderr, above whatever progress bar is there. `EMBERWRIGHT_LOG` sets what is logged, as in
//! `EMBERWRIGHT_LOG=engine=debug`.

use std::io::{self, Write};

use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

const VARIABLE: &str = "EMBERWRIGHT_LOG";

pub fn init(bars: MultiProgress) {
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new("warn"));
    // Only a second logger in one process is an error here, and then the first one serves.
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(console::colors_enabled_stderr())
        .with_writer(AboveBars(bars))
        .try_init()
        .ok();
}

/// Hides the bars while a line is written.
struct AboveBars(MultiProgress);

impl Write for &AboveBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for AboveBars {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}
