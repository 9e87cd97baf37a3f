//! Matrices in few bits made dense: kernels on the CPU and on GPUs that they serve, compositions elsewhere. None of it is differentiable: codes
//! are frozen.

use burn::tensor::{Bytes as RawBytes, DType, Device, FloatDType, Int, IntDType, Tensor, TensorData};

use super::{cpu, own};

/// Two codes a byte, the first in the high half; `block` elements in row-major order share a scale.
#[derive(Clone, Debug)]
pub struct Nibbles {
    /// Filled up to whole blocks.
    codes: Tensor<1, Int>,
    table: [f32; 16],
    /// The table on the device.
    values: Tensor<1>,
    /// Both values of a byte, `[256, 2]`.
    pairs: Tensor<2>,
    block: usize,
}

impl Nibbles {
    /// `codes` of `elements` elements; `block` is even.
    pub fn new(mut codes: Vec<u8>, elements: usize, table: [f32; 16], block: usize, device: &Device) -> Self {
        codes.resize(elements.div_ceil(block) * block / 2, 0);
        let value = |half: usize| table[half];
        let pairs: Vec<f32> = (0..256).flat_map(|byte| [value(byte >> 4), value(byte & 15)]).collect();
        let pairs = Tensor::from_data(TensorData::new(pairs, [256, 2]), (device, DType::F32));
        let values = Tensor::from_data(TensorData::new(table.to_vec(), [16]), (device, DType::F32));
        Self { codes: whole(codes, DType::U8, device), table, values, pairs, block }
    }

    /// `table[code] · scale`, rounded to `rounded`, as `dtype`.
    pub fn dense(
        &self,
        scales: Tensor<1>,
        shape: [usize; 2],
        rounded: FloatDType,
        dtype: FloatDType,
    ) -> Tensor<2> {
        if cpu::serves(&self.codes.device(), DType::F32) {
            let dense = cpu::nibbles(self.codes.clone(), &self.table, scales, self.block, shape, rounded);
            return as_type(dense, dtype);
        }
        own::dense_nibbles(self, &scales, own::Dense { shape, rounded, dtype })
            .unwrap_or_else(|| as_type(self.composed(scales, shape, rounded), dtype))
    }

    /// `x · wᵀ` for this matrix `w` of this shape, where a kernel needs no dense copy for it: of a few rows, on the CPU.
    pub fn few_rows(
        &self,
        x: &Tensor<3>,
        scales: Tensor<1>,
        shape: [usize; 2],
        rounded: FloatDType,
    ) -> Option<Tensor<3>> {
        let served = cpu::fits(x) && cpu::serves(&self.codes.device(), DType::F32);
        let codes = || self.codes.clone();
        let product =
            || cpu::few_rows_of_nibbles(x, codes(), &self.table, scales, self.block, shape, rounded);
        served.then(product).flatten()
    }

    /// Codes, table and block, for a kernel.
    pub(super) fn parts(&self) -> (Tensor<1, Int>, Tensor<1>, usize) {
        (self.codes.clone(), self.values.clone(), self.block)
    }

    /// [`dense`](Self::dense) as a composition of tensor operations, f32.
    pub fn composed(&self, scales: Tensor<1>, shape: [usize; 2], rounded: FloatDType) -> Tensor<2> {
        let blocks = scales.dims()[0];
        let values = self.pairs.clone().select(0, self.codes.clone().cast(IntDType::I32));
        let dense = values.reshape([blocks, self.block]) * scales.unsqueeze_dim(1);
        let [rows, columns] = shape;
        let exact = rows * columns == blocks * self.block;
        let dense = if exact { dense } else { cut(dense, rows * columns) };
        round(dense.reshape(shape), rounded)
    }
}

/// `[1, elements]`: the first of them.
fn cut(tensor: Tensor<2>, elements: usize) -> Tensor<2> {
    let [rows, columns] = tensor.dims();
    tensor.reshape([1, rows * columns]).narrow(1, 0, elements)
}

/// A signed byte an element, and a scale for every row, or every column.
#[derive(Clone, Debug)]
pub struct Bytes {
    codes: Tensor<1, Int>,
    by_rows: bool,
}

impl Bytes {
    pub fn new(codes: Vec<u8>, by_rows: bool, device: &Device) -> Self {
        Self { codes: whole(codes, DType::I8, device), by_rows }
    }

    /// `code · scale`, rounded to `rounded`, as `dtype`.
    pub fn dense(
        &self,
        scales: Tensor<1>,
        shape: [usize; 2],
        rounded: FloatDType,
        dtype: FloatDType,
    ) -> Tensor<2> {
        if cpu::serves(&self.codes.device(), DType::F32) {
            return as_type(cpu::bytes(self.codes.clone(), scales, self.by_rows, shape, rounded), dtype);
        }
        own::dense_bytes(self, &scales, own::Dense { shape, rounded, dtype })
            .unwrap_or_else(|| as_type(self.composed(scales, shape, rounded), dtype))
    }

    /// As [`Nibbles::few_rows`], where every row has a scale of its own.
    pub fn few_rows(
        &self,
        x: &Tensor<3>,
        scales: Tensor<1>,
        shape: [usize; 2],
        rounded: FloatDType,
    ) -> Option<Tensor<3>> {
        let served = self.by_rows && cpu::fits(x) && cpu::serves(&self.codes.device(), DType::F32);
        served.then(|| cpu::few_rows_of_bytes(x, self.codes.clone(), scales, shape, rounded))
    }

    /// Codes, and whether rows have scales, for a kernel.
    pub(super) fn parts(&self) -> (Tensor<1, Int>, bool) {
        (self.codes.clone(), self.by_rows)
    }

    /// [`dense`](Self::dense) as a composition of tensor operations, f32.
    pub fn composed(&self, scales: Tensor<1>, shape: [usize; 2], rounded: FloatDType) -> Tensor<2> {
        let values = self.codes.clone().reshape(shape).float().cast(DType::F32);
        round(values * scales.unsqueeze_dim(usize::from(self.by_rows)), rounded)
    }
}

/// Scales in 8 bits: `table[code] · scale + offset`.
#[derive(Clone, Debug)]
pub struct ScaleBytes {
    /// Filled up to whole blocks.
    codes: Tensor<1, Int>,
    count: usize,
    table: Tensor<1>,
    block: usize,
    scales: Tensor<1>,
    offset: f32,
}

impl ScaleBytes {
    pub fn new(
        mut codes: Vec<u8>,
        table: &[f32],
        block: usize,
        scales: &[f32],
        offset: f32,
        device: &Device,
    ) -> Self {
        let count = codes.len();
        codes.resize(scales.len() * block, 0);
        let floats = |values: &[f32]| Tensor::from_data(values, (device, DType::F32));
        let codes = whole(codes, DType::U8, device);
        Self { codes, count, table: floats(table), block, scales: floats(scales), offset }
    }

    /// Every scale, f32.
    pub fn expanded(&self) -> Tensor<1> {
        let values = self.table.clone().select(0, self.codes.clone().cast(IntDType::I32));
        let blocks = self.scales.dims()[0];
        let scales = values.reshape([blocks, self.block]) * self.scales.clone().unsqueeze_dim(1);
        scales.add_scalar(self.offset).reshape([blocks * self.block]).narrow(0, 0, self.count)
    }
}

fn whole(codes: Vec<u8>, dtype: DType, device: &Device) -> Tensor<1, Int> {
    let count = codes.len();
    let data = TensorData::from_bytes(RawBytes::from_elems(codes), [count], dtype);
    Tensor::from_data(data, (device, dtype))
}

fn round(dense: Tensor<2>, rounded: FloatDType) -> Tensor<2> {
    if rounded == FloatDType::F32 { dense } else { dense.cast(rounded).cast(DType::F32) }
}

fn as_type(dense: Tensor<2>, dtype: FloatDType) -> Tensor<2> {
    if dtype == FloatDType::F32 { dense } else { dense.cast(dtype) }
}
