//! The CPU: Burn's Flex backend, always there.

use burn::tensor::Device;
use protocol::{DeviceKind, DeviceReport, Text};

use super::{Chosen, memory, numbered};

/// Workers that the CPU's cores may be shared by.
pub const MOST: u32 = 64;

/// Which worker `cpu` (the first) or `cpu:N` names; None where it is neither.
pub fn index(wish: &str) -> Option<u32> {
    numbered(wish, "cpu").filter(|index| *index < MOST)
}

pub fn choose(index: u32, note: Option<Text>) -> Chosen {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let report = DeviceReport {
        kind: DeviceKind::Cpu,
        index,
        name: format!("CPU, {threads} threads"),
        memory_bytes: memory::system_memory().map_or(0, |system| system.total_memory()),
        note,
    };
    Chosen::new(Device::flex(), report)
}
