//! Any GPU, through wgpu: f32 alone. Mesa's lavapipe has the CPU play one, so that the code for GPUs is tested where there is
//! none (ARCHITECTURE.md, "Kernels of our own on GPUs").

use burn::tensor::{Device, DeviceType};
use protocol::{DeviceKind, DeviceReport, Text, text};

use super::{Chosen, Unusable, gpu, memory};

/// Which GPU `wgpu` (the first) or `wgpu:N` names; None where it is neither.
pub fn index(wish: &str) -> Option<u32> {
    super::numbered(wish, "wgpu")
}

/// # Errors
/// Why this GPU cannot be used, and what mends it.
pub fn probe(index: u32) -> Result<Chosen, Unusable> {
    gpu::configure();
    let devices = Device::enumerate(DeviceType::Wgpu).into_vec();
    let count = devices.len();
    let device = devices.into_iter().nth(index as usize).ok_or_else(|| {
        Unusable::new(
            text!(
                "wgpu finds {count} GPUs, and no number {index}",
                "wgpu 找到 {count} 块显卡，没有 {index} 号"
            ),
            Text::fixed(
                "install a driver with Vulkan (Mesa's lavapipe needs no card)",
                "请安装支持 Vulkan 的驱动（Mesa 的 lavapipe 无需显卡）",
            ),
        )
    })?;
    gpu::run_first_kernel(&device).map_err(|reason| {
        Unusable::new(
            text!("A first kernel failed on the GPU ({reason})", "显卡上的首个内核运行失败（{reason}）"),
            Text::fixed("update the GPU's driver", "请更新显卡驱动"),
        )
    })?;
    let chosen = Chosen::new(device.clone(), report(&device, index));
    Ok(gpu::noted(chosen))
}

/// The driver tells no memory: a GPU within the CPU has the machine's.
fn report(device: &Device, index: u32) -> DeviceReport {
    let memory_bytes = memory::system_memory().map_or(0, |system| system.total_memory());
    let name = gpu::name(device, index, "GPU");
    DeviceReport { kind: DeviceKind::Wgpu, index, name, memory_bytes, note: None }
}
