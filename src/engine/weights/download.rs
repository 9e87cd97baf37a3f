//! From the device to a file.

use std::path::Path;

use burn::tensor::DType;
use protocol::{Result, Text, UserError, text};

use super::dtype::FileDtype;
use super::shards::{Planned, ShardPlan};
use crate::nn::Value;

/// Writes parameters into one new safetensors file, each in the format it has on the device. Within the file
/// wider formats come first, else the order stays. One tensor at a time is on the host.
///
/// # Errors
/// A failing disk, a file of that name, a parameter that is not loaded, a device that cannot be read.
pub(crate) fn write_tensors(path: &Path, tensors: &[(String, Value)]) -> Result<()> {
    let planned = tensors.iter().map(|(name, value)| plan(name, value)).collect::<Result<Vec<_>>>()?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = name.strip_suffix(".safetensors").unwrap_or(name);
    let folder = path.parent().unwrap_or(Path::new(""));
    let values: std::collections::HashMap<&str, &Value> =
        tensors.iter().map(|(name, value)| (name.as_str(), value)).collect();
    ShardPlan::new(stem, planned, u64::MAX)?.write(folder, |planned, sink| {
        let data = values[planned.name.as_str()].flat().try_into_data().map_err(|err| {
            let what = Text::fixed("A parameter could not be read from the device", "无法从设备读取参数");
            UserError::failure(what).at_item(&planned.name).detail(err.to_string())
        })?;
        sink.put(data.as_bytes())
    })?;
    Ok(())
}

fn plan(name: &str, value: &Value) -> Result<Planned> {
    let (shape, dtype) = match value {
        Value::Vector(vector) => (vector.dims().to_vec(), vector.dtype()),
        Value::Matrix(matrix) => (matrix.dims().to_vec(), matrix.dtype()),
        Value::Absent => {
            let what = Text::fixed("A parameter that is not loaded cannot be written", "无法写入未加载的参数");
            return Err(UserError::failure(what).at_item(name));
        }
    };
    let dtype = match dtype {
        DType::F32 => FileDtype::F32,
        DType::BF16 => FileDtype::BF16,
        DType::F16 => FileDtype::F16,
        DType::F64 => FileDtype::F64,
        other => {
            let what = text!("Parameters in {other:?} cannot be written", "无法写入 {other:?} 格式的参数");
            return Err(UserError::failure(what).at_item(name));
        }
    };
    Ok(Planned { name: name.to_owned(), dtype, shape })
}
