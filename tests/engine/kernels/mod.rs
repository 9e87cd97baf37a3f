//! Kernels of our own on the GPU that `EMBERWRIGHT_TEST_DEVICE` names: against their compositions, in numbers and in time.
//! Without a GPU nothing is checked here; `tests/kernels` runs the same kernels on the CPU.

mod verdicts;

use std::time::Instant;

use burn::tensor::{DType, FloatDType};
use engine::device::Chosen;
use engine::nn::ops::own::{self, KERNELS, Path, Scale, Verdict};
use protocol::DeviceKind;

use crate::golden::chosen;

/// The GPU and the element types that it computes in.
fn gpu() -> Option<(Chosen, Vec<DType>)> {
    let chosen = chosen();
    if !chosen.report.kind.is_gpu() {
        println!(
            "NOT RUN: {} kernels on a GPU (set EMBERWRIGHT_TEST_DEVICE=cuda:0, or wgpu in a build with that feature)",
            KERNELS.len()
        );
        return None;
    }
    let halves = [FloatDType::BF16, FloatDType::F16].into_iter();
    let halves = halves.filter(|dtype| chosen.device.supports_dtype(*dtype)).map(DType::from);
    let types = std::iter::once(DType::F32).chain(halves).collect();
    Some((chosen, types))
}

/// WGSL has no integers of eight bits, in which matrices in few bits lie.
fn has_bytes(chosen: &Chosen) -> bool {
    chosen.report.kind != DeviceKind::Wgpu
}

#[test]
fn kernels_agree_with_their_compositions_on_this_gpu() {
    let Some((chosen, types)) = gpu() else { return };
    let mut wrong = Vec::new();
    for dtype in types {
        own::settle(&chosen.device, dtype);
        for (name, verdict) in own::verdicts(&chosen.device, dtype) {
            if ["nibbles", "bytes"].contains(&name) && !has_bytes(&chosen) {
                println!("NOT RUN: {name} {dtype:?} (this device has no bytes)");
                continue;
            }
            println!("{name} {dtype:?}: {verdict:?}");
            if verdict != Some(Verdict::Serves) {
                wrong.push(format!("{name} {dtype:?}: {verdict:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}; the report says: {:?}", own::note(&chosen.device));
}

/// A line for each kernel and element type: milliseconds of the kernel and of its composition at the size of a step. The
/// input is used again, so that of what a kernel overwrites a copy is timed with it.
#[test]
fn kernels_against_their_compositions_timed() {
    let Some((chosen, types)) = gpu() else { return };
    if !has_bytes(&chosen) {
        println!("NOT RUN: times of kernels (a processor that plays a GPU tells nothing of them)");
        return;
    }
    for (dtype, kernel) in types.iter().flat_map(|dtype| KERNELS.iter().map(move |kernel| (*dtype, kernel))) {
        let work = kernel.work(Scale::Real, &chosen.device, dtype);
        let milliseconds = |path: Path| {
            let mut best = f64::MAX;
            // The first rounds compile and tune. Results live until the device has made them.
            for round in 0..13 {
                let began = Instant::now();
                let results = work(path);
                chosen.device.sync().unwrap();
                let each = began.elapsed().as_secs_f64() * 1e3;
                drop(results);
                best = if round < 3 { best } else { best.min(each) };
            }
            best
        };
        let (own, composed) = (milliseconds(Path::Kernel), milliseconds(Path::Twin));
        println!(
            "bench {:14} {dtype:?}: kernel {own:8.3} ms, composition {composed:8.3} ms, {:5.2} x",
            kernel.name(),
            composed / own
        );
    }
}
