//! How text is cut before byte-level BPE merges it. GGUF names the rule; tokenizer.json spells it out.
//!
//! Names: llama.cpp, `llama-vocab.cpp`. Patterns: the tokenizer.json of the models they are named after.

use serde_json::{Value, json};

/// One rule.
pub struct Rule {
    /// What GGUF calls it; the first is the one that is written.
    pub names: &'static [&'static str],
    cut: Cut,
    /// Text is brought to the composed form (NFC) first.
    composed: bool,
    /// A piece that is a token as a whole is not merged.
    pub ignore_merges: bool,
    /// The first token is put in front unless the file says otherwise.
    pub add_bos: bool,
}

#[derive(Clone, Copy)]
enum Cut {
    /// GPT-2's own pattern.
    Gpt2,
    /// Digits one by one, then GPT-2's pattern.
    Digits,
    /// Patterns one after the other, each match a piece.
    Patterns(&'static [&'static str]),
    /// Punctuation, GPT-2's pattern, then digits by three.
    Falcon,
}

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const BLOOM: &str = r" ?[^(\s|[.,!?…。，、।۔،])]+";
const DEEPSEEK3: &[&str] = &[
    r"\p{N}{1,3}",
    "[一-龥぀-ゟ゠-ヿ]+",
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^
\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[
]*|\s*[
]+|\s+(?!\S)|\s+"##,
];

const RULES: &[Rule] = &[
    rule(
        &[
            "gpt-2",
            "phi-2",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "exaone4",
            "jina-v2-code",
            "roberta-bpe",
            "mellum",
            "gigachat",
            "modern-bert",
            "granite-docling",
        ],
        Cut::Gpt2,
    ),
    rule(&["starcoder", "refact", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2"], Cut::Digits),
    Rule { composed: true, ..rule(&["command-r"], Cut::Digits) },
    Rule {
        ignore_merges: true,
        add_bos: true,
        ..rule(
            &["llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral", "lfm2", "midm-2.0"],
            Cut::Patterns(&[LLAMA3]),
        )
    },
    rule(&["dbrx", "smaug-bpe"], Cut::Patterns(&[LLAMA3])),
    rule(&["chatglm-bpe"], Cut::Patterns(&[LLAMA3])),
    Rule { ignore_merges: true, ..rule(&["glm4", "glm5"], Cut::Patterns(&[LLAMA3])) },
    Rule {
        composed: true,
        ..rule(
            &["qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "hunyuan", "solar-open"],
            Cut::Patterns(&[QWEN2]),
        )
    },
    rule(&["stablelm2"], Cut::Patterns(&[QWEN2])),
    Rule { composed: true, ..rule(&["qwen35"], Cut::Patterns(&[QWEN35])) },
    Rule { ignore_merges: true, add_bos: true, ..rule(&["tekken"], Cut::Patterns(&[TEKKEN])) },
    rule(&["gpt-4o", "llama4", "kanana2", "minimax-m2"], Cut::Patterns(&[GPT4O])),
    rule(&["bloom", "poro-chat", "gpt3-finnish"], Cut::Patterns(&[BLOOM])),
    rule(&["falcon"], Cut::Falcon),
    rule(&["deepseek-v3", "hunyuan-dense"], Cut::Patterns(DEEPSEEK3)),
];

const fn rule(names: &'static [&'static str], cut: Cut) -> Rule {
    Rule { names, cut, composed: false, ignore_merges: false, add_bos: false }
}

impl Rule {
    /// The rule that a file names.
    pub fn named(name: &str) -> Option<&'static Self> {
        RULES.iter().find(|rule| rule.names.contains(&name))
    }

    /// The rule that a tokenizer.json spells out. Several share their pattern; what merges do and the architecture
    /// tell them apart.
    pub fn of(pre_tokenizer: &Value, ignore_merges: bool, arch: &str) -> Option<&'static Self> {
        let steps = steps(pre_tokenizer);
        let mut fitting = RULES.iter().filter(|rule| steps == self::steps(&rule.pre_tokenizer()));
        let own = match arch {
            "command-r" => Some("command-r"),
            "chatglm" | "glm4" if ignore_merges => Some("glm4"),
            "chatglm" | "glm4" => Some("chatglm-bpe"),
            _ => None,
        };
        let all: Vec<_> = fitting.by_ref().collect();
        let of_arch = all.iter().find(|rule| own.is_some_and(|own| rule.names.contains(&own)));
        let same_merges = || all.iter().find(|rule| rule.ignore_merges == ignore_merges);
        of_arch.or_else(same_merges).or_else(|| all.first()).copied()
    }

    pub fn normalizer(&self) -> Value {
        if self.composed { json!({"type": "NFC"}) } else { Value::Null }
    }

    pub fn pre_tokenizer(&self) -> Value {
        let bytes = |use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex});
        let split = |pattern: &str| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
        let digits = |one: bool| json!({"type": "Digits", "individual_digits": one});
        let steps = match self.cut {
            Cut::Gpt2 => return bytes(true),
            Cut::Digits => vec![digits(true), bytes(true)],
            Cut::Patterns(patterns) => patterns.iter().map(|one| split(one)).chain([bytes(false)]).collect(),
            Cut::Falcon => vec![
                json!({"type": "Punctuation", "behavior": "Contiguous"}),
                bytes(true),
                digits(false),
                split("[0-9][0-9][0-9]"),
            ],
        };
        json!({"type": "Sequence", "pretokenizers": steps})
    }
}

/// What a pre-tokenizer does, one line a step, without what makes no difference.
fn steps(pre_tokenizer: &Value) -> Vec<String> {
    let list = match pre_tokenizer["pretokenizers"].as_array() {
        Some(list) => list.as_slice(),
        None => std::slice::from_ref(pre_tokenizer),
    };
    let step = |step: &Value| match step["type"].as_str().unwrap_or_default() {
        "ByteLevel" => format!("bytes {}", step["use_regex"].as_bool().unwrap_or(true)),
        "Digits" => format!("digits {}", step["individual_digits"].as_bool().unwrap_or(false)),
        // Removing what does not match is what isolating matches is.
        "Split" => format!("split {}", step["pattern"]["Regex"].as_str().unwrap_or("?")),
        other => other.to_owned(),
    };
    list.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_found_by_its_names_and_its_pattern() {
        for rule in RULES {
            for name in rule.names {
                assert_eq!(Rule::named(name).unwrap().names, rule.names, "{name}");
            }
            let found = Rule::of(&rule.pre_tokenizer(), rule.ignore_merges, "").unwrap();
            assert_eq!(steps(&found.pre_tokenizer()), steps(&rule.pre_tokenizer()));
        }
        let name = |ignore_merges, arch| {
            Rule::of(&Rule::named("dbrx").unwrap().pre_tokenizer(), ignore_merges, arch).unwrap().names[0]
        };
        assert_eq!(name(true, "llama"), "llama-bpe");
        assert_eq!(name(false, "llama"), "dbrx");
        assert_eq!(name(true, "glm4"), "glm4");
        assert_eq!(name(false, "chatglm"), "chatglm-bpe");
    }
}
