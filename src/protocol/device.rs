//! How busy the device is.

use serde::{Deserialize, Serialize};

/// A reading of the device and the machine. None: not told by this device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DeviceStats {
    /// In use on the device by everybody (CUDA), or by the machine (CPU), in bytes.
    pub memory_used: u64,
    pub memory_total: u64,
    /// In use by this program on the device, in bytes.
    pub memory_ours: u64,
    /// 0 to 1.
    pub utilization: Option<f64>,
    pub temperature_celsius: Option<f64>,
    pub power_watts: Option<f64>,
    /// Resident memory of the engine's process, in bytes.
    pub process_bytes: u64,
}
