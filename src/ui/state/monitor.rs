//! How busy the device was in the last two minutes.

use std::collections::VecDeque;

use protocol::DeviceStats;

/// Seconds that are kept.
pub const WINDOW: f64 = 120.0;
/// Readings that are kept at most, however fast they come.
const MOST: usize = 1200;

/// Readings, oldest first, with the window's clock in seconds.
#[derive(Debug, Default)]
pub struct Monitor {
    readings: VecDeque<(f64, DeviceStats)>,
}

impl Monitor {
    pub fn push(&mut self, now: f64, stats: DeviceStats) {
        while self.readings.front().is_some_and(|(then, _)| now - then > WINDOW) {
            self.readings.pop_front();
        }
        if self.readings.len() == MOST {
            self.readings.pop_front();
        }
        self.readings.push_back((now, stats));
    }

    pub fn last(&self) -> Option<&DeviceStats> {
        self.readings.back().map(|(_, stats)| stats)
    }

    pub fn readings(&self) -> impl Iterator<Item = &(f64, DeviceStats)> + Clone {
        self.readings.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_minutes_are_kept() {
        let mut monitor = Monitor::default();
        for second in 0..300 {
            let stats = DeviceStats { memory_used: second, ..DeviceStats::default() };
            monitor.push(second as f64, stats);
        }
        assert_eq!(monitor.last().unwrap().memory_used, 299);
        assert_eq!(monitor.readings().next().unwrap().0, 299.0 - WINDOW);
        for _ in 0..5000 {
            monitor.push(300.0, DeviceStats::default());
        }
        assert_eq!(monitor.readings().count(), MOST);
    }
}
