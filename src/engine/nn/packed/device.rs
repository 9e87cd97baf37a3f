//! A packed matrix on a device.

use burn::tensor::{DType, Device, FloatDType, Tensor};

use super::{Code, Nested, Outputs, Quantised, Scales};
use crate::nn::ops::{Bytes, FEW_ROWS, Nibbles, ScaleBytes};

/// A frozen matrix in few bits, as tensors of the device. It is outside every graph: a gradient goes through it to
/// what it is multiplied with, never into it.
#[derive(Clone, Debug)]
pub struct Packed {
    shape: [usize; 2],
    codes: Codes,
    scales: DeviceScales,
    rounded: FloatDType,
}

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there are only as many as the model has matrices")]
enum Codes {
    Nibbles(Nibbles),
    Bytes(Bytes),
}

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there are only as many as the model has matrices")]
enum DeviceScales {
    Plain(Tensor<1>),
    Nested(ScaleBytes),
}

impl DeviceScales {
    fn expanded(&self) -> Tensor<1> {
        match self {
            Self::Plain(scales) => scales.clone(),
            Self::Nested(nested) => nested.expanded(),
        }
    }
}

impl Packed {
    /// Puts codes and scales on a device.
    pub fn new(host: Quantised, device: &Device) -> Self {
        let Quantised { shape, code, codes, scales, rounded } = host;
        let codes = match code {
            Code::Nibbles { table, block } => {
                Codes::Nibbles(Nibbles::new(codes, shape[0] * shape[1], table, block, device))
            }
            Code::Bytes(outputs) => Codes::Bytes(Bytes::new(codes, outputs == Outputs::Rows, device)),
        };
        let scales = match scales {
            Scales::Plain(scales) => {
                DeviceScales::Plain(Tensor::from_data(scales.as_slice(), (device, DType::F32)))
            }
            Scales::Nested(Nested { codes, table, block, scales, offset }) => {
                DeviceScales::Nested(ScaleBytes::new(codes, &table, block, &scales, offset, device))
            }
        };
        Self { shape, codes, scales, rounded }
    }

    /// The matrix itself, made anew at every call.
    pub fn dense(&self, dtype: FloatDType) -> Tensor<2> {
        let scales = self.scales.expanded();
        match &self.codes {
            Codes::Nibbles(nibbles) => nibbles.dense(scales, self.shape, self.rounded, dtype),
            Codes::Bytes(bytes) => bytes.dense(scales, self.shape, self.rounded, dtype),
        }
    }

    /// `x · wᵀ` for this matrix `w`, where that takes no dense copy of it: of a few rows of one token each outside
    /// every graph, as decoding has them, on the CPU.
    pub fn few_rows(&self, x: &Tensor<3>) -> Option<Tensor<3>> {
        let [rows, time, _] = x.dims();
        if x.is_autodiff() || time != 1 || rows > FEW_ROWS {
            return None;
        }
        let scales = self.scales.expanded();
        match &self.codes {
            Codes::Nibbles(nibbles) => nibbles.few_rows(x, scales, self.shape, self.rounded),
            Codes::Bytes(bytes) => bytes.few_rows(x, scales, self.shape, self.rounded),
        }
    }
}
