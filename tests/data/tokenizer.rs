use std::path::Path;

use data::Tokenizer;
use serde_json::Value;

use crate::common;

const CASES: [&str; 6] = [
    "bytelevel-gpt2",
    "bytelevel-qwen",
    "bytelevel-llama3-bos",
    "llama2-bytefallback",
    "unigram-metaspace",
    "wordpiece-bert",
];

fn read_json(file: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

fn numbers<T: TryFrom<u64>>(value: &Value) -> Vec<T> {
    let number = |value: &Value| T::try_from(value.as_u64().unwrap()).ok().unwrap();
    value.as_array().unwrap().iter().map(number).collect()
}

/// Byte ranges as ranges of characters.
fn in_characters(text: &str, offsets: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let position = |byte: usize| text[..byte].chars().count();
    offsets.iter().map(|(start, end)| vec![position(*start), position(*end)]).collect()
}

#[test]
fn golden_strings_give_the_reference_ids_offsets_and_text() {
    let mut missing = 0;
    for case in CASES {
        let Some(folder) = common::golden(&format!("tokenizer/{case}")) else {
            missing += 1;
            continue;
        };
        let tokenizer = Tokenizer::open(&folder).unwrap();
        let expected = read_json(&folder.join("expected.json"));
        assert_eq!(tokenizer.vocab_size() as u64, expected["vocab_size"].as_u64().unwrap());
        for row in expected["strings"].as_array().unwrap() {
            check_string(&tokenizer, case, row);
        }
    }
    common::skipped(missing, "golden tokenizers");
}

fn check_string(tokenizer: &Tokenizer, case: &str, row: &Value) {
    let text = row["text"].as_str().unwrap();
    let plain = tokenizer.encode(text, false).unwrap();
    assert_eq!(plain.ids, numbers::<u32>(&row["ids"]), "{case}: ids of {text:?}");
    for (id, expected) in plain.ids.iter().zip(row["tokens"].as_array().unwrap()) {
        // The reference gives an unknown token as the text it stands for.
        let token = tokenizer.token(*id).unwrap();
        assert!(
            token == *expected || token == "<unk>",
            "{case}: token {token:?} of {text:?}, not {expected}"
        );
    }
    assert!(plain.offsets.iter().all(|(start, end)| text.get(*start..*end).is_some()), "{case}: {text:?}");
    let offsets = in_characters(text, &plain.offsets);
    assert_eq!(serde_json::json!(offsets), row["offsets"], "{case}: offsets of {text:?}");
    let decoded = tokenizer.decode(&plain.ids, false).unwrap();
    assert_eq!(decoded, row["decoded"].as_str().unwrap(), "{case}: decoding of {text:?}");

    // The golden folders without a tokenizer_config.json leave special tokens to tokenizer.json.
    let special = tokenizer.encode(text, true).unwrap();
    if tokenizer.special_tokens().is_empty() {
        assert_eq!(special.ids, numbers::<u32>(&row["ids_with_special"]), "{case}: ids of {text:?}");
    }
    let skipped = tokenizer.decode(&numbers::<u32>(&row["ids_with_special"]), true).unwrap();
    assert_eq!(skipped, row["decoded_skip_special"].as_str().unwrap(), "{case}: decoding of {text:?}");
    check_stream(tokenizer, case, &plain.ids, &decoded);
}

/// Streamed text is the decoded text, in whole characters.
fn check_stream(tokenizer: &Tokenizer, case: &str, ids: &[u32], decoded: &str) {
    let mut stream = tokenizer.decode_stream(&[], false);
    let mut text = String::new();
    for id in ids {
        if let Some(piece) = stream.push(*id).unwrap() {
            assert!(!piece.contains('\u{fffd}'), "{case}: {piece:?} of {decoded:?}");
            text += &piece;
        }
    }
    text += &stream.finish().unwrap().unwrap_or_default();
    if case == "wordpiece-bert" {
        // Its decoder tidies blanks before punctuation, which a stream has already said.
        let squeeze = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(squeeze(&text), squeeze(decoded));
    } else {
        assert_eq!(text, decoded, "{case}");
    }
}

#[test]
fn real_tokenizers_load_and_give_texts_back() {
    let texts =
        ["Hello, world! 你好，世界 🤖🤖", "fn main() { println!(\"{}\", 42); }\n\n\tend", "naïve Ω ﷽"];
    let mut missing = 0;
    for name in ["gpt2", "llama2", "minimind"] {
        let Some(folder) = common::shared(&format!("realdata/tokenizers/{name}")) else {
            missing += 1;
            continue;
        };
        let tokenizer = Tokenizer::open(&folder).unwrap();
        assert!(tokenizer.vocab_size() as u64 > u64::from(tokenizer.largest_id()));
        for text in texts {
            let ids = tokenizer.encode(text, false).unwrap().ids;
            assert_eq!(tokenizer.decode(&ids, true).unwrap(), text, "{name}");
            check_stream(&tokenizer, name, &ids, text);
        }
    }
    common::skipped(missing, "real tokenizers");
}

#[test]
fn special_tokens_come_from_every_file_of_the_folder() {
    let Some(golden) = common::golden("tokenizer/bytelevel-gpt2") else {
        return common::skipped(1, "golden tokenizers");
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(golden.join("tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "tokenizer_config.json",
        r#"{"bos_token": {"content": "<s>"}, "eos_token": "</s>", "add_bos_token": true,
            "chat_template": [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]}"#,
    );
    write("generation_config.json", r#"{"eos_token_id": [1, 7], "pad_token_id": 3}"#);
    write("config.json", r#"{"eos_token_id": 9, "bos_token_id": 5}"#);

    let tokenizer = Tokenizer::open(folder.path()).unwrap();
    let (bos, eos) = (tokenizer.id("<s>").unwrap(), tokenizer.id("</s>").unwrap());
    assert_eq!((tokenizer.bos(), tokenizer.eos(), tokenizer.pad()), (Some(bos), Some(eos), Some(3)));
    let stops: Vec<u32> = tokenizer.stop_ids().iter().copied().collect();
    let mut wanted = vec![1, 7, 9, eos];
    wanted.sort_unstable();
    wanted.dedup();
    assert_eq!(stops, wanted);
    let names: Vec<&str> = tokenizer.chat_templates().iter().map(|template| template.name.as_str()).collect();
    assert_eq!(names, ["default", "tool_use"]);
    let encoding = tokenizer.encode("hi", true).unwrap();
    assert_eq!((encoding.ids[0], encoding.added[0], encoding.offsets[0]), (bos, true, (0, 0)));
    assert!(!encoding.ids.contains(&eos));
    assert_eq!(tokenizer.encode_prompt("hi").unwrap(), encoding.ids);
    assert_eq!(tokenizer.encode_prompt("").unwrap(), [bos]);

    write("chat_template.jinja", "J");
    assert_eq!(Tokenizer::open(folder.path()).unwrap().chat_templates()[0].source, "J");
}

#[test]
fn bad_folders_are_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Tokenizer::open(folder.path()).unwrap_err().to_string();
    for file in
        ["no tokenizer;", "tokenizer.json", "vocab.json + merges.txt", "tokenizer.model", "qwen.tiktoken"]
    {
        assert!(open().contains(file), "{}", open());
    }
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("tokenizer.model", "x");
    assert!(open().contains("tokenizer.model"), "{}", open());
    let vocabulary =
        r#"{"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["#;
    for broken in ["", "{", "[]", "{\"model\": 1}", "null", "\"\"", &format!("{vocabulary}\"b c\"]}}}}")] {
        write("tokenizer.json", broken);
        assert!(open().contains("tokenizer.json"), "{}", open());
    }
    write("tokenizer.json", &format!("{vocabulary}]}}}}"));
    assert_eq!(Tokenizer::open(folder.path()).unwrap().largest_id(), 0);
    write("tokenizer_config.json", "{\n\"a\": }");
    assert!(open().contains("row 2"), "{}", open());
}

/// The texts of golden strings and some of random pieces: blanks, marks of added tokens, several scripts.
fn texts() -> Vec<String> {
    const PIECES: [&str; 24] = [
        " ",
        "  ",
        "\n",
        "\r\n\n",
        "\t",
        "Word",
        " word",
        "'s",
        "'RE",
        "don't",
        "12345",
        " 7",
        ".",
        "?!\n",
        "_x",
        "汉字，",
        "é",
        "e\u{301}",
        "𝄞",
        "\u{a0}",
        "\u{3000}",
        "<|im_start|>",
        "<|endoftext|>",
        "</s>",
    ];
    let mut state = 1u64;
    let mut draw = |bound: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % bound
    };
    (0..600).map(|_| (0..draw(14)).map(|_| PIECES[draw(PIECES.len())]).collect()).collect()
}

#[test]
fn the_short_way_gives_what_the_tokenizers_crate_gives() {
    let (mut looked, mut missing) = (0, 0);
    let names = [
        "golden/tokenizer/bytelevel-gpt2",
        "golden/tokenizer/bytelevel-qwen",
        "golden/tokenizer/bytelevel-llama3-bos",
        "golden/tokenizer/llama2-bytefallback",
        "golden/qwen2-tied/model",
        "realdata/tokenizers/minimind",
        "realdata/tokenizers/gpt2",
    ];
    for name in names {
        let folder = name.strip_prefix("golden/").map_or_else(|| common::shared(name), common::golden);
        let Some(folder) = folder else {
            missing += 1;
            continue;
        };
        let ours = Tokenizer::open(&folder).unwrap();
        let theirs = tokenizers::Tokenizer::from_file(folder.join("tokenizer.json")).unwrap();
        for text in texts().iter().chain(&texts()) {
            let (made, wanted) =
                (ours.encode(text, false).unwrap(), theirs.encode(text.as_str(), false).unwrap());
            assert_eq!(made.ids, wanted.get_ids(), "{name}: {text:?}");
            assert_eq!(made.offsets, wanted.get_offsets(), "{name}: {text:?}");
            assert!(made.added.iter().all(|added| !added), "{name}: {text:?}");
        }
        looked += 1;
    }
    common::skipped(missing, "tokenizers");
    assert_eq!(looked + missing, names.len());
}

#[test]
fn ids_that_a_post_processor_adds_count_among_those_it_can_give() {
    let (_folder, file) = crate::support::Folder::with(
        "tokenizer.json",
        r#"{"version":"1.0","added_tokens":[],"model":{"type":"WordLevel","vocab":{"a":0},"unk_token":"a"},
            "post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},
            {"Sequence":{"id":"A","type_id":0}}],"pair":[],
            "special_tokens":{"<s>":{"id":"<s>","ids":[3],"tokens":["<s>"]}}}}"#,
    );
    let tokenizer = Tokenizer::open(file.parent().unwrap()).unwrap();
    assert_eq!(tokenizer.encode("a", true).unwrap().ids, [3, 0]);
    assert_eq!(tokenizer.largest_id(), 3);
}
