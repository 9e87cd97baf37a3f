//! Breaking off in the middle of a wait.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use protocol::{Text, UserError};

use crate::fault::Fault;

/// Between two looks at the wish.
const LOOK: Duration = Duration::from_millis(50);

/// Asks whether somebody wants the work to end.
#[derive(Clone)]
pub struct Stop(Arc<dyn Fn() -> bool + Send + Sync>);

impl Stop {
    pub fn when(wanted: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(wanted))
    }

    pub fn never() -> Self {
        Self::when(|| false)
    }

    /// Does the work, or breaks it off at whatever it waits for.
    pub(crate) async fn or<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        tokio::select! {
            done = work => done,
            () = self.wait() => Err(Fault::last(stopped())),
        }
    }

    async fn wait(&self) {
        while !(self.0)() {
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn stopped() -> UserError {
    UserError::failure(Text::fixed("The transfer was stopped", "传输已停止"))
        .mend(Text::fixed("start it again: it goes on where it was", "重新开始即可从中断处继续"))
}
