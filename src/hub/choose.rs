//! Which files of a repository are worth fetching.

use protocol::{HubFile, RepoKind, Text};

const WEIGHTS: Text = Text::fixed("the same weights in another format", "同一权重的其他格式");
const QUANTISED: Text = Text::fixed("another quantisation of the same model", "同一模型的其他量化版本");
const CODE: Text = Text::fixed("code of a repository is never run", "不会运行仓库中的代码");
const ELSEWHERE: Text = Text::fixed("not needed to train or to answer", "训练和推理都不需要");

/// Quantisations of a GGUF model by how much is lost, the best first; what is not in the list comes before them.
const GGUF: [&str; 7] = ["q8_0", "q6_k", "q5_k_m", "q4_k_m", "q5", "q4", "q3"];

/// Marks what a download takes.
pub fn choose(kind: RepoKind, files: &mut [HubFile]) {
    let judged: Vec<Option<Text>> = match kind {
        RepoKind::Model => {
            let offer = Offer::of(files);
            files.iter().map(|file| offer.against(&file.path)).collect()
        }
        RepoKind::Dataset => files.iter().map(|file| against_in_dataset(&file.path)).collect(),
    };
    for (file, reason) in files.iter_mut().zip(judged) {
        file.chosen = reason.is_none();
        file.reason = reason;
    }
}

/// What formats of weights lie in the repository's root.
struct Offer {
    safetensors: bool,
    pickles: bool,
    /// The one that is taken, where there is nothing else.
    gguf: Option<String>,
}

impl Offer {
    fn of(files: &[HubFile]) -> Self {
        let root = || files.iter().map(|file| file.path.as_str()).filter(|path| !path.contains('/'));
        let safetensors = root().any(is_safetensors);
        let pickles = root().any(is_pickle);
        let best = root().filter(|path| path.ends_with(".gguf")).min_by_key(|path| quality(path));
        Self { safetensors, pickles, gguf: best.map(str::to_owned) }
    }

    /// Why a file is left out.
    fn against(&self, path: &str) -> Option<Text> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let lower = name.to_ascii_lowercase();
        let ends = |ends: &[&str]| ends.iter().any(|end| lower.ends_with(end));
        if ends(&[".py"]) {
            return Some(CODE);
        }
        if lower.ends_with(".gguf") {
            let whole = self.gguf.as_deref().is_some_and(|best| stem(best) == stem(path));
            return match (self.safetensors || self.pickles, whole) {
                (true, _) => Some(WEIGHTS),
                (false, true) => None,
                (false, false) => Some(QUANTISED),
            };
        }
        if path.contains('/') {
            // Only the words of a licence lie in folders.
            return (!is_licence(&lower)).then_some(ELSEWHERE);
        }
        if is_safetensors(path) || lower.ends_with("safetensors.index.json") {
            return None;
        }
        if lower.ends_with(".safetensors") {
            return Some(WEIGHTS);
        }
        if is_pickle(path) || lower == "pytorch_model.bin.index.json" {
            return self.safetensors.then_some(WEIGHTS);
        }
        if ends(&[".h5", ".msgpack", ".ot", ".onnx", ".pth", ".mlmodel", ".tflite", ".h5.index.json"]) {
            return Some(WEIGHTS);
        }
        let wanted = ends(&[".json", ".model", ".txt", ".jinja", ".tiktoken", ".spm", ".vocab", "readme.md"]);
        (!wanted && !is_licence(&lower)).then_some(ELSEWHERE)
    }
}

/// The weights that the loader reads: `model…` and an adapter's. (`consolidated…` and `….fp16…` repeat them.)
fn is_safetensors(path: &str) -> bool {
    let known =
        path.starts_with("model") || path.starts_with("adapter_model") || path.starts_with("pytorch_model");
    path.ends_with(".safetensors") && known && !path.contains(".fp16") && !path.contains(".non_ema")
}

fn is_pickle(path: &str) -> bool {
    (path.starts_with("pytorch_model") || path.starts_with("adapter_model")) && path.ends_with(".bin")
}

/// The name of a GGUF file without the number of its part.
fn stem(path: &str) -> &str {
    path.split_once("-00").map_or(path, |(stem, _)| stem)
}

fn quality(path: &str) -> usize {
    let path = path.to_ascii_lowercase();
    let whole = ["f16", "bf16", "f32"].iter().any(|dtype| path.contains(dtype));
    // A quantised file trains as well as a whole one here and is half as large.
    GGUF.iter().position(|kind| path.contains(kind)).unwrap_or(if whole {
        GGUF.len()
    } else {
        GGUF.len() + 1
    })
}

fn is_licence(lower: &str) -> bool {
    ["license", "licence", "notice", "use_policy"].iter().any(|word| lower.starts_with(word))
}

fn against_in_dataset(path: &str) -> Option<Text> {
    let lower = path.to_ascii_lowercase();
    if lower.ends_with(".py") {
        return Some(CODE);
    }
    let rows =
        [".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".txt", ".gz", ".zst", ".md", ".arrow"];
    let hidden = path.split('/').any(|part| part.starts_with('.'));
    let wanted = rows.iter().any(|end| lower.ends_with(end)) || is_licence(&lower);
    (hidden || !wanted).then_some(ELSEWHERE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(kind: RepoKind, paths: &[&str]) -> Vec<String> {
        let of = |path: &&str| HubFile { path: (*path).into(), bytes: 1, ..HubFile::default() };
        let mut files: Vec<_> = paths.iter().map(of).collect();
        choose(kind, &mut files);
        files.into_iter().filter(|file| file.chosen).map(|file| file.path).collect()
    }

    #[test]
    fn weights_come_once() {
        let paths = [
            ".gitattributes",
            "LICENSE",
            "README.md",
            "config.json",
            "modeling_x.py",
            "flax_model.msgpack",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
            "pytorch_model-00001-of-00002.bin",
            "pytorch_model.bin.index.json",
            "consolidated.safetensors",
            "tf_model.h5",
            "tokenizer.json",
            "tokenizer.model",
            "merges.txt",
            "onnx/model.onnx",
            "x.gguf",
            "original/consolidated.00.pth",
            "training_args.bin",
            "picture.png",
            "model.fp16.safetensors",
        ];
        let expected = [
            "LICENSE",
            "README.md",
            "config.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
            "tokenizer.json",
            "tokenizer.model",
            "merges.txt",
        ];
        assert_eq!(chosen(RepoKind::Model, &paths), expected);
    }

    #[test]
    fn an_old_repository_gives_what_it_has() {
        let old = ["config.json", "pytorch_model.bin", "tf_model.h5", "vocab.txt"];
        assert_eq!(chosen(RepoKind::Model, &old), ["config.json", "pytorch_model.bin", "vocab.txt"]);
        let gguf = ["a-Q4_K_M.gguf", "a-Q8_0.gguf", "a-f16.gguf", "README.md"];
        assert_eq!(chosen(RepoKind::Model, &gguf), ["a-Q8_0.gguf", "README.md"]);
        let parts =
            ["a-q8_0-00001-of-00002.gguf", "a-q8_0-00002-of-00002.gguf", "a-q4_0-00001-of-00002.gguf"];
        assert_eq!(chosen(RepoKind::Model, &parts), parts[..2]);
        let adapter = ["adapter_config.json", "adapter_model.safetensors", "optimizer.pt"];
        assert_eq!(chosen(RepoKind::Model, &adapter), adapter[..2]);
    }

    #[test]
    fn a_dataset_gives_its_rows() {
        let paths = [
            ".gitattributes",
            "README.md",
            "data/train-00000.parquet",
            "load.py",
            "images/a.png",
            "b.jsonl.gz",
        ];
        let expected = ["README.md", "data/train-00000.parquet", "b.jsonl.gz"];
        assert_eq!(chosen(RepoKind::Dataset, &paths), expected);
    }
}
