//! Readings of the device and the machine.

use protocol::{DeviceKind, DeviceStats};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use super::{Chosen, cuda, memory_in_use};

/// Keeps what a reading needs of the one before: a processor's load is a difference.
pub struct Meter {
    chosen: Chosen,
    gpu: Option<cuda::Gauge>,
    /// None where the system does not tell.
    system: Option<System>,
    process: Option<Pid>,
}

impl Meter {
    pub fn new(chosen: Chosen) -> Self {
        let gpu =
            if chosen.report.kind == DeviceKind::Cuda { cuda::Gauge::new(&chosen.device) } else { None };
        let (system, process) = (System::new().ok(), sysinfo::get_current_pid().ok());
        Self { chosen, gpu, system, process }
    }

    pub fn read(&mut self) -> DeviceStats {
        let process_bytes = self.process_bytes();
        let total = self.chosen.report.memory_bytes;
        match self.chosen.report.kind {
            DeviceKind::Cuda | DeviceKind::Wgpu => {
                let read = self.gpu.as_ref().map(cuda::Gauge::read).unwrap_or_default();
                let memory_total = if read.memory_total == 0 { total } else { read.memory_total };
                let memory_ours = memory_in_use(&self.chosen);
                let memory_used = if read.memory_used == 0 { memory_ours } else { read.memory_used };
                DeviceStats { memory_used, memory_total, memory_ours, process_bytes, ..read }
            }
            DeviceKind::Cpu => self.machine(process_bytes),
        }
    }

    fn process_bytes(&mut self) -> u64 {
        let (Some(system), Some(pid)) = (&mut self.system, self.process) else { return 0 };
        let memory = ProcessRefreshKind::nothing().with_memory();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, memory);
        system.process(pid).map_or(0, sysinfo::Process::memory)
    }

    fn machine(&mut self, process_bytes: u64) -> DeviceStats {
        let Some(system) = &mut self.system else {
            return DeviceStats {
                memory_total: self.chosen.report.memory_bytes,
                process_bytes,
                ..DeviceStats::default()
            };
        };
        // The load since the last reading; the first one has nothing to be a difference to.
        let first = system.cpus().is_empty();
        system.refresh_memory();
        system.refresh_cpu_usage();
        let load = f64::from(system.global_cpu_usage()) / 100.0;
        DeviceStats {
            memory_used: system.total_memory().saturating_sub(system.available_memory()),
            memory_total: system.total_memory(),
            memory_ours: process_bytes,
            utilization: Some(load.clamp(0.0, 1.0)).filter(|load| !first && load.is_finite()),
            temperature_celsius: None,
            power_watts: None,
            process_bytes,
        }
    }
}
