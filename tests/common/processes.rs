//! Other processes, as a test finds and kills them (`#[path = "../common/processes.rs"] mod processes;`).

/// Processes with this in their command line.
#[cfg(target_os = "linux")]
pub fn running(words: &str) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| {
        let process: u32 = entry.file_name().to_str()?.parse().ok()?;
        let command = std::fs::read(entry.path().join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        command.contains(words).then_some(process)
    })
    .collect()
}

/// Sends a signal, such as `-9`.
#[cfg(unix)]
#[track_caller]
pub fn signal(signal: &str, processes: &[u32]) {
    let words = processes.iter().map(u32::to_string);
    let sent = std::process::Command::new("kill").arg(signal).args(words).status().unwrap();
    assert!(sent.success(), "{signal} {processes:?}");
}
