//! Batch prediction.

use data::predict::Output;
use protocol::{Control, Event, PredictRequest, RequestId, Result, Text};

use super::Reporter;
use crate::predict;
use crate::session::Session;
use crate::sink::Sink;

/// What a prediction would ask and write, without a model.
pub fn plan_predict(
    request: RequestId,
    wanted: &PredictRequest,
    control: &Control,
    sink: &mut Sink,
) -> Result<()> {
    let mut setup = predict::set_up(wanted, &Reporter::new(request, control, sink))?;
    let names = setup.outputs.names();
    let done = if wanted.resume { Output::rows_in(&wanted.output, &names)? } else { 0 };
    if !wanted.resume && wanted.output.exists() {
        setup.warnings.push(Text::fixed(
            "The output is there already: it is not overwritten, and `resume` goes on behind its rows",
            "输出文件已存在：不会覆盖，可选择继续（resume）在其已有的行之后写入",
        ));
    }
    sink.emit(Event::PredictPlanned { request, plan: Box::new(setup.plan(done)) });
    Ok(())
}

/// An answer for every row of a file.
pub fn predict(
    request: RequestId,
    wanted: &PredictRequest,
    session: &mut Session,
    control: &Control,
    sink: &mut Sink,
) -> Result<()> {
    let setup = predict::set_up(wanted, &Reporter::new(request, control, sink))?;
    predict::predict(request, wanted, &setup, session, control, sink)
}
