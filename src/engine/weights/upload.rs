//! From the files to the device. The only part of this module that knows Burn, beside what writes parameters.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::{AllocationProperty, Bytes, DType, Device, Tensor, TensorData};
use protocol::{Result, UserError, text};

use super::checkpoint::Checkpoint;
use super::dtype::{FileDtype, convert};
use super::mapping::Mapping;
use crate::nn::Source;

/// Puts a stored float tensor on a device in the wanted format.
///
/// Host memory beyond the mapping: none where the file already holds the format, aligned (the CPU backend
/// then computes on the mapped pages themselves and copies a tensor when it is first written to; a GPU
/// backend copies from them), else this one tensor.
///
/// # Errors
/// No such tensor, no floats, other than `D` dimensions, a `dtype` that is no f32, bf16 or f16, a number
/// that `dtype` cannot hold.
pub fn load_tensor<const D: usize>(
    checkpoint: &Checkpoint,
    name: &str,
    device: &Device,
    dtype: DType,
) -> Result<Tensor<D>> {
    Ok(Tensor::from_data(host_tensor::<D>(checkpoint, name, dtype)?, (device, dtype)))
}

/// What [`load_tensor`] puts on the device.
fn host_tensor<const D: usize>(checkpoint: &Checkpoint, name: &str, dtype: DType) -> Result<TensorData> {
    let to = file_dtype(name, dtype)?;
    let shape = match checkpoint.info(name) {
        Some(info) if info.shape.len() != D => {
            let (got, shape) = (info.shape.len(), info.shape);
            let what = text!(
                "{name} has {got} dimensions {shape:?}, not {D}",
                "{name} 有 {got} 个维度 {shape:?}，而不是 {D} 个"
            );
            return Err(UserError::bad_input(what).in_file(info.file).at_item(name));
        }
        Some(info) => info.shape.to_vec(),
        None => Vec::new(),
    };
    let bytes = match shared(checkpoint, name, to)? {
        Some(bytes) => bytes,
        None => converted(checkpoint, name, to, &shape)?,
    };
    Ok(TensorData::from_bytes(bytes, shape, dtype))
}

impl Checkpoint {
    /// Bytes of a tensor, as `dtype`, that can be read in a second: measured on its beginning. None where it is not
    /// stored as numbers one after the other.
    pub fn reading_speed(&self, name: &str, dtype: DType) -> Option<f64> {
        const SAMPLE: usize = 4 << 20;
        let (to, from) = (file_dtype(name, dtype).ok()?, self.info(name)?.dtype);
        let (file, range) = self.region(name).ok()??;
        let elements = (range.len() / from.size()).min(SAMPLE);
        let began = Instant::now();
        let mut numbers = vec![0; elements * to.size()];
        convert(&file[range.start..range.start + elements * from.size()], from, &mut numbers, to).ok()?;
        let seconds = began.elapsed().as_secs_f64();
        (elements > 0 && seconds > 0.0).then(|| numbers.len() as f64 / seconds)
    }
}

/// A stored matrix that is read anew each time it is wanted.
pub struct StoredMatrix {
    checkpoint: Arc<Checkpoint>,
    name: String,
    dtype: DType,
}

impl StoredMatrix {
    /// # Errors
    /// Where [`load_tensor`] has them: what cannot be read is told before anything is trained.
    pub fn new(checkpoint: Arc<Checkpoint>, name: String, dtype: DType) -> Result<Self> {
        let matrix = Self { checkpoint, name, dtype };
        // The other formats hold every number of a file.
        if dtype == DType::F16 {
            matrix.read()?;
        }
        Ok(matrix)
    }
}

impl Source for StoredMatrix {
    fn read(&self) -> Result<TensorData> {
        // Where the pages are the numbers themselves, nothing else would fetch them before they are used.
        self.checkpoint.fetch_ahead(&self.name);
        host_tensor::<2>(&self.checkpoint, &self.name, self.dtype)
    }
}

fn file_dtype(name: &str, dtype: DType) -> Result<FileDtype> {
    match dtype {
        DType::F32 => Ok(FileDtype::F32),
        DType::BF16 => Ok(FileDtype::BF16),
        DType::F16 => Ok(FileDtype::F16),
        other => {
            let what = text!("Weights cannot be loaded as {other:?}", "权重无法以 {other:?} 格式加载");
            Err(UserError::bad_input(what).at_item(name))
        }
    }
}

/// A part of a mapped file, kept alive as long as a tensor uses it.
struct Region {
    file: Arc<Mapping>,
    range: Range<usize>,
}

impl AsRef<[u8]> for Region {
    fn as_ref(&self) -> &[u8] {
        &self.file[self.range.clone()]
    }
}

/// The mapped bytes themselves, if they already are what the backend computes with: the same format and
/// aligned for it (burn-flex casts its buffers to slices of numbers, which panics on unaligned ones).
fn shared(checkpoint: &Checkpoint, name: &str, to: FileDtype) -> Result<Option<Bytes>> {
    let same = checkpoint.info(name).is_some_and(|info| info.dtype == to);
    let Some((file, range)) = checkpoint.region(name)? else { return Ok(None) };
    let aligned = (file.as_ptr() as usize + range.start).is_multiple_of(to.size());
    if !same || !aligned || range.is_empty() {
        return Ok(None);
    }
    let region = bytes::Bytes::from_owner(Region { file, range });
    Ok(Some(Bytes::from_shared(region, AllocationProperty::File)))
}

/// A buffer of its own in the wanted format; the conversion writes straight into it.
fn converted(checkpoint: &Checkpoint, name: &str, to: FileDtype, shape: &[usize]) -> Result<Bytes> {
    let elements: usize = shape.iter().product();
    let bytes = match to {
        FileDtype::F32 => {
            let mut numbers = vec![0f32; elements];
            checkpoint.convert_into(name, to, bytemuck::cast_slice_mut(&mut numbers))?;
            Bytes::from_elems(numbers)
        }
        _ => {
            let mut halves = vec![0u16; elements];
            checkpoint.convert_into(name, to, bytemuck::cast_slice_mut(&mut halves))?;
            Bytes::from_elems(halves)
        }
    };
    Ok(bytes)
}
