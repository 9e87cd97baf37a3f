//! What kernels turned out to be on devices.

use std::sync::{PoisonError, RwLock};

use burn::tensor::{DType, Device, Tensor};
use protocol::{Text, text};

use crate::device::fault;

/// A kernel and its twin: the composition of tensor operations whose numbers it must give.
pub trait Own: Sync {
    /// A word for log and report.
    fn name(&self) -> &'static str;

    /// The element type that it runs in where a model's is `dtype`.
    fn runs_in(&self, dtype: DType) -> DType {
        dtype
    }

    /// Prepares fixed input on a device; what is given back makes the results from it, again and again, on either path.
    /// Whatever input a kernel may overwrite must be among the results too, behind them, to show that it did not.
    fn work(&self, scale: Scale, device: &Device, dtype: DType) -> Work;
}

/// See [`Own::work`].
pub type Work = Box<dyn Fn(Path) -> Vec<Tensor<1>>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    Kernel,
    Twin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Small, with everything that a kernel distinguishes.
    Trial,
    /// As in a step of training, to be timed.
    Real,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Serves,
    /// It could not be compiled or launched, or panicked: the words of whoever said so.
    Failed(String),
    /// Parts of the largest number by which it is off.
    Differs(f64),
}

impl Verdict {
    fn words(&self) -> Option<Text> {
        match self {
            Self::Serves => None,
            Self::Failed(why) => {
                let why = fault::reason(why);
                Some(text!("failed ({why})", "运行失败（{why}）"))
            }
            Self::Differs(by) => Some(text!("is off by {by:.1e}", "误差为 {by:.1e}")),
        }
    }
}

struct Entry {
    kernel: &'static str,
    device: Device,
    dtype: DType,
    verdict: Verdict,
}

/// Verdicts by kernel, device and element type.
pub struct Verdicts(RwLock<Vec<Entry>>);

impl Verdicts {
    pub const fn new() -> Self {
        Self(RwLock::new(Vec::new()))
    }

    /// Tries the kernels that have no verdict yet.
    pub fn settle(&self, kernels: &[&'static dyn Own], device: &Device, dtype: DType) {
        for kernel in kernels {
            let dtype = kernel.runs_in(dtype);
            if self.of(kernel.name(), device, dtype).is_some() {
                continue;
            }
            let verdict = judge(*kernel, device, dtype);
            if let Some(words) = verdict.words() {
                tracing::warn!(
                    "the kernel {} in {dtype:?} {}: its composition is used instead",
                    kernel.name(),
                    words.en
                );
            }
            let entry = Entry { kernel: kernel.name(), device: device.clone(), dtype, verdict };
            self.0.write().unwrap_or_else(PoisonError::into_inner).push(entry);
        }
    }

    /// None: not tried.
    pub fn of(&self, kernel: &str, device: &Device, dtype: DType) -> Option<Verdict> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let same = |entry: &&Entry| entry.kernel == kernel && entry.dtype == dtype && entry.device == *device;
        entries.iter().find(same).map(|entry| entry.verdict.clone())
    }

    /// Which kernels are left out on the device, and why; None if none is.
    pub fn told(&self, device: &Device) -> Option<Text> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let told: Vec<(String, String)> = entries
            .iter()
            .filter(|entry| entry.device == *device)
            .filter_map(|entry| {
                let words = entry.verdict.words()?;
                let name = format!("{} ({:?})", entry.kernel, entry.dtype);
                Some((format!("{name} {}", words.en), format!("{name} {}", words.zh)))
            })
            .collect();
        let (en, zh): (Vec<_>, Vec<_>) = told.into_iter().unzip();
        (!en.is_empty()).then(|| {
            Text::new(
                format!("Slower, without own kernels: {}", en.join("; ")),
                format!("未使用以下自有内核，速度较慢：{}", zh.join("；")),
            )
        })
    }
}

impl Default for Verdicts {
    fn default() -> Self {
        Self::new()
    }
}

/// A thread of its own: a kernel that cannot be compiled panics, in more than one place.
fn judge(kernel: &'static dyn Own, device: &Device, dtype: DType) -> Verdict {
    let device = device.clone();
    let run = move || -> Result<Verdict, String> {
        let work = kernel.work(Scale::Trial, &device, dtype);
        let ours = values(work(Path::Kernel))?;
        // The twin has the same input: a kernel that has overwritten what it should not is found here, too.
        let twin = values(work(Path::Twin))?;
        Ok(compare(&ours, &twin, allowed(dtype)))
    };
    match std::thread::spawn(run).join() {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(why)) => Verdict::Failed(why),
        Err(panic) => Verdict::Failed(crate::worker::panic_message(panic.as_ref())),
    }
}

/// By how many parts of the largest number results may differ: sums in another order; in few bits, a step of the last
/// bit that both sides round to.
fn allowed(dtype: DType) -> f64 {
    match dtype {
        DType::BF16 => 1.0 / 64.0,
        DType::F16 => 1.0 / 512.0,
        _ => 1e-4,
    }
}

fn values(tensors: Vec<Tensor<1>>) -> Result<Vec<Vec<f32>>, String> {
    let read = |tensor: Tensor<1>| {
        let data = tensor.cast(DType::F32).try_into_data().map_err(|err| err.to_string())?;
        data.try_to_vec::<f32>().map_err(|err| format!("{err:?}"))
    };
    tensors.into_iter().map(read).collect()
}

fn compare(ours: &[Vec<f32>], twin: &[Vec<f32>], allowed: f64) -> Verdict {
    if ours.len() != twin.len() {
        return Verdict::Differs(f64::INFINITY);
    }
    let worst = ours.iter().zip(twin).map(|(ours, twin)| difference(ours, twin)).fold(0.0, worse);
    if worst <= allowed { Verdict::Serves } else { Verdict::Differs(worst) }
}

/// The larger of both; what is no number is the worst.
fn worse(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::INFINITY } else { a.max(b) }
}

/// The largest difference, as a part of the twin's largest number.
fn difference(ours: &[f32], twin: &[f32]) -> f64 {
    if ours.len() != twin.len() {
        return f64::INFINITY;
    }
    let largest = twin.iter().fold(0f64, |largest, value| worse(largest, f64::from(value.abs())));
    let apart = ours.iter().zip(twin).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs()).fold(0.0, worse);
    if apart == 0.0 { 0.0 } else { apart / largest }
}
