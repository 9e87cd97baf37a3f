//! What has to happen before the program's first thread: see [`prepare`].

use std::path::Path;
use std::sync::OnceLock;

static FAILURE: OnceLock<String> = OnceLock::new();

/// Why [`prepare`] could not do its work, for the line that says that the CPU is used.
#[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "only the GPU's probe asks"))]
pub fn failure() -> Option<&'static str> {
    FAILURE.get().map(String::as_str)
}

/// Lets CUDA find its kernel compiler. To be called first in `main`: where there is an NVIDIA driver and a
/// toolkit that the environment does not point to yet, this runs the program again, in the same process, with
/// `CUDA_PATH` and `LD_LIBRARY_PATH` set (why: [`links`](super::links)), and does not return. `cache` is the
/// program's own folder in the user's cache.
///
/// Whatever goes wrong here is said when the device is chosen.
pub fn prepare(cache: &Path) {
    crate::cache::set(cache);
    #[cfg(all(feature = "cuda", target_os = "linux"))]
    linux::prepare(cache);
}

#[cfg(all(feature = "cuda", target_os = "linux"))]
mod linux {
    use std::ffi::{OsStr, OsString};
    use std::io;
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::Command;

    use super::super::cuda::driver_version;
    use super::super::links;
    use super::super::toolkit::{self, SearchRoots, Toolkit};

    /// Holds the id of the process that ran itself again: `exec` keeps the id, so this ends any loop, and a
    /// child that inherits the variable has another id.
    const GUARD: &str = "EMBERWRIGHT_PREPARED";

    pub fn prepare(cache: &Path) {
        let own_id = OsString::from(std::process::id().to_string());
        if !has_driver() || std::env::var_os(GUARD).is_some_and(|id| id == own_id) || points_into(cache) {
            return;
        }
        let Ok(toolkit) = toolkit::find(&SearchRoots::of_this_machine(driver_version())) else { return };
        let Err(err) = run_again(&toolkit, cache, &own_id);
        // The log is not open yet.
        super::FAILURE.get_or_init(|| err.to_string());
    }

    /// Native, or Windows' driver under WSL.
    fn has_driver() -> bool {
        ["/dev/nvidiactl", "/dev/dxg"].iter().any(|device| Path::new(device).exists())
    }

    /// A child of a prepared program has everything set.
    fn points_into(cache: &Path) -> bool {
        let Some(root) = std::env::var_os("CUDA_PATH") else { return false };
        let libraries = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let first = std::env::split_paths(&libraries).next();
        let root = Path::new(&root);
        root.starts_with(cache) && first == Some(root.join("lib64")) && toolkit::lacking(root).is_empty()
    }

    /// Returns only when it could not.
    fn run_again(
        toolkit: &Toolkit,
        cache: &Path,
        own_id: &OsStr,
    ) -> Result<std::convert::Infallible, io::Error> {
        let root = links::make(&links::plan(toolkit)?, cache)?;
        let mut libraries = root.join("lib64").into_os_string();
        if let Some(before) = std::env::var_os("LD_LIBRARY_PATH").filter(|value| !value.is_empty()) {
            libraries.push(":");
            libraries.push(before);
        }
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_default();
        let mut command = Command::new(std::env::current_exe()?);
        command.arg0(name).args(arguments);
        Err(command.env("CUDA_PATH", &root).env("LD_LIBRARY_PATH", libraries).env(GUARD, own_id).exec())
    }
}
