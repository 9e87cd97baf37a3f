//! Batch prediction.

use protocol::{Control, PredictRequest, RequestId, Result};

use super::{Desk, not_yet};
use crate::session::Session;
use crate::sink::Sink;

pub fn plan_predict(
    _request: RequestId,
    _wanted: &PredictRequest,
    _desk: &mut Desk,
    _control: &Control,
    _sink: &mut Sink,
) -> Result<()> {
    Err(not_yet())
}

pub fn predict(
    _request: RequestId,
    _wanted: &PredictRequest,
    _session: &mut Session,
    _control: &Control,
    _sink: &mut Sink,
) -> Result<()> {
    Err(not_yet())
}
