//! What was dropped on the window.

use std::path::{Path, PathBuf};

use ui::desktop::{DroppedKind, DroppedPath};

pub fn classify(path: PathBuf) -> DroppedPath {
    let kind = if path.is_dir() { folder(&path) } else { file(&path) };
    DroppedPath { path, kind }
}

/// A run holds an adapter or a model and an adapter may lie with its base's config: the narrowest first.
fn folder(path: &Path) -> DroppedKind {
    let kinds = [
        ("plan.json", DroppedKind::RunFolder),
        ("adapter_config.json", DroppedKind::AdapterFolder),
        ("config.json", DroppedKind::ModelFolder),
    ];
    let found = kinds.into_iter().find(|(name, _)| path.join(name).is_file());
    let data = || [path.to_path_buf(), path.join("data")].iter().any(|folder| has_data(folder));
    match found {
        Some((_, kind)) => kind,
        None if data() => DroppedKind::Data,
        None => DroppedKind::Other,
    }
}

/// Whether one of a folder's files is named as data are. Of a folder with more entries only some are looked at.
fn has_data(folder: &Path) -> bool {
    const LOOKED_AT: usize = 1000;
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.take(LOOKED_AT).flatten().any(|entry| file(&entry.path()) == DroppedKind::Data)
}

fn file(path: &Path) -> DroppedKind {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    match extension.as_str() {
        _ if !path.is_file() => DroppedKind::Other,
        "toml" => DroppedKind::Project,
        "csv" | "tsv" | "json" | "jsonl" | "txt" | "parquet" | "gz" | "zst" => DroppedKind::Data,
        "jinja" | "jinja2" | "j2" => DroppedKind::Template,
        _ => DroppedKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_files_are_told_apart() {
        let home = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let path = home.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "x").unwrap();
        };
        for name in [
            "m/config.json",
            "a/adapter_config.json",
            "a/config.json",
            "r/plan.json",
            "o/x",
            "D.JSONL",
            "s/data/train.parquet",
            "t.j2",
        ] {
            make(name);
        }
        for (name, wanted) in [
            ("m", DroppedKind::ModelFolder),
            ("a", DroppedKind::AdapterFolder),
            ("r", DroppedKind::RunFolder),
            ("o", DroppedKind::Other),
            ("D.JSONL", DroppedKind::Data),
            ("s", DroppedKind::Data),
            ("t.j2", DroppedKind::Template),
            ("o/x", DroppedKind::Other),
            ("not-there.csv", DroppedKind::Other),
        ] {
            assert_eq!(classify(home.path().join(name)).kind, wanted, "{name}");
        }
    }
}
