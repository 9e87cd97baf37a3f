//! Parameters on the device into a safetensors file.

use std::path::Path;

use burn::tensor::{DType, Tensor};
use protocol::Result;

use super::{FileDtype, Planned, ShardPlan, TensorSink};
use crate::nn::{Param, Value};

/// Elements that are brought to the host at a time: what writes beside a training must not need much.
const PIECE: usize = 1 << 22;

/// Writes `<stem>.safetensors` into `dir`: f32, a piece of a tensor at a time.
///
/// # Errors
/// When the device fails or a file cannot be written.
pub fn write_params(dir: &Path, stem: &str, params: &[(String, &Param)]) -> Result<()> {
    let plan = plan(stem, params)?;
    plan.write(dir, |tensor, sink| {
        let found = params.iter().find(|(name, _)| *name == tensor.name);
        found.map_or(Ok(()), |(_, param)| put_floats(sink, &param.value.flat()))
    })?;
    Ok(())
}

/// Gives all elements of a flat tensor, piece by piece.
///
/// # Errors
/// When the device fails or the file cannot be written.
pub fn put_floats(sink: &mut TensorSink<'_>, flat: &Tensor<1>) -> Result<()> {
    let [count] = flat.dims();
    for start in (0..count).step_by(PIECE) {
        let piece = flat.clone().narrow(0, start, PIECE.min(count - start));
        sink.put_f32(&read_f32(&Value::Vector(piece))?)?;
    }
    Ok(())
}

/// Bytes of the file that [`write_params`] makes; 0 where it would refuse.
pub fn params_bytes(params: &[(String, &Param)]) -> u64 {
    plan("params", params).map_or(0, |plan| plan.total_bytes())
}

fn plan(stem: &str, params: &[(String, &Param)]) -> Result<ShardPlan> {
    let planned = params.iter().map(|(name, param)| Planned {
        name: name.clone(),
        dtype: FileDtype::F32,
        shape: param.shape.clone(),
    });
    ShardPlan::new(stem, planned.collect(), u64::MAX)
}

/// All elements of a value, row-major, f32.
///
/// # Errors
/// When the device fails.
pub fn read_f32(value: &Value) -> Result<Vec<f32>> {
    let data = value.flat().try_into_data().map_err(|err| crate::device_failure(&err))?;
    data.convert_dtype(DType::F32).try_into_vec::<f32>().map_err(|err| crate::device_failure(&err))
}
