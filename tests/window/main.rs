//! The window with the real engine: driven by labels in this process, and by mouse and keyboard on a display without a
//! screen.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

#[cfg(target_os = "linux")]
#[path = "../common/processes.rs"]
mod processes;

mod display;
mod drive;
mod figures;
mod journey;
#[cfg(target_os = "linux")]
mod killed;
mod record;
