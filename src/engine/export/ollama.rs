//! Ollama's Modelfile: which file, how a conversation is written, and where an answer ends.
//!
//! Ollama writes conversations by templates of Go's `text/template`, models come with Jinja. A Jinja template is not
//! translated but recognised: where it writes the same as one of the program's own templates, that one's Go form is
//! used; each of these was written by hand. Where none does, the Modelfile says so, and Ollama looks for a template
//! it knows in the GGUF file itself.

use data::{Chat, ChatTemplate, Preset, TemplateChoice, TemplateSource, Tokenizer, message};
use protocol::Text;

pub const FILE: &str = "Modelfile";

/// A Modelfile, and what the user should know of it.
pub struct Modelfile {
    pub text: String,
    pub note: Option<Text>,
}

/// Name of a template of ours, its Go form, and what ends an answer besides the model's own end token. `{bos}` and `{eos}`
/// stand for the tokenizer's tokens; llama.cpp itself puts the first one in front.
const FORMS: [(&str, &str, &[&str]); 13] = [
    (
        "chatml",
        "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n",
        &["<|im_start|>", "<|im_end|>"],
    ),
    (
        "llama3",
        "{{- range .Messages }}<|start_header_id|>{{ .Role }}<|end_header_id|>\n\n{{ .Content }}<|eot_id|>\
         {{- end }}<|start_header_id|>assistant<|end_header_id|>\n\n",
        &["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    ),
    (
        "llama2",
        "{{- $system := \"\" }}{{- range .Messages }}{{- if eq .Role \"system\" }}\
         {{- $system = printf \"<<SYS>>\\n%s\\n<</SYS>>\\n\\n\" .Content }}\
         {{- else if eq .Role \"assistant\" }} {{ .Content }} {eos}{bos}\
         {{- else }}[INST] {{ $system }}{{ .Content }} [/INST]{{- $system = \"\" }}{{- end }}{{- end }}",
        &["[INST]", "[/INST]"],
    ),
    (
        "mistral",
        "{{- $system := \"\" }}{{- range .Messages }}{{- if eq .Role \"system\" }}\
         {{- $system = printf \"%s\\n\\n\" .Content }}\
         {{- else if eq .Role \"assistant\" }} {{ .Content }}{eos}\
         {{- else }}[INST] {{ $system }}{{ .Content }}[/INST]{{- $system = \"\" }}{{- end }}{{- end }}",
        &["[INST]", "[/INST]"],
    ),
    (
        "alpaca",
        "{{- if not .System }}Below is an instruction that describes a task. Write a response that appropriately \
         completes the request.\n\n{{ end }}{{- range .Messages }}{{- if eq .Role \"system\" }}{{ .Content }}\n\n\
         {{ else if eq .Role \"assistant\" }}### Response:\n{{ .Content }}{eos}\n\n\
         {{ else }}### Instruction:\n{{ .Content }}\n\n{{ end }}{{- end }}### Response:\n",
        &["### Instruction:", "### Response:"],
    ),
    (
        "gemma",
        "{{- $system := \"\" }}{{- range .Messages }}{{- if eq .Role \"system\" }}\
         {{- $system = printf \"%s\\n\\n\" .Content }}\
         {{- else if eq .Role \"assistant\" }}<start_of_turn>model\n{{ .Content }}<end_of_turn>\n\
         {{ else }}<start_of_turn>user\n{{ $system }}{{ .Content }}<end_of_turn>\n{{ $system = \"\" }}{{- end }}\
         {{- end }}<start_of_turn>model\n",
        &["<start_of_turn>", "<end_of_turn>"],
    ),
    (
        "phi3",
        "{{- range .Messages }}<|{{ .Role }}|>\n{{ .Content }}<|end|>\n{{ end }}<|assistant|>\n",
        &["<|end|>", "<|user|>", "<|assistant|>"],
    ),
    (
        "phi4",
        "{{- range .Messages }}<|im_start|>{{ .Role }}<|im_sep|>{{ .Content }}<|im_end|>{{ end }}\
         <|im_start|>assistant<|im_sep|>",
        &["<|im_start|>", "<|im_end|>"],
    ),
    (
        "qwen",
        "{{- if not .System }}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{{ end }}\
         {{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n",
        &["<|im_start|>", "<|im_end|>"],
    ),
    (
        "qwen25",
        "{{- if not .System }}<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.\
         <|im_end|>\n{{ end }}\
         {{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n",
        &["<|im_start|>", "<|im_end|>"],
    ),
    (
        "vicuna",
        "{{- if not .System }}A chat between a curious user and an artificial intelligence assistant. The assistant \
         gives helpful, detailed, and polite answers to the user's questions. {{ end }}{{- range .Messages }}\
         {{- if eq .Role \"system\" }}{{ .Content }} {{ else if eq .Role \"assistant\" }}ASSISTANT: {{ .Content }}{eos}\
         {{- else }}USER: {{ .Content }} {{ end }}{{- end }}ASSISTANT:",
        &["USER:", "ASSISTANT:"],
    ),
    (
        "zephyr",
        "{{- range .Messages }}<|{{ .Role }}|>\n{{ .Content }}{eos}\n{{ end }}<|assistant|>\n",
        &["<|system|>", "<|user|>", "<|assistant|>"],
    ),
    (
        "plain",
        "{{- range .Messages }}{{ .Content }}{{ if eq .Role \"assistant\" }}{eos}{{ end }}\n{{ end }}",
        &[],
    ),
];

/// The Modelfile for `file`, which lies beside it.
pub fn modelfile(tokenizer: Option<&Tokenizer>, file: &str) -> Modelfile {
    let mut text = format!("FROM ./{file}\n");
    let Some(tokenizer) = tokenizer else {
        text.push_str("\n# The model has no tokenizer: it cannot be talked to.\n");
        return Modelfile { text, note: None };
    };
    let mut stops: Vec<String> = tokenizer.stop_ids().iter().filter_map(|id| tokenizer.token(*id)).collect();
    let note = match form(tokenizer) {
        Found::Known(go, marks) => {
            text.push_str(&format!("\nTEMPLATE \"\"\"{go}\"\"\"\n"));
            stops.extend(marks.iter().map(|mark| (*mark).to_owned()));
            None
        }
        Found::None => {
            text.push_str(
                "\n# The model has no chat template: it continues texts.\nTEMPLATE \"{{ .Prompt }}\"\n",
            );
            None
        }
        Found::Other => {
            text.push_str(
                "\n# The model's chat template (in the GGUF file, key tokenizer.chat_template) has no form here in the\n\
                 # language of Ollama's templates. Ollama uses a template it knows that looks like it, if there is one.\n",
            );
            Some(Text::fixed(
                "The chat template cannot be written for Ollama; its Modelfile leaves it out and says so",
                "该对话模板无法以 Ollama 的模板语言表示；Modelfile 中省略并已注明",
            ))
        }
    };
    let mut seen = std::collections::HashSet::new();
    stops.retain(|stop| !stop.trim().is_empty() && seen.insert(stop.clone()));
    if !stops.is_empty() {
        text.push('\n');
    }
    for stop in stops {
        text.push_str(&format!("PARAMETER stop {}\n", quoted(&stop)));
    }
    Modelfile { text, note }
}

/// A string of the Modelfile.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

enum Found {
    /// Go template, and marks that end an answer.
    Known(String, &'static [&'static str]),
    /// The model has no template.
    None,
    Other,
}

fn form(tokenizer: &Tokenizer) -> Found {
    let Ok(Some(own)) = TemplateChoice::find("auto", tokenizer, std::path::Path::new("")) else {
        return Found::None;
    };
    let Ok(own) = own.compile(tokenizer, None) else { return Found::Other };
    let known = FORMS.iter().find(|(name, ..)| {
        let preset = Preset::named(name).and_then(|preset| compiled(preset, tokenizer));
        preset.is_some_and(|preset| writes_the_same(&own, &preset, tokenizer))
    });
    match known {
        Some((_, go, marks)) => {
            let token = |id: Option<u32>| id.and_then(|id| tokenizer.token(id)).unwrap_or_default();
            let go = go.replace("{bos}", &token(tokenizer.bos())).replace("{eos}", &token(tokenizer.eos()));
            Found::Known(go, marks)
        }
        None => Found::Other,
    }
}

fn compiled(preset: &Preset, tokenizer: &Tokenizer) -> Option<ChatTemplate> {
    let source = TemplateSource {
        name: "default".into(),
        source: preset.source.into(),
        file: std::path::PathBuf::from(preset.name),
    };
    ChatTemplate::compile(preset.name, &[source], tokenizer.special_tokens(), None).ok()
}

/// The same text for every conversation that the model's own template accepts, the first token aside.
fn writes_the_same(own: &ChatTemplate, preset: &ChatTemplate, tokenizer: &Tokenizer) -> bool {
    let bos = tokenizer.bos().and_then(|id| tokenizer.token(id)).unwrap_or_default();
    let conversations: [&[(&str, &str)]; 3] = [
        &[("user", "Who are you?")],
        &[("user", "Who are you?"), ("assistant", "I am."), ("user", "So what?")],
        &[("system", "Be brief."), ("user", "Who are you?"), ("assistant", "I am."), ("user", "So what?")],
    ];
    let mut compared = 0;
    for conversation in conversations {
        let messages: Vec<_> = conversation.iter().map(|(role, content)| message(role, content)).collect();
        let chat = Chat { messages: &messages, add_generation_prompt: true, ..Chat::default() };
        let text = |template: &ChatTemplate| {
            template.render(&chat).ok().map(|text| text.strip_prefix(&bos).unwrap_or(&text).to_owned())
        };
        let Some(wanted) = text(own) else { continue };
        if text(preset) != Some(wanted) {
            return false;
        }
        compared += 1;
    }
    compared > 0
}

#[cfg(test)]
mod tests {
    use data::PRESETS;

    use super::*;

    #[test]
    fn every_form_belongs_to_a_preset() {
        for (name, go, _) in FORMS {
            assert!(PRESETS.iter().any(|preset| preset.name == name), "{name}");
            assert_eq!(go.matches("{{").count(), go.matches("}}").count(), "{name}");
            let opened =
                ["{{- range", "{{- if", "{{ if"].iter().map(|word| go.matches(word).count()).sum::<usize>();
            let closed = go.matches("{{ end }}").count() + go.matches("{{- end }}").count();
            assert_eq!(opened, closed, "{name}");
            // A dash takes away the blanks and line ends in front of it, which here all mean something.
            assert!(!go.contains("\n{{-") && !go.contains(" {{-"), "{name}");
        }
    }

    #[test]
    fn strings_are_escaped() {
        assert_eq!(quoted("a\"b\\"), r#""a\"b\\""#);
    }
}
