//! Which device computes, and where its compiler is found, on made-up machines.

use std::fs;
use std::path::Path;

use burn::tensor::DType;
use engine::device::fault::{self, Fault};
use engine::device::memory::control_group_free;
use engine::device::toolkit::{HEADERS, Missing, SearchRoots, Toolkit, find, install_command, lacking};
use engine::device::{choose, compute_dtype, memory_free, memory_in_use};
use protocol::{DeviceKind, ErrorKind};

fn touch(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "").unwrap();
}

fn headers(include: &Path, names: &[&str]) {
    for name in names {
        touch(&include.join(name));
    }
}

/// As NVIDIA's installer leaves it: NVRTC with its builtins, every header, some in `cccl/` from CUDA 13 on.
fn toolkit(root: &Path, version: &str) {
    let major = version.split('.').next().unwrap();
    touch(&root.join("lib64/libnvrtc.so"));
    touch(&root.join(format!("lib64/libnvrtc.so.{major}")));
    touch(&root.join(format!("lib64/libnvrtc-builtins.so.{version}")));
    let (library, core): (Vec<&str>, Vec<&str>) =
        HEADERS.iter().partition(|name| name.starts_with("nv/") || name.starts_with("cuda/"));
    headers(&root.join("include"), &core);
    headers(&root.join(if major == "13" { "include/cccl" } else { "include" }), &library);
}

/// The four wheels of CUDA 12, as pip unpacks them.
fn wheels(environment: &Path) {
    let site = environment.join("lib/python3.11/site-packages/nvidia");
    touch(&site.join("cuda_nvrtc/lib/libnvrtc.so.12"));
    touch(&site.join("cuda_nvrtc/lib/libnvrtc.alt.so.12"));
    touch(&site.join("cuda_nvrtc/lib/libnvrtc-builtins.so.12.8"));
    headers(
        &site.join("cuda_runtime/include"),
        &["cuda_fp16.h", "cuda_bf16.h", "mma.h", "cooperative_groups.h", "shared/a.h"],
    );
    headers(&site.join("cuda_nvcc/include"), &["crt/mma.h", "shared/b.h", "shared/a.h"]);
    headers(&site.join("cuda_cccl/include"), &["nv/target", "cuda/barrier"]);
}

struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join(path)
    }

    fn roots(&self) -> SearchRoots {
        SearchRoots { system: self.folder.path().to_owned(), ..SearchRoots::default() }
    }

    fn find(&self) -> Result<Toolkit, Missing> {
        find(&self.roots())
    }
}

#[test]
fn a_machine_without_a_toolkit_has_none() {
    assert_eq!(Machine::new().find(), Err(Missing::Everything));
}

#[test]
fn the_usual_folders_are_searched_newest_first() {
    let machine = Machine::new();
    toolkit(&machine.path("usr/local/cuda-12.2"), "12.2");
    toolkit(&machine.path("usr/local/cuda-12.10"), "12.10");
    fs::create_dir_all(machine.path("usr/local/cuda-notes")).unwrap();
    let found = machine.find().unwrap();
    assert_eq!(found.root, machine.path("usr/local/cuda-12.10"));
    assert_eq!(found.includes, [machine.path("usr/local/cuda-12.10/include")]);
    assert_eq!(found.nvrtc, machine.path("usr/local/cuda-12.10/lib64/libnvrtc.so"));
    assert_eq!(found.version, Some(12_100));

    toolkit(&machine.path("usr/local/cuda"), "12.1");
    assert_eq!(
        machine.find().unwrap().root,
        machine.path("usr/local/cuda"),
        "the chosen one before all others"
    );
}

#[test]
fn a_toolkit_beside_the_program_wins_then_the_named_one() {
    let machine = Machine::new();
    toolkit(&machine.path("usr/local/cuda"), "12.8");
    toolkit(&machine.path("named"), "12.8");
    let named = SearchRoots { cuda_path: Some(machine.path("named")), ..machine.roots() };
    assert_eq!(find(&named).unwrap().root, machine.path("named"));
    toolkit(&machine.path("program/cuda"), "12.8");
    let beside = SearchRoots { program: Some(machine.path("program")), ..named };
    assert_eq!(find(&beside).unwrap().root, machine.path("program/cuda"));
}

#[test]
fn distributions_and_conda_have_folders_by_target() {
    let machine = Machine::new();
    let arch = std::env::consts::ARCH;
    touch(&machine.path(&format!("usr/lib/{arch}-linux-gnu/libnvrtc.so.12")));
    headers(&machine.path("usr/include"), &HEADERS);
    assert_eq!(machine.find().unwrap().root, machine.path("usr"));

    let conda = Machine::new();
    touch(&conda.path("env/lib/libnvrtc.so.12"));
    touch(&conda.path("env/include/curses.h"));
    headers(&conda.path(&format!("env/targets/{arch}-linux/include")), &HEADERS);
    let found = find(&SearchRoots { environments: vec![conda.path("env")], ..conda.roots() }).unwrap();
    assert_eq!(
        found.includes,
        [conda.path(&format!("env/targets/{arch}-linux/include"))],
        "not the host's headers"
    );
}

#[test]
fn cuda_13_has_its_library_headers_in_cccl_and_another_soname() {
    let machine = Machine::new();
    let root = machine.path("env/lib/python3.12/site-packages/nvidia/cu13");
    touch(&root.join("lib/libnvrtc.so.13"));
    touch(&root.join("lib/libnvrtc-builtins.so.13.0"));
    headers(
        &root.join("include"),
        &["cuda_fp16.h", "cuda_bf16.h", "mma.h", "crt/mma.h", "cooperative_groups.h"],
    );
    headers(&root.join("include/cccl"), &["nv/target", "cuda/barrier"]);
    let found = find(&SearchRoots { environments: vec![machine.path("env")], ..machine.roots() }).unwrap();
    assert_eq!((found.root.as_path(), found.version), (root.as_path(), Some(13_000)));
    assert_eq!(found.nvrtc, root.join("lib/libnvrtc.so.13"));
}

#[test]
fn missing_headers_are_named() {
    let machine = Machine::new();
    wheels(&machine.path("env"));
    let site = machine.path("env/lib/python3.11/site-packages/nvidia");
    fs::remove_dir_all(site.join("cuda_nvcc")).unwrap();
    fs::remove_dir_all(site.join("cuda_cccl")).unwrap();
    let roots = SearchRoots { environments: vec![machine.path("env")], ..machine.roots() };
    let names = vec!["crt/mma.h", "nv/target", "cuda/barrier"];
    assert_eq!(find(&roots), Err(Missing::Headers { root: site, names }));
}

#[test]
fn a_toolkit_that_the_driver_does_not_serve_is_passed_over() {
    let machine = Machine::new();
    toolkit(&machine.path("usr/local/cuda"), "13.0");
    let roots = SearchRoots { driver: Some(12_080), ..machine.roots() };
    let root = machine.path("usr/local/cuda");
    assert_eq!(find(&roots), Err(Missing::TooNew { root, version: 13_000, driver: 12_080 }));
    toolkit(&machine.path("usr/local/cuda-12.8"), "12.8");
    assert_eq!(find(&roots).unwrap().version, Some(12_080));
}

#[test]
fn the_command_to_install_suits_the_driver() {
    for (driver, version) in
        [(None, "12.8"), (Some(12_040), "12.4"), (Some(12_090), "12.9"), (Some(13_010), "12.9")]
    {
        let command = install_command(driver);
        assert_eq!(command.matches(&format!("-cu12=={version}.*")).count(), 4, "{command}");
    }
}

#[cfg(target_os = "linux")]
mod links {
    use engine::device::links::{make, plan};

    use super::*;

    /// One folder that answers to what cubecl and cudarc ask for, whatever the toolkit looks like.
    #[test]
    fn wheels_become_one_folder_with_one_include() {
        let machine = Machine::new();
        wheels(&machine.path("env"));
        let found =
            find(&SearchRoots { environments: vec![machine.path("env")], ..machine.roots() }).unwrap();
        assert_eq!(found.includes.len(), 3);
        let cache = machine.path("cache");
        let root = make(&plan(&found).unwrap(), &cache).unwrap();
        assert!(lacking(&root).is_empty(), "{:?}", lacking(&root));
        assert!(root.join("include/shared/b.h").is_file(), "folders of the same name are merged");
        let first = root.join("include/shared/a.h").canonicalize().unwrap();
        assert!(first.to_str().unwrap().contains("cuda_runtime"), "the first file of a name counts");
        // The names that cudarc asks for first, and the one that NVRTC asks for.
        assert!(root.join("lib64/libnvrtc.so").is_file());
        assert!(root.join("lib64/libnvrtc-builtins.so.12.8").is_file());
        assert!(root.starts_with(&cache));
    }

    #[test]
    fn a_soname_that_cudarc_does_not_know_gets_the_one_it_does() {
        let machine = Machine::new();
        toolkit(&machine.path("usr/local/cuda-13.0"), "13.0");
        fs::remove_file(machine.path("usr/local/cuda-13.0/lib64/libnvrtc.so")).unwrap();
        let root = make(&plan(&machine.find().unwrap()).unwrap(), &machine.path("cache")).unwrap();
        let real = root.join("lib64/libnvrtc.so").canonicalize().unwrap();
        assert_eq!(real.file_name().unwrap(), "libnvrtc.so.13");
        assert!(lacking(&root).is_empty());
    }

    #[test]
    fn the_same_toolkit_has_the_same_folder_and_a_changed_one_another() {
        let machine = Machine::new();
        toolkit(&machine.path("usr/local/cuda-12.8"), "12.8");
        std::os::unix::fs::symlink(machine.path("usr/local/cuda-12.8"), machine.path("usr/local/cuda"))
            .unwrap();
        let cache = machine.path("cache");
        let make = || make(&plan(&machine.find().unwrap()).unwrap(), &cache).unwrap();
        let first = make();
        assert_eq!(make(), first);
        toolkit(&machine.path("usr/local/cuda-12.9"), "12.9");
        fs::remove_file(machine.path("usr/local/cuda")).unwrap();
        std::os::unix::fs::symlink(machine.path("usr/local/cuda-12.9"), machine.path("usr/local/cuda"))
            .unwrap();
        assert_ne!(make(), first, "the links point to another version");
        let drafts = fs::read_dir(cache.join("cuda"))
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with('.'));
        assert_eq!(drafts.count(), 0, "nothing is left behind");
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_an_error() {
        let machine = Machine::new();
        toolkit(&machine.path("usr/local/cuda"), "12.8");
        touch(&machine.path("cache"));
        let links = plan(&machine.find().unwrap()).unwrap();
        assert!(make(&links, &machine.path("cache")).is_err());
    }
}

#[test]
fn the_cpu_is_always_there_and_computes_in_f32() {
    let chosen = choose("cpu").unwrap();
    assert_eq!((chosen.report.kind, &chosen.report.note), (DeviceKind::Cpu, &None));
    assert_eq!(compute_dtype("auto", &chosen).unwrap(), DType::F32);
    assert_eq!(compute_dtype("bf16", &chosen).unwrap(), DType::BF16);
    assert_eq!(compute_dtype("f16", &chosen).unwrap(), DType::F16);
    assert_eq!(compute_dtype("f8", &chosen).unwrap_err().place.item.as_deref(), Some("model.dtype"));
    let (used, free, total) = (memory_in_use(&chosen), memory_free(&chosen), chosen.report.memory_bytes);
    assert!(used > 1 << 20 && used < total, "{used} of {total}");
    assert!(free > 0 && free < total, "{free} of {total}");
}

#[test]
fn a_device_that_nobody_knows_is_refused_with_the_known_ones() {
    for wish in ["gpu", "cuda:", "cuda:x", "cuda0", "CUDA:0", "cuda:99999999999"] {
        let error = choose(wish).err().unwrap();
        assert_eq!(error.kind, ErrorKind::BadInput, "{wish}");
        let known = "use auto, cpu or cuda:0; workers that share the CPU are cpu:0 to cpu:63";
        assert_eq!(error.mend.unwrap().en, known, "{wish}");
    }
}

/// On a machine with as many GPUs this says nothing; everywhere else a GPU asked for by name is never the CPU.
#[test]
fn a_gpu_asked_for_by_name_is_used_or_refused() {
    let error = choose("cuda:4095").err().unwrap();
    assert_eq!((error.exit_code(), error.place.item.as_deref()), (2, Some("--device")));
    let mend = error.mend.unwrap();
    assert!(mend.en.contains("--device cpu") && mend.zh.contains("--device cpu"), "{mend:?}");
}

#[test]
fn auto_without_a_gpu_says_so_in_one_line() {
    let report = choose("auto").unwrap().report;
    if report.kind == DeviceKind::Cpu {
        let note = report.note.unwrap();
        assert!(note.en.contains("computing on the CPU") && note.zh.contains("CPU"), "{note:?}");
        assert!(!note.en.contains('\n') && !note.zh.contains('\n'), "{note:?}");
    }
}

fn group(folder: &Path, files: &[(&str, &str)]) {
    fs::create_dir_all(folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
}

#[test]
fn a_control_group_leaves_what_its_tightest_level_leaves() {
    let machine = Machine::new();
    let mount = machine.path("cgroup");
    group(&mount, &[("cgroup.controllers", "memory")]);
    // 1000 of 4000 are used, of which 500 are page cache that makes room and 100 of it is shared memory that does not.
    let stat = "anon 500\nfile 600\nshmem 100\nfile_mapped 7\n";
    group(&mount.join("a"), &[("memory.max", "4000\n"), ("memory.current", "1000\n"), ("memory.stat", stat)]);
    group(&mount.join("a/b"), &[("memory.max", "max\n"), ("memory.current", "900\n"), ("memory.stat", stat)]);
    assert_eq!(control_group_free(&mount, "0::/a/b\n"), Some(3500));
    group(&mount.join("a/b"), &[("memory.max", "1000\n")]);
    assert_eq!(control_group_free(&mount, "0::/a/b\n"), Some(600));
    assert_eq!(control_group_free(&mount, "0::/\n"), None, "no limit at the root");
}

#[test]
fn a_container_sees_its_group_as_the_mount_itself() {
    let machine = Machine::new();
    let mount = machine.path("cgroup");
    group(&mount, &[("memory.max", "4000"), ("memory.current", "5000")]);
    for path in ["/docker/0123", "/../../other", "/"] {
        assert_eq!(control_group_free(&mount, &format!("0::{path}\n")), Some(0), "{path}");
    }
}

#[test]
fn the_first_version_of_control_groups_has_other_names() {
    let machine = Machine::new();
    let mount = machine.path("cgroup");
    let stat = "cache 1\ntotal_cache 300\ntotal_shmem 100\n";
    let files = [("memory.limit_in_bytes", "4000"), ("memory.usage_in_bytes", "1000"), ("memory.stat", stat)];
    group(&mount.join("memory/docker/x"), &files);
    group(
        &mount.join("memory"),
        &[("memory.limit_in_bytes", "9223372036854771712"), ("memory.usage_in_bytes", "1")],
    );
    let groups = "12:cpu,cpuacct:/docker/x\n5:memory:/docker/x\n0::/\nnonsense\n";
    assert_eq!(control_group_free(&mount, groups), Some(3200));
    assert_eq!(control_group_free(&mount, ""), None);
}

#[test]
fn faults_of_a_device_are_told_apart() {
    let told = |message: &str| Fault::of(message);
    assert_eq!(
        told("An IO error happened\nCaused by:\n  out of device memory allocating 4096 bytes\n"),
        Fault::OutOfMemory
    );
    assert_eq!(
        told("An IO error happened\nCaused by:\n  can't allocate buffer of size: 99\n"),
        Fault::OutOfMemory
    );
    assert_eq!(told("The device is poisoned\nCaused by:\n  CUDA_ERROR_ILLEGAL_ADDRESS"), Fault::Poisoned);
    assert_eq!(told("A compilation error happened during launch"), Fault::Other);
    for message in
        ["out of device memory allocating 1 bytes", "The device is poisoned", "a result is missing"]
    {
        let error = fault::failure(message);
        assert_eq!(error.kind, ErrorKind::Failure);
        assert!(error.mend.unwrap().en.contains("--resume"), "{message}");
    }
}

#[test]
fn a_device_s_message_is_shown_without_its_backtrace() {
    let message = "A launch error happened\nCaused by:\n  [Compilation Error]\n    x.cu(1): error\nBacktrace:\n   0: core\n";
    assert_eq!(fault::reason(message), "A launch error happened; [Compilation Error]; x.cu(1): error");
    assert!(fault::reason(&"长".repeat(5000)).chars().count() <= 401);
}
