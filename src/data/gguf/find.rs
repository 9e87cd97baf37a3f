//! Which GGUF files a model path stands for.

use std::path::{Path, PathBuf};

use protocol::{Result, Text, UserError, text};

/// Parts of one model at the most.
const MAX_PARTS: usize = 1000;

/// The files of the model at `path`, in their order: `path` itself if it names a `.gguf` file, else the one GGUF model
/// in that folder. A model in parts (`…-00001-of-00003.gguf`) gives all of them. None where there is no GGUF.
///
/// # Errors
/// Several models in the folder; parts that are missing.
pub fn find(path: &Path) -> Result<Option<Vec<PathBuf>>> {
    if is_gguf(path) && path.is_file() {
        return parts(path).map(Some);
    }
    let Ok(entries) = std::fs::read_dir(path) else { return Ok(None) };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|file| is_gguf(file) && file.is_file() && !is_projector(file))
        // Of a model in parts, the first stands for all.
        .filter(|file| part(file).is_none_or(|(_, number, _)| number == 1))
        .collect();
    files.sort_unstable();
    match files.as_slice() {
        [] => Ok(None),
        [file] => parts(file).map(Some),
        several => {
            let names = several.iter().filter_map(|file| file.file_name());
            let what = Text::fixed("The folder holds several GGUF models", "文件夹中有多个 GGUF 模型");
            Err(UserError::bad_input(what)
                .in_file(path)
                .details(names.map(|name| name.to_string_lossy().into_owned()))
                .mend(Text::fixed(
                    "give the path of one of these files as the model",
                    "请将其中一个文件的路径作为模型",
                )))
        }
    }
}

fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
}

/// The image encoder of a multimodal model, in a file of its own.
fn is_projector(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name.to_string_lossy().to_ascii_lowercase().contains("mmproj"))
}

/// Stem, number and count of `<stem>-00001-of-00003.gguf`.
fn part(file: &Path) -> Option<(String, usize, usize)> {
    let (rest, count) = file.file_stem()?.to_str()?.rsplit_once("-of-")?;
    let (stem, number) = rest.rsplit_once('-')?;
    let five = |digits: &str| (digits.len() == 5).then(|| digits.parse::<usize>().ok()).flatten();
    Some((stem.to_owned(), five(number)?, five(count)?))
}

fn parts(file: &Path) -> Result<Vec<PathBuf>> {
    let Some((stem, _, count)) = part(file) else { return Ok(vec![file.to_owned()]) };
    let name = |number: usize| file.with_file_name(format!("{stem}-{number:05}-of-{count:05}.gguf"));
    let all: Vec<PathBuf> = (1..=count.min(MAX_PARTS)).map(name).collect();
    let missing: Vec<String> =
        all.iter().filter(|file| !file.is_file()).map(|file| file.display().to_string()).collect();
    if missing.is_empty() && !all.is_empty() {
        return Ok(all);
    }
    let absent = missing.len();
    let what = text!("{absent} of {count} weight files are missing", "{count} 个权重文件中缺少 {absent} 个");
    Err(UserError::bad_input(what)
        .in_file(file)
        .details(missing)
        .mend(Text::fixed("download the missing files into the folder", "请将缺少的文件下载到该文件夹")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_by_their_names() {
        assert_eq!(part(Path::new("/m/a-b-00002-of-00003.gguf")), Some(("a-b".into(), 2, 3)));
        assert_eq!(part(Path::new("a-2-of-3.gguf")), None);
        assert_eq!(part(Path::new("model.gguf")), None);
    }
}
