//! Parameters on the device into a safetensors file.

use std::path::Path;

use burn::tensor::DType;
use protocol::Result;

use super::{FileDtype, Planned, ShardPlan};
use crate::nn::{Param, Value};

/// Writes `<stem>.safetensors` into `dir`: f32, one tensor at a time.
///
/// # Errors
/// When the device fails or a file cannot be written.
pub fn write_params(dir: &Path, stem: &str, params: &[(String, &Param)]) -> Result<()> {
    let planned = params.iter().map(|(name, param)| Planned {
        name: name.clone(),
        dtype: FileDtype::F32,
        shape: param.shape.clone(),
    });
    let plan = ShardPlan::new(stem, planned.collect(), u64::MAX)?;
    plan.write(dir, |tensor, sink| {
        let found = params.iter().find(|(name, _)| *name == tensor.name);
        sink.put_f32(&found.map_or_else(|| Ok(Vec::new()), |(_, param)| read_f32(&param.value))?)
    })?;
    Ok(())
}

/// All elements of a value, row-major, f32.
///
/// # Errors
/// When the device fails.
pub fn read_f32(value: &Value) -> Result<Vec<f32>> {
    let data = value.flat().try_into_data().map_err(|err| crate::device_failure(&err))?;
    data.convert_dtype(DType::F32).try_into_vec::<f32>().map_err(|err| crate::device_failure(&err))
}
