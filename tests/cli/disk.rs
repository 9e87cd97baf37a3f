//! A disk that is full. Needs a file system of its own, which only root can mount: said where it cannot be.

#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::Command;

use engine::files::Manifest;

use crate::project::{run_file, steady_lines};
use crate::workshop::Workshop;

/// A small file system in memory.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    #[expect(clippy::print_stdout, reason = "a test that was not run must say so")]
    fn mount(path: PathBuf, kilobytes: u64) -> Option<Self> {
        std::fs::create_dir(&path).unwrap();
        let options = format!("size={kilobytes}k");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&path).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self { path });
        }
        println!("skipped: this test mounts a tmpfs, which only root may do");
        None
    }

    fn grow(&self, kilobytes: u64) {
        let options = format!("remount,size={kilobytes}k");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.path).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.path).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_checkpoint_that_does_not_fit_leaves_the_ones_before() {
    let settings = "max_steps = 6\nsave_every = 1\nkeep_checkpoints = 3\n[method]\nkind = \"full\"\n";
    let workshop = Workshop::new(settings);
    // A checkpoint of this model takes about 950 kB.
    let Some(disk) = SmallDisk::mount(workshop.path("small"), 2500) else { return };
    let done = workshop.run(&["train", "run.toml", "--out", "small/out"]);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert!(done.stderr.contains("space") && done.stderr.contains("to mend it: "), "{}", done.stderr);
    assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
    let run = workshop.path("small/out");
    let checkpoints = names(&run.join("checkpoints"));
    assert_eq!(checkpoints, ["step-00000001", "step-00000002"]);
    for name in checkpoints {
        Manifest::verify(&run.join("checkpoints").join(name)).unwrap();
    }
    assert!(!run.join("model").exists());

    disk.grow(20_000);
    let done = workshop.run(&["train", "--resume", "small/out"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(workshop.run(&["train", "run.toml", "--out", "whole"]).code, Some(0));
    assert_eq!(steady_lines(&run), steady_lines(&workshop.path("whole")));
}

#[test]
fn an_export_that_does_not_fit_leaves_nothing() {
    let workshop = Workshop::new("");
    workshop.write("run.toml", run_file(""));
    // The weights take 310 kB: too much for the first disk, which is seen beforehand; the second has no room
    // for the tokenizer that follows them, the third none for any file.
    for (index, kilobytes) in [256, 320, 4].into_iter().enumerate() {
        let name = format!("small{index}");
        let Some(disk) = SmallDisk::mount(workshop.path(&name), kilobytes) else { return };
        let out = format!("{name}/out");
        let done = workshop.run(&["export", "--model", "model", "--to", "merged", "--out", &out]);
        assert_eq!(done.code, Some(1), "{kilobytes} kB: {}", done.stderr);
        assert!(done.stderr.contains("space") && done.stderr.contains("to mend it: "), "{}", done.stderr);
        assert_eq!(names(&disk.path), [] as [&str; 0], "{kilobytes} kB");
    }
}
