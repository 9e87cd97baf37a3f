//! What a run took of memory beside what was forecast, from its `events.log`.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use protocol::{Outcome, RunEvent, RunMemory};

use super::lines::Lines;
use crate::train::events_log;

/// Of the newest session that ended well; None where the log tells of none, or cannot be read.
pub fn memory(run: &Path) -> Option<RunMemory> {
    let mut lines = Lines::new(BufReader::new(File::open(run.join(events_log::FILE)).ok()?));
    let (mut forecast, mut memory) = (0, None);
    while let Ok(Some((_, line))) = lines.next_line() {
        match serde_json::from_slice(line) {
            Ok(RunEvent::Planned { summary, .. }) => forecast = summary.forecast.total,
            Ok(RunEvent::Ended { outcome: Outcome::Finished { peak_bytes, .. } }) => {
                memory = Some(RunMemory { forecast, peak: peak_bytes });
            }
            _ => {}
        }
    }
    memory.filter(|memory| memory.forecast > 0 && memory.peak > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(total: u64) -> String {
        let summary = protocol::RunSummary {
            forecast: protocol::MemoryForecast { total, ..Default::default() },
            ..Default::default()
        };
        serde_json::to_string(&RunEvent::Planned { dir: "run".into(), summary: Box::new(summary) }).unwrap()
    }

    fn ended(peak_bytes: u64) -> String {
        let outcome = Outcome::Finished {
            reason: protocol::StopReason::Completed,
            step: 1,
            result: "run/adapter".into(),
            eval_loss: None,
            seconds: 1.0,
            peak_bytes,
        };
        serde_json::to_string(&RunEvent::Ended { outcome }).unwrap()
    }

    #[test]
    fn the_newest_session_that_ended_well_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let told = |lines: &[String]| {
            std::fs::write(dir.path().join(events_log::FILE), lines.join("\n")).unwrap();
            memory(dir.path())
        };
        assert_eq!(memory(dir.path()), None);
        let sessions = [planned(100), ended(90), "no JSON".into(), planned(200), ended(210)];
        assert_eq!(told(&sessions), Some(RunMemory { forecast: 200, peak: 210 }));
        assert_eq!(told(&sessions[..4]), Some(RunMemory { forecast: 100, peak: 90 }));
        assert_eq!(told(&[planned(100), ended(0)]), None, "not measured");
    }
}
