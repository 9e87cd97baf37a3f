//! Tokenizers from every kind of file, against the ids that the libraries they come from give
//! (`tests/reference/make_tokenizers.py`).

use std::path::PathBuf;
use std::sync::Arc;

use data::{Encode, EncodeOptions, Encoder, Record, Tokenizer};
use serde_json::Value;

use crate::common;
use crate::support::Folder;

fn fixtures() -> PathBuf {
    let named = std::env::var_os("EMBERWRIGHT_TOKENIZER_REFERENCE").map(PathBuf::from);
    named.unwrap_or_else(|| common::root().join("tests/fixtures/reference/tokenizers"))
}

fn expected() -> Value {
    serde_json::from_slice(&std::fs::read(fixtures().join("expected.json")).unwrap()).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| u32::try_from(id.as_u64().unwrap()).unwrap()).collect()
}

/// A folder with the files of a case under the names that a model has them by; None if they are not here.
fn folder_of(case: &Value) -> Option<Folder> {
    let folder = Folder::new();
    for (name, from) in case["files"].as_object().unwrap() {
        let from = from.as_str().unwrap();
        let file = match from.starts_with("own/") {
            true => fixtures().join(from),
            false => common::shared(from)?,
        };
        folder.write(name, std::fs::read(file).unwrap());
    }
    Some(folder)
}

#[test]
fn every_kind_of_file_gives_the_ids_of_its_library() {
    let expected = expected();
    let texts: Vec<&str> =
        expected["texts"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    let (mut missing, mut wrong) = (0, Vec::new());
    for case in expected["cases"].as_array().unwrap() {
        let Some(folder) = folder_of(case) else {
            missing += 1;
            continue;
        };
        let name = case["name"].as_str().unwrap();
        let tokenizer = Tokenizer::open(folder.path()).unwrap_or_else(|err| panic!("{name}: {err}"));
        let rows = case["texts"].as_array().unwrap();
        assert_eq!(rows.len(), texts.len());
        let marked = case["marked"].as_array().unwrap();
        let marked = marked.iter().map(|row| (row["text"].as_str().unwrap().to_owned(), row));
        let plain = texts.iter().map(|text| match case.get("replaced") {
            Some(_) => text.replace("[MASK]", "").replace("<unk>", "").replace("<pad>", ""),
            None => (*text).to_owned(),
        });
        for (text, row) in plain.zip(rows).chain(marked) {
            wrong.extend(differences(&tokenizer, &text, row, case).map(|what| format!("{name}: {what}")));
        }
    }
    common::skipped(missing, "cases of real tokenizers");
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
}

fn differences(tokenizer: &Tokenizer, text: &str, row: &Value, case: &Value) -> Option<String> {
    let encoding = tokenizer.encode(text, false).unwrap();
    let wanted = ids(&row["ids"]);
    if encoding.ids != wanted {
        return Some(format!("{text:?} gives {:?}, not {wanted:?}", encoding.ids));
    }
    let special = tokenizer.encode(text, true).unwrap();
    let around = [ids(&case["front"]), wanted.clone(), ids(&case["behind"])].concat();
    if special.ids != around || tokenizer.encode_prompt(text).unwrap() != around {
        return Some(format!("{text:?} with special tokens gives {:?}, not {around:?}", special.ids));
    }
    check_places(text, &encoding.offsets);
    check_places(text, &special.offsets);
    let decoded = tokenizer.decode(&wanted, false).unwrap();
    if let Some(wanted) = row["decoded"].as_str()
        && decoded != wanted
    {
        return Some(format!("{text:?} is decoded to {decoded:?}, not {wanted:?}"));
    }
    let mut stream = tokenizer.decode_stream(&[], false);
    let mut said: String = wanted.iter().filter_map(|id| stream.push(*id).unwrap()).collect();
    said += &stream.finish().unwrap().unwrap_or_default();
    (said != decoded).then(|| format!("{text:?} is streamed as {said:?}, not {decoded:?}"))
}

/// Tokens lie in the text in order, on borders of characters.
fn check_places(text: &str, offsets: &[(usize, usize)]) {
    assert!(offsets.iter().all(|(start, end)| text.get(*start..*end).is_some()), "{text:?}: {offsets:?}");
    assert!(offsets.is_sorted_by_key(|(start, _)| *start), "{text:?}: {offsets:?}");
}

/// Where a model has its tokenizer in two forms, they are one.
#[test]
fn two_forms_of_a_tokenizer_agree_in_ids_and_places() {
    let pairs: [(&str, &[(&str, &str)]); 3] = [
        ("llama2/tokenizer.json", &[("llama2/tokenizer.model", "tokenizer.model")]),
        ("gpt2/tokenizer.json", &[("gpt2/vocab.json", "vocab.json"), ("gpt2/vocab.bpe", "vocab.bpe")]),
        (
            "torchtune-tiny/tiny_bpe_tokenizer.json",
            &[
                ("torchtune-tiny/tiny_bpe_vocab.json", "vocab.json"),
                ("torchtune-tiny/tiny_bpe_merges.txt", "merges.txt"),
            ],
        ),
    ];
    let expected = expected();
    let mut missing = 0;
    for (json, other) in pairs {
        let real = |name: &str| common::shared(&format!("realdata/tokenizers/{name}"));
        let Some(json) = real(json) else {
            missing += 1;
            continue;
        };
        let (one, two) = (Folder::new(), Folder::new());
        one.write("tokenizer.json", std::fs::read(json).unwrap());
        for (from, name) in other {
            two.write(name, std::fs::read(real(from).unwrap()).unwrap());
        }
        if other[0].1 == "vocab.json" && other[0].0.starts_with("torchtune") {
            two.write("tokenizer_config.json", r#"{"tokenizer_class": "Qwen2TokenizerFast"}"#);
        }
        let [one, two] = [one, two].map(|folder| Tokenizer::open(folder.path()).unwrap());
        // tokenizer.json of Llama 2 matches these as tokens, SentencePiece alone does not.
        let plain = |text: &&str| !text.contains("<unk>");
        let texts = expected["texts"].as_array().unwrap().iter().map(|text| text.as_str().unwrap());
        for text in texts.filter(plain) {
            assert_eq!(one.encode(text, false).unwrap(), two.encode(text, false).unwrap(), "{text:?}");
        }
    }
    common::skipped(missing, "pairs of real tokenizers");
}

#[test]
fn golden_sentencepiece_models_give_the_reference_ids_and_text() {
    let mut missing = 0;
    for case in ["sentencepiece-bpe", "sentencepiece-unigram"] {
        let Some(folder) = common::golden(&format!("tokenizer/{case}")) else {
            missing += 1;
            continue;
        };
        let tokenizer = Tokenizer::open(&folder).unwrap();
        let expected: Value =
            serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
        assert_eq!(tokenizer.vocab_size() as u64, expected["vocab_size"].as_u64().unwrap());
        let id = |key: &str| expected[key].as_u64().map(|id| id as u32);
        assert_eq!((tokenizer.bos(), tokenizer.eos()), (id("bos_id"), id("eos_id")));
        for row in expected["strings"].as_array().unwrap() {
            let text = row["text"].as_str().unwrap();
            let encoding = tokenizer.encode(text, false).unwrap();
            if row.get("skipped").is_some() {
                continue;
            }
            assert_eq!(encoding.ids, ids(&row["ids"]), "{case}: {text:?}");
            let decoded = tokenizer.decode(&encoding.ids, false).unwrap();
            assert_eq!(decoded, row["decoded"].as_str().unwrap(), "{case}: {text:?}");
            for (id, piece) in encoding.ids.iter().zip(row["pieces"].as_array().unwrap()) {
                let token = tokenizer.token(*id).unwrap();
                // The reference gives an unknown piece as the text it stands for.
                assert!(token == *piece || token == "<unk>", "{case}: {token:?}, not {piece}");
            }
            check_places(text, &encoding.offsets);
        }
    }
    common::skipped(missing, "golden tokenizers");
}

/// A folder with one of the models that the fixtures hold, and files beside it.
fn own(file: &str, as_name: &str, beside: &[(&str, &str)]) -> Folder {
    let folder = Folder::new();
    folder.write(as_name, std::fs::read(fixtures().join("own").join(file)).unwrap());
    for (name, text) in beside {
        folder.write(name, text);
    }
    folder
}

#[test]
fn chatglm_asks_for_its_answer_behind_the_prompt() {
    let config = std::fs::read_to_string(fixtures().join("own/glm1/tokenizer_config.json")).unwrap();
    let folder = own("glm1/ice_text.model", "ice_text.model", &[("tokenizer_config.json", &config)]);
    let tokenizer = Tokenizer::open(folder.path()).unwrap();
    let id = |token: &str| tokenizer.id(token).unwrap();
    let (mask, start, end) = (id("[gMASK]"), id("<sop>"), id("<eop>"));
    assert_eq!((tokenizer.bos(), tokenizer.eos()), (Some(start), Some(end)));
    assert_eq!(tokenizer.token(7).unwrap(), "<image_7>");
    let text = "a\tb\n\n    c  d";
    let plain = tokenizer.encode(text, false).unwrap();
    let tokens: Vec<String> = plain.ids.iter().map(|id| tokenizer.token(*id).unwrap()).collect();
    for (token, place) in
        [("<|tab|>", (1, 2)), ("<n>", (3, 4)), ("<|blank_4|>", (5, 9)), ("<|blank_2|>", (10, 12))]
    {
        let at = tokens.iter().position(|other| other == token).unwrap();
        assert_eq!(plain.offsets[at], place, "{token} in {tokens:?}");
    }
    assert_eq!(tokenizer.decode(&plain.ids, true).unwrap(), text);
    let prompt = tokenizer.encode_prompt(text).unwrap();
    assert_eq!(prompt, [plain.ids.clone(), vec![mask, start]].concat());
    // Markers written by a template are ids, and blanks between them are not lost.
    let marked = tokenizer.encode("a\n[gMASK]<sop>b<eop>", false).unwrap();
    assert_eq!(marked.ids.iter().filter(|id| [mask, start, end].contains(id)).count(), 3);
    assert_eq!(tokenizer.decode(&marked.ids, true).unwrap(), "a\nb");

    let options = EncodeOptions { max_length: 100, ..EncodeOptions::default() };
    let encoder = Encoder::new(Arc::new(Tokenizer::open(folder.path()).unwrap()), None, options).unwrap();
    let record = Record::Completion { prompt: text.to_owned(), completion: "model text".to_owned() };
    let example = encoder.encode(&record).unwrap();
    let answer = tokenizer.encode("model text", false).unwrap().ids;
    assert_eq!(example.ids, [prompt.clone(), answer.clone(), vec![end]].concat());
    let learned: Vec<u32> = example.labels.iter().filter_map(|label| u32::try_from(*label).ok()).collect();
    assert_eq!(learned, [answer.clone(), vec![end]].concat());
    let example = encoder.encode(&Record::Text("model text".to_owned())).unwrap();
    assert_eq!(example.ids, [vec![mask, start], answer, vec![end]].concat());
}

#[test]
fn chatglm2_and_3_are_told_apart_and_match_sop_behind_a_mask_only() {
    let class = r#"{"tokenizer_class": "ChatGLMTokenizer"}"#;
    let named = r#"{"tokenizer_class": "ChatGLMTokenizer", "name_or_path": "THUDM/chatglm2-6b"}"#;
    let folders = [
        own("bpe/tokenizer.model", "tokenizer.model", &[("tokenizer_config.json", class)]),
        own("bpe/tokenizer.model", "tokenizer.model", &[("tokenizer_config.json", named)]),
        own(
            "bpe/tokenizer.model",
            "tokenizer.model",
            &[("tokenizer_config.json", class), ("tokenization_chatglm.py", "class ChatGLMTokenizer: pass")],
        ),
    ];
    let [third, second, by_class] = folders.map(|folder| Tokenizer::open(folder.path()).unwrap());
    let pieces = by_class.id("[MASK]").unwrap();
    assert_eq!((second.largest_id(), third.largest_id()), (pieces + 4, pieces + 8));
    assert_eq!(by_class.largest_id(), second.largest_id());
    assert_eq!(third.id("<|user|>"), Some(pieces + 6));
    assert!(third.stop_ids().contains(&(pieces + 6)) && third.stop_ids().contains(&third.eos().unwrap()));
    for tokenizer in [second, third] {
        let (mask, sop) = (tokenizer.id("[gMASK]").unwrap(), tokenizer.id("sop").unwrap());
        let marked = tokenizer.encode("[gMASK]sop sop", false).unwrap();
        assert_eq!((marked.ids[0], marked.ids[1], marked.offsets[1]), (mask, sop, (7, 10)));
        assert_eq!(marked.ids.iter().filter(|id| **id == sop).count(), 1);
        let front = tokenizer.encode("isopropyl", true).unwrap();
        assert_eq!((&front.ids[..2], &front.added[..3]), (&[mask, sop][..], &[true, true, false][..]));
        assert!(!front.ids[2..].contains(&sop));
        assert_eq!(tokenizer.decode(&front.ids, true).unwrap(), "isopropyl");
    }
}

#[test]
fn the_class_that_read_a_model_decides_what_stands_around_a_text() {
    let around = |config: &str| {
        let folder = own("bpe/tokenizer.model", "tokenizer.model", &[("tokenizer_config.json", config)]);
        let tokenizer = Tokenizer::open(folder.path()).unwrap();
        let ids = tokenizer.encode("<s>a</s>b", true).unwrap().ids;
        let tokens: Vec<String> = ids.iter().map(|id| tokenizer.token(*id).unwrap()).collect();
        let prompt = tokenizer.encode_prompt("<s>a</s>b").unwrap();
        let trailing = usize::from(config.contains("add_eos_token\": true"));
        assert_eq!(prompt, ids[..ids.len() - trailing]);
        (tokens.join(" "), tokenizer.decode(&ids, true).unwrap())
    };
    let case = |config: &str, tokens: &str| {
        assert_eq!(around(config), (tokens.to_owned(), "ab".to_owned()), "{config}");
    };
    case(r#"{"tokenizer_class": "LlamaTokenizer"}"#, "<s> <s> ▁ a </s> ▁b");
    case(r#"{"tokenizer_class": "BaichuanTokenizer"}"#, "<s> ▁ a </s> ▁b");
    case(r#"{"tokenizer_class": "BaichuanTokenizer", "add_bos_token": true}"#, "<s> <s> ▁ a </s> ▁b");
    case(r#"{"tokenizer_class": "LlamaTokenizer", "add_bos_token": false}"#, "<s> ▁ a </s> ▁b");
    case(r#"{"tokenizer_class": "LlamaTokenizer", "add_eos_token": true}"#, "<s> ▁ a </s> ▁b </s>");
    // Since transformers 4.31: only the text as a whole has a blank in front.
    case(r#"{"tokenizer_class": "LlamaTokenizer", "legacy": false}"#, "<s> <s> a </s> b");
    case(r#"{"tokenizer_class": "LlamaTokenizer", "add_prefix_space": false}"#, "<s> <s> a </s> b");
    // A special token takes the id of the piece whose place it has.
    let folder = own(
        "bpe/tokenizer.model",
        "tokenizer.model",
        &[(
            "tokenizer_config.json",
            r#"{"added_tokens_decoder": {"300": {"content": "<|x|>", "special": true}, "9000": {"content": "<tool>"}}}"#,
        )],
    );
    let tokenizer = Tokenizer::open(folder.path()).unwrap();
    assert_eq!(tokenizer.encode("<|x|><tool>", false).unwrap().ids, [300, 9000]);
    assert_eq!((tokenizer.largest_id(), tokenizer.token(300).as_deref()), (9000, Some("<|x|>")));
    assert_eq!(tokenizer.decode(&[300, 9000], true).unwrap(), "<tool>");
    assert!(tokenizer.is_added(300) && tokenizer.is_added(9000) && !tokenizer.is_added(310));
}

#[test]
fn bytes_are_decoded_to_whole_characters_or_marks_of_broken_ones() {
    let folder = own("bpe/tokenizer.model", "tokenizer.model", &[]);
    let tokenizer = Tokenizer::open(folder.path()).unwrap();
    let bytes = |bytes: &[u8]| -> Vec<u32> {
        bytes.iter().map(|byte| tokenizer.id(&format!("<0x{byte:02X}>")).unwrap()).collect()
    };
    let decoded = |ids: &[u32]| tokenizer.decode(ids, true).unwrap();
    assert_eq!(decoded(&bytes("好".as_bytes())), "好");
    assert_eq!(decoded(&bytes(&[0xE5, 0xA5, b'x', 0xFF])), "\u{fffd}\u{fffd}x\u{fffd}");
    assert_eq!(decoded(&[tokenizer.eos().unwrap(), 9_999_999]), "");
    assert_eq!(decoded(&[0]), " \u{2047} ");
    let mut stream = tokenizer.decode_stream(&[], true);
    let said: Vec<Option<String>> =
        bytes("a好".as_bytes()).iter().map(|id| stream.push(*id).unwrap()).collect();
    assert_eq!(said, [Some("a".to_owned()), None, None, Some("好".to_owned())]);
}

/// A conversation whose tokens the makers of Mistral's tokenizer have published.
#[test]
fn a_conversation_has_the_tokens_that_its_makers_give() {
    let real = |name: &str| common::shared(&format!("realdata/tokenizers/mistral/{name}"));
    let (Some(model), Some(config)) = (real("tokenizer.model.v1"), real("tokenizer_config.json")) else {
        return common::skipped(1, "real tokenizers");
    };
    let folder = Folder::new();
    folder.write("tokenizer.model", std::fs::read(model).unwrap());
    folder.write("tokenizer_config.json", std::fs::read(config).unwrap());
    let tokenizer = Tokenizer::open(folder.path()).unwrap();
    let read = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(real("samples/no_tools").unwrap().join(name)).unwrap()).unwrap()
    };
    let mut text = String::new();
    for message in read("sample.json")["messages"].as_array().unwrap() {
        let content = message["content"].as_str().unwrap();
        text += &match message["role"].as_str().unwrap() {
            "user" => format!("[INST] {content} [/INST]"),
            _ => format!(" {content}</s>"),
        };
    }
    assert_eq!(tokenizer.encode(&text, true).unwrap().ids, ids(&read("tokens_v1.json")["tokens"]));
}
