//! Logs go to stderr, above the status line. `EMBERWRIGHT_LOG` sets what is logged, as in
//! `EMBERWRIGHT_LOG=warn,engine=debug`.

use std::io::{self, Write};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry;
use tracing_subscriber::util::SubscriberInitExt;

use super::status::StatusLine;

const VARIABLE: &str = "EMBERWRIGHT_LOG";

pub fn init(status: StatusLine) {
    let asked = std::env::var(VARIABLE).ok().and_then(|words| words.parse::<Targets>().ok());
    let filter = asked.unwrap_or_else(|| Targets::new().with_default(LevelFilter::WARN));
    let layer = fmt::layer()
        .with_ansi(console::colors_enabled_stderr())
        .with_writer(AboveStatus(status))
        .with_filter(filter);
    // Only a second logger in one process is an error here, and then the first one serves.
    registry().with(layer).try_init().ok();
}

/// Writes above the status line.
struct AboveStatus(StatusLine);

impl Write for &AboveStatus {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.above(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for AboveStatus {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}
