//! Kernels of our own on GPUs (package `kernels`), each beside the composition that it stands in for.
//!
//! Nobody can try every GPU. So a kernel is used on a device only after it was held against its composition on that very
//! device: [`settle`] does so when a model is put there. A kernel that fails or disagrees is left out, and said to be.

mod adamw;
mod bytes;
mod cross_entropy;
#[cfg(feature = "gpu")]
mod cube;
#[cfg(not(feature = "gpu"))]
#[path = "no_cube.rs"]
mod cube;
mod nibbles;
mod norm;
mod rope;
mod softmax;
mod squares;
mod swiglu;
mod verdicts;

pub use verdicts::{Own, Path, Scale, Verdict, Verdicts, Work};

use std::sync::LazyLock;

use burn::backend::DispatchDevice;
use burn::tensor::{DType, Device, FloatDType, Tensor};
use protocol::Text;

/// Makes the list of kernels; each has a file with its `KERNEL`.
macro_rules! kernels {
    ($($name:ident)*) => {
        /// Every kernel of our own.
        pub static KERNELS: &[&dyn Own] = &[$(&$name::KERNEL),*];
    };
}

kernels! { cross_entropy softmax nibbles bytes norm swiglu rope adamw squares }

pub use self::bytes::dense as dense_bytes;
pub use adamw::adamw;
pub use cross_entropy::cross_entropy;
pub use nibbles::dense as dense_nibbles;
pub use norm::{fits as norm_fits, gradients as norm_gradients, norm};
pub use rope::{Turn, rope};
pub use softmax::{Sight, fits as softmax_fits, probabilities, score_gradients};
pub use squares::sum_of_squares;
pub use swiglu::{fits as swiglu_fits, gradients as swiglu_gradients, swiglu};

/// `off` in this variable leaves every kernel of our own out.
const SWITCH: &str = "EMBERWRIGHT_KERNELS";

static VERDICTS: Verdicts = Verdicts::new();

/// Tries every kernel in this element type on a device that could have them, once.
pub fn settle(device: &Device, dtype: DType) {
    let device = device.clone().inner();
    if possible(&device) && !off() {
        VERDICTS.settle(KERNELS, &device, dtype);
    }
}

/// What every kernel turned out to be on a device, by name: for the log of a bench.
pub fn verdicts(device: &Device, dtype: DType) -> Vec<(&'static str, Option<Verdict>)> {
    let device = device.clone().inner();
    let of = |kernel: &&'static dyn Own| VERDICTS.of(kernel.name(), &device, kernel.runs_in(dtype));
    KERNELS.iter().map(|kernel| (kernel.name(), of(kernel))).collect()
}

/// For the report of a device: which kernels are left out, and why; None where there is nothing to say.
pub fn note(device: &Device) -> Option<Text> {
    let device = device.clone().inner();
    if possible(&device) && off() {
        return Some(Text::new(
            format!("Own kernels are off ({SWITCH})"),
            format!("自有内核已关闭（{SWITCH}）"),
        ));
    }
    VERDICTS.told(&device)
}

/// Whether attention's probabilities come from a kernel there.
pub fn softmax_serves(device: &Device, dtype: DType) -> bool {
    serves(&softmax::KERNEL, device, dtype)
}

/// Which kernels serve, as the forecast of memory counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Serving {
    /// Attention's scores become probabilities in their place.
    pub softmax: bool,
    /// Logits become their gradient in their place.
    pub cross_entropy: bool,
    /// Matrices in few bits become dense without anything in between.
    pub unpacking: bool,
    /// Norms and SwiGLU, forwards and backwards.
    pub layers: bool,
}

/// As far as it is known: before a model was on the device, none.
pub fn serving(device: &Device, dtype: DType) -> Serving {
    Serving {
        softmax: softmax_serves(device, dtype),
        cross_entropy: serves(&cross_entropy::KERNEL, device, dtype),
        unpacking: serves(&nibbles::KERNEL, device, dtype) && serves(&bytes::KERNEL, device, dtype),
        layers: serves(&norm::KERNEL, device, dtype) && serves(&swiglu::KERNEL, device, dtype),
    }
}

fn serves(kernel: &dyn Own, device: &Device, dtype: DType) -> bool {
    let device = device.clone().inner();
    possible(&device) && VERDICTS.of(kernel.name(), &device, dtype) == Some(Verdict::Serves)
}

/// Whether the kernel serves these tensors: of one element type, and of a size that it can count.
fn fits<const D: usize>(kernel: &dyn Own, tensors: &[&Tensor<D>]) -> bool {
    let Some(first) = tensors.first() else { return false };
    let countable = |tensor: &&Tensor<D>| (1..=MOST).contains(&tensor.dims().iter().product());
    let alike = tensors.iter().all(|tensor| countable(tensor) && tensor.dtype() == first.dtype());
    alike && serves(kernel, &first.device(), first.dtype())
}

/// Whether the kernels are left out: those for GPUs, and those of the CPU that take 16 bits.
pub fn off() -> bool {
    static OFF: LazyLock<bool> = LazyLock::new(|| std::env::var_os(SWITCH).is_some_and(|word| word == "off"));
    *OFF
}

/// Whether the device is of the kind that the kernels are for.
fn possible(device: &Device) -> bool {
    match device.as_dispatch() {
        #[cfg(feature = "gpu")]
        DispatchDevice::Cube(_) => true,
        DispatchDevice::Flex(_) | DispatchDevice::Autodiff(_) => false,
    }
}

/// A matrix that is to be made from few bits.
#[derive(Clone, Copy, Debug)]
pub struct Dense {
    pub shape: [usize; 2],
    /// What a product of value and scale is rounded to first.
    pub rounded: FloatDType,
    pub dtype: FloatDType,
}

impl Dense {
    fn elements(&self) -> usize {
        self.shape[0] * self.shape[1]
    }

    /// Whether a kernel that rounds once, to the element type, does the same; `unit` elements are made at a time.
    fn suits(&self, unit: usize) -> bool {
        let once = self.rounded == FloatDType::F32 || self.rounded == self.dtype;
        let elements = self.elements();
        once && elements > 0 && elements <= MOST && elements.is_multiple_of(unit)
    }
}

/// Kernels count elements in 32 bits.
const MOST: usize = i32::MAX as usize;

/// Numbers between −1 and 1 that fall into no pattern a kernel could mistake, the same at every call.
fn pattern<const D: usize>(dims: [usize; D], seed: f64, device: &Device, dtype: DType) -> Tensor<D> {
    let count = dims.iter().product();
    let value = |at: usize| ((at as f64 * 12.9898 + seed * 78.233).sin() * 43_758.545).fract() as f32;
    let values: Vec<f32> = (0..count).map(value).collect();
    let data = burn::tensor::TensorData::new(values, dims);
    Tensor::<D>::from_data(data, (device, DType::F32)).cast(dtype)
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    tensor.flatten(0, D - 1)
}
