//! Stands in for `cuda.rs` in a build without CUDA.

use burn::tensor::Device;
use protocol::{DeviceStats, Text};

use super::{Chosen, Unusable};

pub fn probe(_: u32) -> Result<Chosen, Unusable> {
    Err(Unusable::new(
        Text::fixed("This build has no CUDA", "此版本不含 CUDA"),
        Text::fixed(
            "build with the feature `cuda`, which is on by default",
            "请以默认启用的 `cuda` 特性重新编译",
        ),
    ))
}

pub fn reports() -> Vec<protocol::DeviceReport> {
    Vec::new()
}

pub fn has_transport(_: u32) -> bool {
    false
}

pub fn driver_free(_: &Device) -> Option<u64> {
    None
}

/// Never made in a build without CUDA.
pub struct Gauge(std::convert::Infallible);

impl Gauge {
    pub fn new(_: &Device) -> Option<Self> {
        None
    }

    pub fn read(&self) -> DeviceStats {
        match self.0 {}
    }
}
