//! How busy the device is, as the engine tells it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::{EngineOptions, spawn};
use protocol::{Command, DeviceStats, Event, RequestId, RunEvent};

use super::support::Project;

#[test]
fn the_device_is_told_of_once_a_second_at_work_and_not_at_rest() {
    let project = Project::new();
    let nowhere = PathBuf::from("/nonexistent");
    let options = EngineOptions { device: "cpu".into(), runs_dir: nowhere.clone(), log_dir: nowhere };
    let engine = spawn(options, Arc::new(|| {}));
    let pulse = |wait: Duration| -> Option<(Instant, DeviceStats)> {
        let until = Instant::now() + wait;
        loop {
            match engine.events.recv_deadline(until) {
                Ok(Event::Device { stats }) => return Some((Instant::now(), stats)),
                Ok(Event::Run { update: RunEvent::Ended { outcome }, .. }) => println!("{outcome:?}"),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    };
    let second = Duration::from_secs(1);
    let (_, rest) = pulse(second * 20).unwrap();
    assert!(rest.memory_total > 1 << 28 && rest.memory_used <= rest.memory_total);
    assert!(rest.process_bytes > 1 << 20 && rest.memory_ours == rest.process_bytes);
    assert_eq!(pulse(second * 2).map(|(_, stats)| stats), None, "nothing is told at rest");

    engine.send(Command::Run(project.start("max_steps = 1000000\n", "a")(RequestId(1))));
    let (begun, _) = pulse(second * 20).unwrap();
    let (at, stats) = pulse(second * 3).unwrap();
    let apart = at - begun;
    assert!(apart > second * 9 / 10, "{apart:?}");
    let load = stats.utilization.unwrap();
    assert!(load > 0.0 && load <= 1.0, "{load}");
    engine.control.stop();
    let mut after = 0;
    while pulse(second * 3).is_some() {
        after += 1;
    }
    assert!((1..4).contains(&after), "a last one at rest, and silence");
    engine.send(Command::Shutdown);
    let last = engine.events.iter().last();
    assert_eq!(last, Some(Event::Stopped));
    engine.join();
}
