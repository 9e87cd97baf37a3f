//! The starter project on the user's disk: a small model and its data come with the program, and become files at the
//! first start.

use std::fs;
use std::path::{Path, PathBuf};

use engine::files::AtomicFile;
use protocol::Result;
use protocol::config::{parse_run_file, run_file_text};

/// Where the starter project lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StarterPaths {
    pub model: PathBuf,
    /// Run files, ready to train: in English, in Chinese.
    pub project: PathBuf,
    pub project_zh: PathBuf,
}

/// A file of the project's `assets/starter`, under its place in the starter's folder.
macro_rules! asset {
    ($place:literal) => {
        ($place, include_bytes!(concat!("../../assets/starter/", $place)))
    };
}

const FILES: [(&str, &[u8]); 9] = [
    asset!("model/README.md"),
    asset!("model/config.json"),
    asset!("model/generation_config.json"),
    asset!("model/model.safetensors"),
    asset!("model/special_tokens_map.json"),
    asset!("model/tokenizer.json"),
    asset!("model/tokenizer_config.json"),
    asset!("data/ember_en.jsonl"),
    asset!("data/ember_zh.jsonl"),
];

const RECIPE: &str = include_str!("../../presets/recipes/quickstart.toml");
const RECIPE_ZH: &str = include_str!("../../presets/recipes/quickstart-zh.toml");

/// Makes the starter's files below `data_dir`, or mends them: each is compared with what it should be, and replaced as
/// a whole if it differs. The run files are the user's own once they are there.
///
/// # Errors
/// When a file cannot be written.
pub fn unpack(data_dir: &Path) -> Result<StarterPaths> {
    let root = data_dir.join("starter");
    for (place, content) in FILES {
        let path = root.join(place);
        if !is_whole(&path, content) {
            AtomicFile::write(&path, content)?;
        }
    }
    Ok(StarterPaths {
        model: root.join("model"),
        project: project(&root, "starter.toml", RECIPE, "data/ember_en.jsonl")?,
        project_zh: project(&root, "starter-zh.toml", RECIPE_ZH, "data/ember_zh.jsonl")?,
    })
}

/// The size is asked first: it tells most differences without reading.
fn is_whole(path: &Path, content: &[u8]) -> bool {
    let same_size = fs::metadata(path).is_ok_and(|file| file.len() == content.len() as u64);
    same_size && fs::read(path).is_ok_and(|bytes| bytes == content)
}

/// The recipe over the starter's own files.
fn project(root: &Path, name: &str, recipe: &str, data: &str) -> Result<PathBuf> {
    let path = root.join(name);
    if !path.is_file() {
        let mut config = parse_run_file(recipe, &path)?;
        config.model.path = "model".into();
        config.data.train = vec![data.into()];
        AtomicFile::write(&path, run_file_text(&config)?.as_bytes())?;
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_starter_is_made_mended_and_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let paths = unpack(home.path()).unwrap();
        for (project, data) in [(&paths.project, "ember_en"), (&paths.project_zh, "ember_zh")] {
            let text = fs::read_to_string(project).unwrap();
            let config = parse_run_file(&text, project).unwrap();
            let root = project.parent().unwrap();
            assert_eq!(root.join(&config.model.path), paths.model);
            assert!(root.join(&config.data.train[0]).is_file());
            assert!(config.data.train[0].to_str().unwrap().contains(data));
            assert_eq!(config.method.params["rank"], 16, "the recipe's settings are there");
        }
        let weights = paths.model.join("model.safetensors");
        let mut bytes = fs::read(&weights).unwrap();
        bytes[5_000_000] ^= 1;
        fs::write(&weights, &bytes).unwrap();
        fs::write(&paths.project, "[train]\nseed = 7\n").unwrap();
        fs::remove_file(paths.model.join("config.json")).unwrap();
        let untouched = fs::metadata(paths.model.join("tokenizer.json")).unwrap().modified().unwrap();
        assert_eq!(unpack(home.path()).unwrap(), paths);
        bytes[5_000_000] ^= 1;
        assert!(fs::read(&weights).unwrap() == bytes, "mended");
        assert!(paths.model.join("config.json").is_file());
        assert_eq!(fs::read_to_string(&paths.project).unwrap(), "[train]\nseed = 7\n", "the user's own");
        assert_eq!(fs::metadata(paths.model.join("tokenizer.json")).unwrap().modified().unwrap(), untouched);
    }

    #[test]
    fn a_disk_that_refuses_is_said() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("starter"), "a file").unwrap();
        assert!(unpack(home.path()).unwrap_err().place.file.is_some());
    }
}
