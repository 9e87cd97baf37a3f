//! The training engine: models, methods, training, generation and export on Burn, owned by a worker
//! that takes commands and tells events.

mod device;
mod files;
mod generate;
mod methods;
mod models;
mod nn;
mod optim;
mod sink;
mod train;
mod weights;

use std::sync::Arc;

use protocol::{UserError, text};

/// Called after every event, so that a client that sleeps looks into its channel.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// A failed read or launch on the device. Burn reports faults when results are read.
fn device_failure(err: &dyn std::fmt::Display) -> UserError {
    UserError::failure(text!("The device failed: {err}", "计算设备出错：{err}")).mend(protocol::Text::fixed(
        "lower `batch_size` or `max_length` if memory ran out; else restart and resume",
        "若是内存不足，请减小 `batch_size` 或 `max_length`；否则请重启后继续",
    ))
}
