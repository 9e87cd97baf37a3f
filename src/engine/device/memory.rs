//! Memory of the device: what this process holds of it, and what a new run may take.

use std::path::{Component, Path, PathBuf};

use protocol::DeviceKind;
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

use super::{Chosen, cuda};

/// Memory in use by this process: of the device's pools on a GPU, resident memory on the CPU.
pub fn memory_in_use(chosen: &Chosen) -> u64 {
    match chosen.report.kind {
        DeviceKind::Cuda | DeviceKind::Wgpu => {
            chosen.device.memory_pool_usage().map_or(0, |usage| usage.bytes_reserved)
        }
        DeviceKind::Cpu => resident_bytes(),
    }
}

/// Memory that a new run may take of each of its devices: the least that one has.
pub fn memory_free_each(chosen: &Chosen) -> u64 {
    if chosen.shares_memory() {
        return memory_free(chosen);
    }
    chosen.all().map(memory_free).min().unwrap_or(0)
}

/// The most that one of the devices of a run has in use.
pub fn memory_in_use_at_most(chosen: &Chosen) -> u64 {
    if chosen.shares_memory() {
        return memory_in_use(chosen);
    }
    chosen.all().map(memory_in_use).max().unwrap_or(0)
}

/// Memory that a new run may take.
pub fn memory_free(chosen: &Chosen) -> u64 {
    match chosen.report.kind {
        DeviceKind::Cuda | DeviceKind::Wgpu => gpu_free(chosen),
        DeviceKind::Cpu => host_memory_free(),
    }
}

/// Memory of the host that may still be taken.
pub fn host_memory_free() -> u64 {
    let available = system_memory().map_or(u64::MAX, |system| system.available_memory());
    available.min(group_free().unwrap_or(u64::MAX))
}

/// What the driver has left for anybody, and what our pools hold without using it.
fn gpu_free(chosen: &Chosen) -> u64 {
    let usage = chosen.device.memory_pool_usage().unwrap_or_default();
    let total = chosen.report.memory_bytes;
    let idle = usage.bytes_reserved.saturating_sub(usage.bytes_in_use);
    let asked = match chosen.report.kind {
        DeviceKind::Cuda => cuda::driver_free(&chosen.device),
        DeviceKind::Cpu | DeviceKind::Wgpu => None,
    };
    match asked {
        Some(free) => (free + idle).min(total),
        None => total.saturating_sub(usage.bytes_in_use),
    }
}

/// The machine's memory, where the system tells.
pub fn system_memory() -> Option<System> {
    let mut system = System::new().ok()?;
    system.refresh_memory();
    Some(system)
}

/// Resident memory of this process; 0 where the system does not tell.
pub fn resident_bytes() -> u64 {
    let (Ok(pid), Ok(mut system)) = (sysinfo::get_current_pid(), System::new()) else { return 0 };
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[pid]),
        true,
        ProcessRefreshKind::nothing().with_memory(),
    );
    system.process(pid).map_or(0, sysinfo::Process::memory)
}

/// What this process's control group leaves free: containers and services have less than the machine.
fn group_free() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    control_group_free(Path::new("/sys/fs/cgroup"), &groups)
}

/// File names of a version of control groups.
struct Files {
    limit: &'static str,
    usage: &'static str,
    /// Keys of `memory.stat`: the page cache, and the part of it that is memory of programs.
    cache: &'static str,
    shared: &'static str,
}

const VERSION_1: Files = Files {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    cache: "total_cache",
    shared: "total_shmem",
};
const VERSION_2: Files =
    Files { limit: "memory.max", usage: "memory.current", cache: "file", shared: "shmem" };

/// Bytes that the groups named in `groups` (the text of `/proc/self/cgroup`) leave free below `mount`; none where
/// no group has a limit. Own code, since `sysinfo` counts the page cache as taken: after a model's file has been
/// read nothing would seem to be left.
pub fn control_group_free(mount: &Path, groups: &str) -> Option<u64> {
    let mut free = None;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (root, files) = match controllers {
            "" => (mount.to_owned(), &VERSION_2),
            _ if controllers.split(',').any(|name| name == "memory") => (mount.join("memory"), &VERSION_1),
            _ => continue,
        };
        let levels = levels(&root, path);
        let tightest = levels.iter().filter_map(|folder| level_free(folder, files)).min();
        free = [free, tightest].into_iter().flatten().min();
    }
    free
}

/// The group and all groups around it, up to the mount. Inside a container the path may be that of the host,
/// which is not mounted: then the mount itself is the container's group.
fn levels(root: &Path, path: &str) -> Vec<PathBuf> {
    let inner = Path::new(path.trim_start_matches('/'));
    let sound = inner.components().all(|part| matches!(part, Component::Normal(_)));
    let group =
        Some(root.join(inner)).filter(|group| sound && group.is_dir()).unwrap_or_else(|| root.to_owned());
    group.ancestors().take_while(|folder| folder.starts_with(root)).map(Path::to_owned).collect()
}

fn level_free(folder: &Path, files: &Files) -> Option<u64> {
    let number = |name: &str| std::fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    // Without a limit: `max`, or in version 1 the largest multiple of a page.
    let limit = number(files.limit).filter(|limit| *limit < 1 << 60)?;
    let usage = number(files.usage)?;
    let statistics = std::fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let entry = |key: &str| {
        let line = statistics.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        line.and_then(|value| value.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    let reclaimable = entry(files.cache).saturating_sub(entry(files.shared));
    Some(limit.saturating_sub(usage.saturating_sub(reclaimable)))
}
