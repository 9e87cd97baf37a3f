//! What the GPUs of every runtime have in common.

use std::path::PathBuf;

use burn::tensor::{Device, FloatDType, Tensor};
use cubecl::config::cache::CacheConfig;
use cubecl::config::streaming::StreamPriority;
use cubecl::config::{CubeClRuntimeConfig, RuntimeConfig};
use protocol::Text;

use super::{Chosen, fault};
use crate::nn::ops::own;

/// Sets up cubecl before its first use. Only what this program decides; `CUBECL_…` variables still count, files
/// named `burn.toml` or `cubecl.toml` in the current folder do not.
pub fn configure() {
    let mut config = CubeClRuntimeConfig::default();
    // A desktop on the same GPU stays usable.
    config.streaming.priority = StreamPriority::Low;
    keep_kernels(&mut config, crate::cache::kernels());
    // Whoever comes first wins; both threads of the engine say the same.
    CubeClRuntimeConfig::try_set(config.override_from_env());
}

/// Compiled kernels and what tuning chose among them stay on disk: the first step of the next run does not wait for
/// either. Without a folder nothing is kept (cubecl's own choice would be the folder that the program was started in).
fn keep_kernels(config: &mut CubeClRuntimeConfig, folder: Option<PathBuf>) {
    config.compilation.cache = folder.is_some();
    config.autotune.disable_cache = folder.is_none();
    config.throughput.disable_cache = folder.is_none();
    if let Some(folder) = folder {
        config.environment.path = CacheConfig::Directory(folder);
    }
}

/// With what is known of our own kernels on it by now.
pub fn noted(mut chosen: Chosen) -> Chosen {
    let notes = [chosen.report.note.take(), own::note(&chosen.device)];
    chosen.report.note = notes.into_iter().flatten().reduce(|first, second| {
        Text::new(format!("{}; {}", first.en, second.en), format!("{}；{}", first.zh, second.zh))
    });
    chosen
}

/// Compiles and runs a kernel in each dtype of the program. A thread of its own, since a device that cannot be
/// started panics.
///
/// # Errors
/// Why it failed, in the words of whoever said so.
pub fn run_first_kernel(device: &Device) -> Result<(), String> {
    let trial = device.clone();
    let run = move || -> Result<(), String> {
        let ones = Tensor::<1>::ones([8], &trial);
        (ones.clone() * 2.0).try_into_data().map_err(|err| err.to_string())?;
        if trial.supports_dtype(FloatDType::BF16) {
            (ones.cast(FloatDType::BF16) * 2.0).try_into_data().map_err(|err| err.to_string())?;
        }
        Ok(())
    };
    let reason = match std::thread::spawn(run).join() {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(message)) => message,
        Err(panic) => crate::worker::panic_message(panic.as_ref()),
    };
    tracing::warn!("the first kernel on the GPU failed: {reason}");
    Err(fault::reason(&reason))
}

pub fn name(device: &Device, index: u32, kind: &str) -> String {
    device.identity().map_or_else(|| format!("{kind} {index}"), |identity| identity.name)
}
