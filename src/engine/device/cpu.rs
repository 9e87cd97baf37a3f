//! The CPU: Burn's Flex backend, always there.

use burn::tensor::Device;
use protocol::{DeviceKind, DeviceReport, Text};

use super::{Chosen, memory};

pub fn choose(note: Option<Text>) -> Chosen {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let report = DeviceReport {
        kind: DeviceKind::Cpu,
        index: 0,
        name: format!("CPU, {threads} threads"),
        memory_bytes: memory::system_memory().map_or(0, |system| system.total_memory()),
        note,
    };
    Chosen { device: Device::flex(), report }
}
