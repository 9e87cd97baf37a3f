//! Model folders: which files are taken, and indexes that lie.

use std::fs;
use std::path::Path;

use engine::weights::Checkpoint;
use protocol::UserError;

use super::safetensors;

/// A file with one U8 tensor of one element a name.
fn shard(names: &[&str]) -> Vec<u8> {
    let entries: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(i, name)| format!(r#""{name}":{{"dtype":"U8","shape":[1],"data_offsets":[{i},{}]}}"#, i + 1))
        .collect();
    safetensors(&format!("{{{}}}", entries.join(",")), &vec![7; names.len()])
}

fn index(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, file)| format!("{name:?}:{file:?}")).collect();
    format!(r#"{{"metadata":{{"total_size":2}},"weight_map":{{{}}}}}"#, pairs.join(","))
}

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn refused(folder: &Path) -> UserError {
    Checkpoint::open(folder).expect_err("the folder was accepted")
}

const INDEX: &str = "model.safetensors.index.json";

#[test]
fn shards_are_put_together() {
    let map = index(&[("a", "1.safetensors"), ("b", "2.safetensors")]);
    let folder = folder(&[
        (INDEX, map.as_bytes()),
        ("1.safetensors", &shard(&["a"])),
        ("2.safetensors", &shard(&["b", "unlisted"])),
    ]);
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["a", "b", "unlisted"]);
    assert!(checkpoint.info("b").unwrap().file.ends_with("2.safetensors"));
    assert_eq!(checkpoint.files().count(), 2);
}

#[test]
fn safetensors_come_before_pickles_and_single_files_before_shards() {
    let map = index(&[("b", "2.safetensors")]);
    let folder = folder(&[
        ("model.safetensors", &shard(&["a"])),
        (INDEX, map.as_bytes()),
        ("2.safetensors", &shard(&["b"])),
        ("pytorch_model.bin", b"not even a pickle"),
    ]);
    assert!(Checkpoint::open(folder.path()).unwrap().contains("a"));
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    assert!(Checkpoint::open(folder.path()).unwrap().contains("b"));
    fs::remove_file(folder.path().join(INDEX)).unwrap();
    assert!(refused(folder.path()).what.en.contains("PyTorch file"));
    fs::remove_file(folder.path().join("pytorch_model.bin")).unwrap();
    let error = refused(folder.path());
    assert_eq!(error.details.len(), 5, "{error}");
}

#[test]
fn all_missing_shards_are_listed() {
    let map = index(&[("a", "1.safetensors"), ("b", "2.safetensors"), ("c", "3.safetensors")]);
    let folder = folder(&[(INDEX, map.as_bytes()), ("2.safetensors", &shard(&["b"]))]);
    let error = refused(folder.path());
    assert_eq!(error.details, ["1.safetensors", "3.safetensors"], "{error}");
}

#[test]
fn an_index_cannot_point_outside() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("x.safetensors");
    fs::write(&target, shard(&["a"])).unwrap();
    let absolute = target.to_str().unwrap();
    for name in
        [absolute, "../x.safetensors", "..", ".", "", "sub/x.safetensors", "./x", "C:x", "a\\b", "x\u{0}y"]
    {
        let escaped = serde_json::to_string(name).unwrap();
        let map = format!(r#"{{"weight_map":{{"a":{escaped}}}}}"#);
        let error = refused(folder(&[(INDEX, map.as_bytes())]).path());
        assert!(error.what.en.contains("outside its folder"), "{name:?}: {error}");
    }
}

#[test]
fn an_index_must_agree_with_its_shards() {
    let map = index(&[("a", "1.safetensors"), ("b", "1.safetensors"), ("c", "2.safetensors")]);
    let twice = shard(&["c", "x"]);
    let folder =
        folder(&[(INDEX, map.as_bytes()), ("1.safetensors", &shard(&["a", "x"])), ("2.safetensors", &twice)]);
    let error = refused(folder.path());
    assert_eq!(error.details, ["b is not in 1.safetensors", "x is in several shards"], "{error}");
}

#[test]
fn malformed_indexes_are_refused() {
    let cases = [
        "",
        "{}",
        "[]",
        r#"{"weight_map":[]}"#,
        r#"{"weight_map":{}}"#,
        r#"{"weight_map":{"a":1}}"#,
        r#"{"weight_map":{"a":"x","a":"y"}}"#,
        r#"{"weight_map":{"a":"x"}"#,
    ];
    for map in cases {
        let error = refused(folder(&[(INDEX, map.as_bytes())]).path());
        assert!(error.what.en.contains("index"), "{map}: {error}");
    }
}

/// The Hugging Face cache: `snapshots/<commit>/model.safetensors → ../../blobs/<hash>`.
#[cfg(unix)]
#[test]
fn links_to_regular_files_are_followed_and_others_are_not() {
    use std::os::unix::fs::symlink;
    let blobs = folder(&[("hash", &shard(&["a"]))]);
    let map = index(&[("a", "1.safetensors")]);
    let folder = folder(&[(INDEX, map.as_bytes())]);
    let link = folder.path().join("1.safetensors");
    symlink(blobs.path().join("hash"), &link).unwrap();
    assert!(Checkpoint::open(folder.path()).unwrap().contains("a"));
    for target in [Path::new("/dev/zero"), blobs.path(), Path::new("/nowhere")] {
        fs::remove_file(&link).unwrap();
        symlink(target, &link).unwrap();
        assert_eq!(refused(folder.path()).details, ["1.safetensors"]);
    }
}

#[test]
fn a_file_is_no_model_folder() {
    let folder = folder(&[("x", b"")]);
    assert!(refused(&folder.path().join("x")).what.en.contains("must be a folder"));
    assert!(refused(&folder.path().join("absent")).mend.is_some());
}
