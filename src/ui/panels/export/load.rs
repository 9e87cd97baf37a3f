//! How others load what was written.

use std::path::Path;

use protocol::ExportRequest;

use crate::state::export::ADAPTER;

/// A few lines of Python for transformers, and PEFT where an adapter needs its base.
pub(super) fn python(wanted: Option<&ExportRequest>, dir: &Path) -> String {
    let folder = literal(dir);
    let adapter = wanted.filter(|wanted| wanted.target.0 == ADAPTER);
    match adapter.map(|wanted| literal(&wanted.model.path)) {
        Some(base) => format!(
            "from peft import PeftModel\n\
             from transformers import AutoModelForCausalLM, AutoTokenizer\n\n\
             base = AutoModelForCausalLM.from_pretrained({base})\n\
             model = PeftModel.from_pretrained(base, {folder})\n\
             tokenizer = AutoTokenizer.from_pretrained({base})"
        ),
        None => format!(
            "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n\
             model = AutoModelForCausalLM.from_pretrained({folder})\n\
             tokenizer = AutoTokenizer.from_pretrained({folder})"
        ),
    }
}

/// What Ollama and llama.cpp are told at a command line.
pub(super) fn commands(dir: &Path, files: &[String]) -> String {
    let name = dir.file_name().map_or_else(String::new, |name| name.to_string_lossy().to_lowercase());
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let file = files.iter().find(|file| file.ends_with(".gguf")).map_or("model.gguf", String::as_str);
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', "'\\''"));
    format!(
        "cd {} && ollama create {name} -f Modelfile && ollama run {name}\n\nllama-cli -m {}",
        quoted(dir),
        quoted(&dir.join(file))
    )
}

/// A path as a Python string: JSON's escapes are Python's, too.
fn literal(path: &Path) -> String {
    serde_json::to_string(&path.to_string_lossy()).unwrap_or_else(|_| "\"\"".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_quote_what_a_shell_would_take_apart() {
        let commands = commands(Path::new("/out/It's mine"), &["Modelfile".into(), "model-q8_0.gguf".into()]);
        assert!(
            commands.starts_with(r"cd '/out/It'\''s mine' && ollama create it-s-mine -f Modelfile"),
            "{commands}"
        );
        assert!(commands.ends_with(r"llama-cli -m '/out/It'\''s mine/model-q8_0.gguf'"), "{commands}");
    }

    #[test]
    fn paths_are_python_strings_and_an_adapter_names_its_base() {
        let mut wanted = ExportRequest {
            model: protocol::ModelRef { path: "/m/\"base\"".into(), ..protocol::ModelRef::default() },
            target: protocol::ExportTarget(ADAPTER.into()),
            dtype: "keep".into(),
            out: "/out".into(),
            merge_into: protocol::MergeInto::Original,
            verify: false,
            rows: None,
            shard_bytes: 1,
        };
        let code = python(Some(&wanted), Path::new("C:\\out"));
        assert!(code.contains("from_pretrained(\"/m/\\\"base\\\"\")"), "{code}");
        assert!(code.contains("PeftModel.from_pretrained(base, \"C:\\\\out\")"), "{code}");
        wanted.target.0 = "merged".into();
        assert!(!python(Some(&wanted), Path::new("/out")).contains("peft"));
    }
}
