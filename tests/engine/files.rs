//! Files that are whole or not there: kills, full disks, damage of every byte, two runs in one folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use engine::files::{
    AtomicDir, AtomicFile, CheckpointStore, MANIFEST_NAME, Manifest, RunLock, identity_of_folder, sha256_file,
};
use engine::weights::{FileDtype, Planned, ShardPlan};
use protocol::{Result, Text, UserError};
use serde_json::json;

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

// --- atomic folders and files --------------------------------------------------------------------------

#[test]
fn a_folder_appears_whole() {
    let parent = tempfile::tempdir().unwrap();
    let last = parent.path().join("deep/er/模型 out");
    let folder = AtomicDir::create(&last).unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::write(folder.path().join("sub/file"), b"x").unwrap();
    assert!(!last.exists());
    assert_eq!(folder.commit().unwrap(), last);
    assert_eq!(fs::read(last.join("sub/file")).unwrap(), b"x");
    assert_eq!(names(last.parent().unwrap()), ["模型 out"]);
}

#[test]
fn a_folder_that_is_dropped_leaves_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let folder = AtomicDir::create(&parent.path().join("out")).unwrap();
    fs::write(folder.path().join("file"), b"x").unwrap();
    drop(folder);
    assert_eq!(names(parent.path()), Vec::<String>::new());
}

#[test]
fn a_taken_name_is_refused_early_and_late() {
    let parent = tempfile::tempdir().unwrap();
    let last = parent.path().join("out");
    fs::create_dir(&last).unwrap();
    let folder = AtomicDir::create(&last).expect("an empty folder is free");
    fs::write(last.join("theirs"), b"x").unwrap();
    assert!(folder.commit().is_err());
    assert_eq!(names(parent.path()), ["out"]);
    assert_eq!(AtomicDir::create(&last).unwrap_err().exit_code(), 2);
    assert!(AtomicDir::create(&last.join("theirs")).is_err());
    fs::remove_file(last.join("theirs")).unwrap();
    AtomicDir::create(&last).unwrap().commit().unwrap();
}

#[cfg(unix)]
#[test]
fn committed_folders_and_files_have_ordinary_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    fs::create_dir(parent.path().join("plain")).unwrap();
    fs::write(parent.path().join("plain.txt"), b"").unwrap();
    AtomicDir::create(&parent.path().join("out")).unwrap().commit().unwrap();
    AtomicFile::write(&parent.path().join("out.txt"), b"").unwrap();
    assert_eq!(mode(&parent.path().join("out")), mode(&parent.path().join("plain")));
    assert_eq!(mode(&parent.path().join("out.txt")), mode(&parent.path().join("plain.txt")));
}

#[test]
fn a_file_is_replaced_whole() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("run.toml");
    AtomicFile::write(&path, b"old").unwrap();
    let mut file = AtomicFile::create(&path).unwrap();
    std::io::Write::write_all(file.file(), b"half").unwrap();
    drop(file);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    AtomicFile::write(&path, b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(names(parent.path()), ["run.toml"]);
}

#[test]
#[ignore = "the child of leftovers_of_the_killed_are_removed_and_those_of_the_living_are_not"]
fn hold_a_folder_in_the_making() {
    let Some(folder) = child_folder() else { return };
    let out = AtomicDir::create(&folder.join("out")).unwrap();
    fs::write(out.path().join("half"), b"x").unwrap();
    let _plan = AtomicFile::create(&folder.join("plan.json")).unwrap();
    fs::write(folder.join("held"), b"").unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

#[cfg(target_os = "linux")]
#[test]
fn leftovers_of_the_killed_are_removed_and_those_of_the_living_are_not() {
    let parent = tempfile::tempdir().unwrap();
    let mut child = child("hold_a_folder_in_the_making", parent.path()).spawn().unwrap();
    wait_for(&parent.path().join("held"));
    let hidden = || names(parent.path()).into_iter().filter(|name| name.starts_with(".out")).count();
    drop(AtomicDir::create(&parent.path().join("out")).unwrap());
    assert_eq!(hidden(), 1, "a folder in the making was taken away");
    child.kill().unwrap();
    child.wait().unwrap();
    AtomicDir::create(&parent.path().join("out")).unwrap().commit().unwrap();
    assert_eq!(hidden(), 0);
    drop(RunLock::acquire(parent.path()).unwrap());
    assert_eq!(names(parent.path()), ["held", "out", "run.lock"]);
}

fn wait_for(file: &Path) {
    for _ in 0..1000 {
        if file.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the child did not start");
}

#[test]
fn names_of_255_bytes_work() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("文".repeat(85));
    AtomicDir::create(&path).unwrap().commit().unwrap();
    assert!(path.is_dir());
    let file = parent.path().join("f".repeat(255));
    AtomicFile::write(&file, b"x").unwrap();
}

// --- checkpoints ------------------------------------------------------------------------------------------

fn store(folder: &Path, keep: usize) -> CheckpointStore {
    CheckpointStore::new(folder.join("checkpoints"), keep)
}

/// Two files whose content follows from the step.
fn save(store: &CheckpointStore, step: u64) -> Result<PathBuf> {
    store.save(step, json!({ "loss": 1.5 }), |folder| {
        let write = |name: &str, content: Vec<u8>| {
            let path = folder.join(name);
            fs::write(&path, content).map_err(|err| UserError::io(Text::fixed("write", "写入"), &path, &err))
        };
        fs::create_dir(folder.join("adapter")).unwrap();
        write("adapter/weights", vec![step as u8; 3000])?;
        write("state", step.to_le_bytes().to_vec())
    })
}

#[test]
fn checkpoints_are_listed_found_and_pruned() {
    let run = tempfile::tempdir().unwrap();
    let store = store(run.path(), 2);
    assert_eq!(store.list().unwrap(), []);
    assert_eq!(store.newest_sound().unwrap(), (None, vec![]));
    for step in [5, 10, 15, 20] {
        save(&store, step).unwrap();
    }
    let (found, notices) = store.newest_sound().unwrap();
    let found = found.unwrap();
    assert!(found.path.ends_with("checkpoints/step-00000020") && notices.is_empty());
    assert_eq!((found.manifest.step, found.manifest.extra["loss"].as_f64()), (20, Some(1.5)));
    let files: Vec<_> = found.manifest.files.iter().map(|file| (file.name.as_str(), file.size)).collect();
    assert_eq!(files, [("adapter/weights", 3000), ("state", 8)]);
    store.prune(Some(5)).unwrap();
    let steps = store.list().unwrap().into_iter().map(|(step, _)| step);
    assert_eq!(steps.collect::<Vec<_>>(), [5, 15, 20]);
    assert_eq!(names(&run.path().join("checkpoints")).len(), 3);
}

#[test]
fn a_failed_save_leaves_nothing() {
    let run = tempfile::tempdir().unwrap();
    let store = store(run.path(), 2);
    save(&store, 1).unwrap();
    let failed = store.save(2, json!(null), |folder| {
        fs::write(folder.join("half"), b"x").unwrap();
        Err(UserError::failure(Text::fixed("broken", "失败")))
    });
    assert_eq!(failed.unwrap_err().what.en, "broken");
    assert_eq!(names(&run.path().join("checkpoints")), ["step-00000001"]);
}

#[test]
fn a_sound_checkpoint_of_the_step_stays_and_a_damaged_one_is_replaced() {
    let run = tempfile::tempdir().unwrap();
    let store = store(run.path(), 2);
    let path = save(&store, 7).unwrap();
    store.save(7, json!(null), |_| panic!("written again")).unwrap();
    fs::write(path.join("state"), b"damaged!").unwrap();
    save(&store, 7).unwrap();
    Manifest::verify(&path).unwrap();
    assert_eq!(names(&run.path().join("checkpoints")).len(), 1);
}

#[test]
fn every_flipped_byte_is_found_and_the_one_before_is_used() {
    let run = tempfile::tempdir().unwrap();
    let store = store(run.path(), 2);
    save(&store, 1).unwrap();
    let newest = save(&store, 2).unwrap();
    let mut damages = 0;
    for name in ["state", "adapter/weights", MANIFEST_NAME] {
        let path = newest.join(name);
        let sound = fs::read(&path).unwrap();
        for at in (0..sound.len()).step_by(1 + sound.len() / 120) {
            let mut damaged = sound.clone();
            damaged[at] ^= 0x10;
            fs::write(&path, &damaged).unwrap();
            let (found, notices) = store.newest_sound().unwrap();
            let found = found.unwrap();
            // Only a change of the manifest's own remarks may pass: they are no files.
            if found.manifest.step == 2 {
                assert!(name == MANIFEST_NAME && notices.is_empty());
                let manifest = Manifest::verify(&newest).unwrap();
                assert_ne!(serde_json::to_vec_pretty(&manifest).unwrap(), sound);
            } else {
                assert_eq!(notices.len(), 1);
                assert!(notices[0].en.contains("step-00000002 is damaged"), "{}", notices[0]);
                damages += 1;
            }
        }
        fs::write(&path, &sound).unwrap();
    }
    assert!(damages > 200, "{damages}");
    fs::write(newest.join("added"), b"").unwrap();
    assert!(Manifest::verify(&newest).unwrap_err().details[0].contains("not in the manifest"));
    fs::remove_file(newest.join("added")).unwrap();
    fs::remove_file(newest.join("state")).unwrap();
    assert_eq!(Manifest::verify(&newest).unwrap_err().details, ["state: missing"]);
    fs::remove_dir_all(&newest).unwrap();
    fs::remove_file(store.path_of(1).join(MANIFEST_NAME)).unwrap();
    let error = store.newest_sound().unwrap_err();
    assert!(error.what.en.contains("All checkpoints are damaged"), "{error}");
}

#[test]
fn a_renamed_checkpoint_does_not_pass_for_another_step() {
    let run = tempfile::tempdir().unwrap();
    let store = store(run.path(), 2);
    let path = save(&store, 3).unwrap();
    fs::rename(path, store.path_of(9)).unwrap();
    assert!(store.newest_sound().is_err());
}

/// A manifest could name files elsewhere: only what lies in the folder counts.
#[test]
fn a_manifest_cannot_point_outside() {
    let run = tempfile::tempdir().unwrap();
    let store = store(run.path(), 2);
    let path = save(&store, 3).unwrap();
    fs::write(run.path().join("secret"), b"x").unwrap();
    let mut manifest = Manifest::verify(&path).unwrap();
    let mut outside = manifest.files[0].clone();
    outside.name = "../../secret".to_owned();
    outside.size = 1;
    outside.sha256 = sha256_file(&run.path().join("secret")).unwrap();
    manifest.files.push(outside);
    fs::write(path.join(MANIFEST_NAME), serde_json::to_vec(&manifest).unwrap()).unwrap();
    assert_eq!(Manifest::verify(&path).unwrap_err().details, ["../../secret: missing"]);
}

// --- a process that is killed ------------------------------------------------------------------------------

/// Runs one of this binary's tests in a process of its own, with a folder to work in.
fn child(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("files::{test}"), "--nocapture", "--include-ignored"]);
    command.env("EMBERWRIGHT_TEST_FOLDER", folder).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn child_folder() -> Option<PathBuf> {
    std::env::var_os("EMBERWRIGHT_TEST_FOLDER").map(PathBuf::from)
}

#[test]
#[ignore = "the child of a_kill_at_any_time_leaves_a_sound_checkpoint"]
fn save_until_killed() {
    let Some(folder) = child_folder() else { return };
    let store = store(&folder, 2);
    store.remove_leftovers().unwrap();
    let first = store.newest_sound().unwrap().0.map_or(0, |found| found.manifest.step);
    fs::write(folder.join("ready"), b"").unwrap();
    for step in first + 1.. {
        save(&store, step).unwrap();
        store.prune(None).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn a_kill_at_any_time_leaves_a_sound_checkpoint() {
    let run = tempfile::tempdir().unwrap();
    let store = store(run.path(), 2);
    // How long saves take here decides when to kill: anywhere within the first four of the process.
    let started = Instant::now();
    for step in 1..=4 {
        save(&store, step).unwrap();
    }
    let span = started.elapsed();
    let (mut last, mut leftovers) = (4, 0);
    for kill in 0..40 {
        let mut child = child("save_until_killed", run.path()).spawn().unwrap();
        wait_for(&run.path().join("ready"));
        std::thread::sleep(span * kill / 40);
        child.kill().unwrap();
        child.wait().unwrap();
        fs::remove_file(run.path().join("ready")).unwrap();
        let (found, notices) = store.newest_sound().unwrap();
        assert_eq!(notices, []);
        let step = found.map_or(0, |found| found.manifest.step);
        assert!(step >= last, "step {last} was there, {step} is");
        last = step;
        leftovers += store.remove_leftovers().unwrap();
    }
    println!("40 kills, newest step {last}, {leftovers} leftovers removed");
    assert!(last > 4, "the child never saved");
    assert!(names(&run.path().join("checkpoints")).iter().all(|name| name.starts_with("step-")));
}

// --- a full disk --------------------------------------------------------------------------------------------

/// Runs inside a file system of 1 MiB.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "the child of a_full_disk_costs_nothing_that_was_there"]
fn fill_the_disk() {
    let Some(folder) = child_folder() else { return };
    let store = store(&folder, 9);
    save(&store, 1).unwrap();
    let plan = |bytes: usize| {
        let tensor = Planned { name: "w".to_owned(), dtype: FileDtype::U8, shape: vec![bytes] };
        ShardPlan::new("model", vec![tensor], u64::MAX).unwrap()
    };
    // Known beforehand.
    let out = AtomicDir::create(&folder.join("out")).unwrap();
    let error = plan(2 << 20).write(out.path(), |_, _| panic!("asked too late")).unwrap_err();
    assert!(error.what.en.contains("Not enough disk space: 2.1 MB are needed"), "{error}");
    drop(out);
    // Full at every point: ballast leaves less and less room.
    let mut refused = 0;
    for left in (0..40).map(|kilobytes| kilobytes * 512) {
        let free = free_bytes(&folder);
        fs::write(folder.join("ballast"), vec![0; free.saturating_sub(left)]).unwrap();
        let before = names(&folder.join("checkpoints"));
        match save(&store, 2) {
            Err(error) => {
                assert_eq!(error.exit_code(), 1, "{error}");
                assert!(error.mend.unwrap().en.contains("free some disk space"));
                assert_eq!(names(&folder.join("checkpoints")), before);
                refused += 1;
            }
            Ok(path) => fs::remove_dir_all(path).unwrap(),
        }
        assert_eq!(store.newest_sound().unwrap().0.unwrap().manifest.step, 1);
        fs::remove_file(folder.join("ballast")).unwrap();
    }
    assert!(refused > 3 && refused < 40, "{refused}");
    // The export ends in the middle of a tensor: another program took the space that was free before.
    let out = AtomicDir::create(&folder.join("out")).unwrap();
    let half = free_bytes(&folder) / 2;
    let error = plan(half + 4096).write(out.path(), |_, sink| {
        fs::write(folder.join("ballast"), vec![0; half]).unwrap();
        sink.put(&vec![1; half + 4096])
    });
    let error = error.unwrap_err();
    assert!(error.what.en.contains("needed"), "{error}");
    drop(out);
    assert!(!names(&folder).iter().any(|name| name.contains("out")));
    // The parent looks for this file: an ignored or filtered test would exit with 0 as well.
    fs::remove_file(folder.join("ballast")).unwrap();
    fs::write(std::env::var_os("EMBERWRIGHT_TEST_DONE").unwrap(), format!("{refused}")).unwrap();
}

#[cfg(target_os = "linux")]
fn free_bytes(folder: &Path) -> usize {
    let output = Command::new("df").args(["--output=avail", "-B1"]).arg(folder).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().nth(1).unwrap().trim().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_costs_nothing_that_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let done = tempfile::tempdir().unwrap();
    let mount = r#"mount -t tmpfs -o size=1m none "$EMBERWRIGHT_TEST_FOLDER" && exec "$@""#;
    let unshare = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["-Urm", "sh", "-c", mount, "sh"]).args(arguments);
        command.env("EMBERWRIGHT_TEST_FOLDER", folder.path());
        command.env("EMBERWRIGHT_TEST_DONE", done.path().join("done"));
        command.output()
    };
    if !unshare(&["true"]).is_ok_and(|output| output.status.success()) {
        println!("NOT RUN: 1 test of a full disk (no file system can be mounted here)");
        return;
    }
    let binary = std::env::current_exe().unwrap();
    let output =
        unshare(&[binary.to_str().unwrap(), "--exact", "files::fill_the_disk", "--include-ignored"]).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let refused = fs::read_to_string(done.path().join("done")).unwrap();
    println!("{refused} of 40 saves met a full disk, none lost anything");
}

// --- lock and identity ---------------------------------------------------------------------------------------

#[test]
#[ignore = "the child of one_process_in_a_run_folder"]
fn hold_the_lock() {
    let Some(folder) = child_folder() else { return };
    let _lock = RunLock::acquire(&folder).unwrap();
    fs::write(folder.join("held"), b"").unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn one_process_in_a_run_folder() {
    let run = tempfile::tempdir().unwrap();
    let mut child = child("hold_the_lock", run.path()).spawn().unwrap();
    wait_for(&run.path().join("held"));
    let error = RunLock::acquire(run.path()).unwrap_err();
    let id = child.id().to_string();
    assert!(cfg!(windows) || error.what.en.contains(&id), "{error}");
    assert_eq!(error.exit_code(), 2);
    child.kill().unwrap();
    child.wait().unwrap();
    // A killed holder leaves no lock behind.
    let lock = RunLock::acquire(run.path()).unwrap();
    assert!(RunLock::acquire(run.path()).is_err());
    drop(lock);
    RunLock::acquire(run.path()).unwrap();
}

#[test]
fn a_model_folder_has_an_identity() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.json"), b"{}").unwrap();
    fs::write(folder.path().join("model.safetensors"), b"weights").unwrap();
    let identity = || {
        let names = ["model.safetensors", "config.json", "absent.json"].map(PathBuf::from);
        identity_of_folder(folder.path(), names).unwrap()
    };
    let (hash, files) = identity();
    let listed: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(listed, ["config.json", "model.safetensors"]);
    assert_eq!(identity().0, hash);
    fs::write(folder.path().join("model.safetensors"), b"Weights").unwrap();
    assert_ne!(identity().0, hash);
}
