//! Where a step's time goes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use burn::tensor::Device;
use protocol::{DeviceKind, Phases};

use crate::device::Chosen;

/// On a device that works behind the program's back, one step in so many is measured: measuring waits for the
/// device at every border, and the steps between run at full speed.
const MEASURED_EVERY: u64 = 20;
/// The first one measured, counted from 0: the very first compiles kernels.
const FIRST_MEASURED: u64 = 1;

/// Measures the parts of one step, or does nothing.
pub struct Clock {
    on: bool,
    /// To wait for at every border; None where the program itself computes.
    device: Option<Device>,
    so_far: Mutex<SoFar>,
}

struct SoFar {
    last: Instant,
    phases: Phases,
}

impl Clock {
    pub fn off() -> Self {
        let so_far = SoFar { last: Instant::now(), phases: Phases::default() };
        Self { on: false, device: None, so_far: Mutex::new(so_far) }
    }

    /// Measures whatever it costs.
    pub fn on(chosen: &Chosen) -> Self {
        let device = (chosen.report.kind != DeviceKind::Cpu).then(|| chosen.device.clone());
        Self { on: true, device, ..Self::off() }
    }

    /// Measures step `step` (from 0) of a run, where that does not slow the run.
    pub fn of_step(step: u64, chosen: &Chosen) -> Self {
        let is_free = chosen.report.kind == DeviceKind::Cpu;
        if is_free || step % MEASURED_EVERY == FIRST_MEASURED { Self::on(chosen) } else { Self::off() }
    }

    /// A part begins.
    pub fn start(&self) {
        if self.on {
            self.wait();
            self.so_far().last = Instant::now();
        }
    }

    /// A part has ended, and the next one begins.
    pub fn lap(&self, part: impl FnOnce(&mut Phases) -> &mut f64) {
        if !self.on {
            return;
        }
        self.wait();
        let now = Instant::now();
        let mut so_far = self.so_far();
        *part(&mut so_far.phases) += now.duration_since(so_far.last).as_secs_f64();
        so_far.last = now;
    }

    /// What was measured; None when off.
    pub fn phases(&self) -> Option<Phases> {
        self.on.then(|| self.so_far().phases)
    }

    fn so_far(&self) -> MutexGuard<'_, SoFar> {
        self.so_far.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self) {
        if let Some(device) = &self.device
            && let Err(err) = device.sync()
        {
            // The read at the step's end meets the same fault and says so to the user.
            tracing::warn!("the device could not be waited for: {err}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::choose;

    #[test]
    fn parts_add_up_to_the_time_that_passed() {
        let clock = Clock::of_step(0, &choose("cpu").unwrap());
        let began = Instant::now();
        clock.start();
        for _ in 0..2 {
            std::thread::sleep(std::time::Duration::from_millis(4));
            clock.lap(|phases| &mut phases.forward);
            std::thread::sleep(std::time::Duration::from_millis(2));
            clock.lap(|phases| &mut phases.backward);
        }
        let phases = clock.phases().unwrap();
        assert!(phases.forward >= 0.008 && phases.backward >= 0.004, "{phases:?}");
        assert!(phases.forward + phases.backward <= began.elapsed().as_secs_f64());
        assert_eq!((phases.data, phases.head, phases.optimizer), (0.0, 0.0, 0.0));
    }

    #[test]
    fn off_it_says_nothing() {
        let clock = Clock::off();
        clock.start();
        clock.lap(|phases| &mut phases.head);
        assert_eq!(clock.phases(), None);
    }
}
