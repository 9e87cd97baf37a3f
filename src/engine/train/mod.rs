//! Training: the loop, one step of it, and what is kept of it.

mod backward;
mod clock;
mod evaluate;
pub mod events_log;
mod folder;
mod head;
mod imported;
mod layout;
mod loss_scale;
mod metrics_log;
pub mod parallel;
mod prefetch;
mod run;
mod state;
mod step;

pub use backward::Backward;
pub use clock::Clock;
pub use evaluate::batch_loss;
pub use events_log::EventsLog;
pub use folder::{PlanFile, RunFolder};
pub(crate) use head::Labels;
pub use head::{CHUNK_BYTES, LEAST_ROWS, chunk_rows};
pub use imported::Imported;
pub use layout::{Layout, Place};
pub use loss_scale::LossScaler;
pub use run::{Meanwhile, Run, Surroundings};
pub use state::{RunState, Snapshot};
pub use step::{Found, Learner, Lent, Share, StepResult, StepSettings};
