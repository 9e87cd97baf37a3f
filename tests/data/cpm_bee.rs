//! CPM-Bee's tokenizer and rows, held against its reference code (`golden/seed/cpmbee-data`).

use std::path::Path;
use std::sync::Arc;

use data::{
    Batch, CpmBee, Dataset, Draw, Encode, EncodeOptions, Encoder, Example, FIRST_EXTENSION, IGNORE, Record,
    Silent, Survey, Tokenizer, WordKind, encode_row, message, preview,
};
use protocol::config::OnTooLong;
use protocol::{FindingKind, Severity, TokenRole};
use serde_json::{Map, Value, json};

use crate::common;
use crate::support::{Folder, config};

/// Enough words for small tests; the special tokens lie where the published vocabulary has them.
const WORDS: &str = "<pad>\n<unk>\n<mask>\n<sep>\n</n>\n</_>\n<s>\n</s>\n<root>\n<ans>\n<option>\n<\n>\na\nb\nab\n bc\ninput\nhi\nyes\n";

fn small() -> CpmBee {
    CpmBee::parse(WORDS.as_bytes()).unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("{value}") };
    map
}

fn read_json(file: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

fn numbers<T: TryFrom<i64>>(value: &Value) -> Vec<T> {
    let list = value.as_array().unwrap().iter();
    list.map(|number| T::try_from(number.as_i64().unwrap()).ok().unwrap()).collect()
}

/// The reference's targets: what is predicted at each position, extension tokens behind the vocabulary.
fn targets(labels: &[i32], len: usize, vocabulary: i32) -> Vec<i32> {
    let target = |label: &i32| match label.checked_sub(FIRST_EXTENSION) {
        Some(entry) if entry >= 0 => vocabulary + entry,
        _ => *label,
    };
    labels.iter().skip(1).map(target).chain([IGNORE]).take(len).collect()
}

#[test]
fn golden_texts_are_cut_as_by_the_reference() {
    let Some(folder) = common::golden("seed/cpmbee-data") else { return common::skipped(1, "CPM-Bee data") };
    let bee = CpmBee::parse(&std::fs::read(folder.join("bee.txt")).unwrap()).unwrap();
    let expected = read_json(&folder.join("expected.json"));
    assert_eq!(bee.len() as u64, expected["vocab_size"].as_u64().unwrap());
    let special = &expected["special_ids"];
    assert_eq!(u64::from(bee.ids_of.begin), special["bos"].as_u64().unwrap());
    assert_eq!(bee.id("\n").map(u64::from), special["line"].as_u64());
    assert_eq!(bee.id(" ").map(u64::from), special["space"].as_u64());
    for case in expected["texts"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        let words = bee.words(text).unwrap();
        let told: Vec<Value> = words
            .iter()
            .map(|word| {
                let (unknown, special) =
                    (word.kind == WordKind::Unknown, matches!(word.kind, WordKind::Special(_)));
                json!({"token": word.text, "is_unk": unknown, "is_special": special})
            })
            .collect();
        assert_eq!(Value::Array(told), case["tokens"], "{text:?}");
        let whole: String = words.iter().map(|word| &text[word.range.clone()]).collect();
        assert_eq!(whole, text);
        check_ids(&words, case, bee.len());
    }
    for case in expected["bad_texts"].as_array().unwrap() {
        read_as_characters(&bee, case["text"].as_str().unwrap());
    }
}

/// A text that the reference ends at with an error is read as if its stray `<` were doubled, and says so.
fn read_as_characters(bee: &CpmBee, text: &str) {
    let encode = |text: &str| encode_row(bee, &object(json!({"input": text, "<ans>": "x"}))).unwrap();
    let read = encode(text);
    let told = read.changes.escaped.clone().unwrap();
    assert!(told.starts_with('<') && text.contains(&told), "{text}: {told}");
    let (mended, _) = bee.mended(text);
    assert_eq!(mended.replace("<<", "<"), text.replace("<<", "<"));
    let escaped = encode(&mended);
    assert_eq!(escaped.changes.escaped, None, "{mended}");
    assert_eq!((&read.ids, &read.labels, &read.rendered), (&escaped.ids, &escaped.labels, &escaped.rendered));
}

/// The tutorial's second form of a dialogue, at which the reference ends with an error.
#[test]
fn tokens_that_no_vocabulary_has_are_characters() {
    let Some(folder) = common::golden("seed/cpmbee-data") else { return common::skipped(1, "CPM-Bee data") };
    let bee = CpmBee::parse(&std::fs::read(folder.join("bee.txt")).unwrap()).unwrap();
    read_as_characters(&bee, "<问题>你好，明天天气如何？\n<答案>你在哪里？\n<问题>北京。\n<答案>");
    for (text, mended) in [
        ("a<b", "a<<b"),
        ("<问题>", "<<问题>"),
        ("x <div class='a'>y</div><sep>z<mask_0>", "x <<div class='a'>y<</div><sep>z<mask_0>"),
        ("<<问题> <", "<<问题> <<"),
        ("<a<option_3>", "<<a<option_3>"),
    ] {
        assert_eq!(bee.mended(text).0, mended);
    }
    for sound in ["", "a", "<<", "a<sep>b", "<option_12>", "<<<mask_0>", "1 << 2"] {
        assert_eq!(bee.mended(sound), (sound.into(), None));
    }
}

/// `<ans>` may stand first, be a tree, and only the one at the root asks for anything.
#[test]
fn answers_are_what_stands_below_the_first_level() {
    let bee = small();
    let data = object(json!({"<ans>": {"a": {"b": "hi", "<ans>": "yes"}}, "input": {"<ans>": "ab"}}));
    let example = encode_row(&bee, &data).unwrap();
    let row = example.side.as_ref().unwrap();
    let learned: Vec<&str> = (0..example.ids.len())
        .filter(|at| example.labels[*at] != IGNORE)
        .map(|at| bee.word(example.labels[at] as u32).unwrap())
        .collect();
    assert_eq!(learned, ["hi", "</s>", "yes", "</s>"]);
    let answers = row.context.iter().filter(|context| !**context).count();
    assert_eq!(answers, 4, "the two answers with what begins each");
}

/// Ids of words, and from the vocabulary's size on a number for each text that is in none.
fn check_ids(words: &[data::Word<'_>], case: &Value, size: usize) {
    let mut unknown: Vec<&str> = Vec::new();
    let id = |word| match word {
        &data::Word { kind: WordKind::Known(id) | WordKind::Special(Some(id)), .. } => id as usize,
        data::Word { text, .. } => {
            let at = unknown.iter().position(|known| known == text).unwrap_or_else(|| {
                unknown.push(text);
                unknown.len() - 1
            });
            size + at
        }
    };
    let ids: Vec<usize> = words.iter().map(id).collect();
    assert_eq!(ids, numbers::<usize>(&case["ids"]), "{case}");
    for (at, text) in unknown.iter().enumerate() {
        assert_eq!(case["ext"][(size + at).to_string()], **text);
    }
}

fn golden_rows(folder: &Path, bee: &CpmBee) -> Vec<Example> {
    let lines = std::fs::read_to_string(folder.join("records.jsonl")).unwrap();
    lines.lines().map(|line| encode_row(bee, &object(serde_json::from_str(line).unwrap())).unwrap()).collect()
}

#[test]
fn golden_records_become_the_reference_rows() {
    let Some(folder) = common::golden("seed/cpmbee-data") else { return common::skipped(1, "CPM-Bee data") };
    let bee = CpmBee::parse(&std::fs::read(folder.join("bee.txt")).unwrap()).unwrap();
    let expected = read_json(&folder.join("expected.json"));
    let rows = golden_rows(&folder, &bee);
    assert_eq!(rows.len(), expected["records"].as_array().unwrap().len());
    for (example, record) in rows.iter().zip(expected["records"].as_array().unwrap()) {
        let ids: Vec<u32> = numbers(&record["ids"]);
        let row = example.side.as_ref().unwrap();
        // The token that the last answer's end is learned at.
        assert_eq!((example.ids.len(), example.ids.last()), (ids.len() + 1, Some(&7)));
        assert_eq!(example.ids[..ids.len()], ids);
        assert_eq!(row.subs[..ids.len()], numbers::<u32>(&record["subs"]));
        let context: Vec<bool> = numbers::<u8>(&record["context"]).iter().map(|flag| *flag == 1).collect();
        assert_eq!(row.context[..ids.len()], context);
        assert_eq!(row.segments[..ids.len()], numbers::<u32>(&record["segment_ids"]));
        assert_eq!(row.tree.len() as u64, record["n_segments"].as_u64().unwrap());
        assert_eq!(row.tree.relations(), numbers::<u32>(&record["segment_rel"]));
        let batch = Batch::collate(std::slice::from_ref(example), 0).unwrap();
        let vocabulary = bee.len() as i32;
        assert_eq!(targets(&batch.labels, ids.len(), vocabulary), numbers::<i32>(&record["target"]));
        let columns = batch.side.as_ref().unwrap().columns();
        assert_eq!(columns.iter().map(|at| at.id).collect::<Vec<_>>(), numbers::<u32>(&record["ext_ids"]));
        assert_eq!(columns.iter().map(|at| at.sub).collect::<Vec<_>>(), numbers::<u32>(&record["ext_sub"]));
        let table = record["ext_table"].as_object().unwrap();
        let texts: Vec<&str> = row.extension.iter().map(|token| token.text.as_str()).collect();
        assert_eq!(texts, table.values().map(|text| text.as_str().unwrap()).collect::<Vec<_>>());
    }
}

/// Each token is the text it has in the rendering, and nothing is learned but answers.
#[test]
fn renderings_show_where_tokens_lie() {
    let bee = small();
    let data =
        object(json!({"input": "a<mask_0> bc<<é<sep>", "<ans>": {"b": "hi<mask_0>", "x": {"y": "yes"}}}));
    let example = encode_row(&bee, &data).unwrap();
    let row = example.side.as_ref().unwrap();
    let text = |at: usize| &example.rendered[example.offsets[at].0..example.offsets[at].1];
    assert!(
        example.rendered.starts_with("<s><root></s>\n<s>input</s>\n  <s>a<mask_0> bc<<é<sep></s>\n<s><ans>")
    );
    let learned: Vec<_> =
        (0..example.ids.len()).filter(|at| example.labels[*at] != IGNORE).map(text).collect();
    // Behind an answer that is not the last, `</s>` is learned where the next key begins.
    assert_eq!(learned, ["hi", "<mask_0>", "<s>", "yes", "</s>"]);
    let shown: Vec<_> = (6..15).map(text).collect();
    assert_eq!(shown, ["<s>", "a", "<mask_0>", " bc", "<<", "é", "<sep>", "</s>", "<s>"]);
    assert_eq!((example.roles[7], example.roles[6]), (TokenRole::User, TokenRole::Template));
    assert_eq!(
        row.extension.iter().map(|token| (token.id, token.sub)).collect::<Vec<_>>(),
        [(2, 0), (1, 0), (1, 1), (1, 2)]
    );
}

#[test]
fn rows_of_a_batch_share_one_extension_table() {
    let bee = small();
    let row = |answer: &str| {
        let data = json!({"input": "<option_0><option_1><mask_0><mask_1>", "<ans>": answer});
        encode_row(&bee, &object(data)).unwrap()
    };
    let other =
        encode_row(&bee, &object(json!({"input": "<mask_7><mask_8><mask_9>", "<ans>": "<mask_8>"}))).unwrap();
    let batch = Batch::collate(&[row("<mask_1>"), other], 0).unwrap();
    let columns: Vec<_> = batch.side.as_ref().unwrap().columns().iter().map(|at| (at.id, at.sub)).collect();
    assert_eq!(columns, [(10, 1), (2, 1), (2, 2)]);
    let labels: Vec<i32> = batch.labels.iter().copied().filter(|label| *label >= FIRST_EXTENSION).collect();
    assert_eq!(labels, [FIRST_EXTENSION + 1, FIRST_EXTENSION + 1]);
    // A row of ids alone may stand beside them.
    let ids = Example { ids: vec![5, 6], labels: vec![5, 6], ..Example::default() };
    let mixed = Batch::collate(&[row("yes"), ids.clone()], 0).unwrap();
    assert_eq!(mixed.side.unwrap().rows[1].context, [false, false]);
    assert!(Batch::collate(&[ids], 0).unwrap().side.is_none());
}

#[test]
fn hostile_vocabularies_are_refused() {
    let refused = |bytes: &[u8], why: &str| {
        let err = CpmBee::parse(bytes).unwrap_err();
        assert!(err.to_string().contains(why), "{err}");
    };
    refused(b"", "it has no `<mask>`");
    refused(b"<pad>\n\xff\n", "not UTF-8");
    refused(WORDS.replace("<root>\n", "").as_bytes(), "it has no `<root>`");
    refused(WORDS.replace("</n>\n", "").as_bytes(), "it has no `\\n`");
    refused(format!("{WORDS}ab\n").as_bytes(), "`ab` occurs twice");
    refused(format!("{WORDS} \n").as_bytes(), "` ` occurs twice");
    refused(format!("{WORDS}{}\n", "x".repeat(5000)).as_bytes(), "has 5000 bytes");
    assert_eq!(CpmBee::parse(WORDS.replace('\n', "\r\n").as_bytes()).unwrap().len(), small().len());
}

#[test]
fn texts_outside_the_syntax_are_characters_and_no_text_panics() {
    let bee = small();
    for bad in ["a<", "<", "a<b", "<>", "<a<b>", "<<<", "<é"] {
        assert!(bee.words(bad).is_err(), "{bad}");
    }
    for bad in ["a<", "<", "a<b", "<>", "<a<b>", "<<<", "<é", "<x>", "é<ab>"] {
        read_as_characters(&bee, bad);
    }
    for good in ["", "<<", "<<>", "<>>", "é<mask_0>é", "a<<<mask>", "\u{0}\u{10ffff}"] {
        assert!(bee.words(good).is_ok(), "{good}");
    }
}

/// Whatever a vocabulary or a row holds: it is read or refused.
#[test]
fn nothing_makes_the_readers_panic() {
    let mut state = 7u32;
    let mut draw = move |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let mut read = 0;
    for _ in 0..2000 {
        let mut bytes = WORDS.as_bytes().to_vec();
        for _ in 0..draw(4) {
            let (at, byte) = (draw(bytes.len()), draw(256) as u8);
            bytes[at] = byte;
        }
        let cut = bytes.len() - draw(2) * draw(40);
        read += usize::from(CpmBee::parse(&bytes[..cut]).is_ok());
    }
    assert!(read > 100, "{read}");
    let bee = small();
    let pieces = [
        "<", ">", "<<", "_", "mask", "<mask_0>", "ans", "<ans>", "ab", " ", "\n", "é", "😀", "</s>", "\u{0}",
    ];
    let mut text =
        |count: usize| -> String { (0..draw(count)).map(|_| pieces[draw(pieces.len())]).collect() };
    let mut read = 0;
    for _ in 0..3000 {
        let data =
            json!({text(5): text(9), text(4): {text(3): text(4)}, "<ans>": {text(3): text(4), "a": text(6)}});
        let data = object(data);
        if let Ok(example) = encode_row(&bee, &data) {
            let sound = |range: &(usize, usize)| example.rendered.get(range.0..range.1).is_some();
            assert!(example.offsets.iter().all(sound), "{data:?}");
            assert_eq!(example.side.as_ref().unwrap().subs.len(), example.ids.len());
            read += 1;
        }
    }
    assert!(read > 100, "{read}");
}

fn folder() -> (Folder, Tokenizer) {
    let folder = Folder::with("vocab.txt", WORDS).0;
    folder.write("config.json", "{}");
    let tokenizer = Tokenizer::open(folder.path()).unwrap();
    (folder, tokenizer)
}

#[test]
fn a_folder_with_its_vocabulary_is_a_tokenizer() {
    let (folder, tokenizer) = folder();
    assert_eq!((tokenizer.bos(), tokenizer.eos(), tokenizer.pad()), (Some(6), Some(7), Some(0)));
    assert_eq!((tokenizer.vocab_size(), tokenizer.largest_id()), (20, 19));
    let encoded = tokenizer.encode("ab<<é<sep>", true).unwrap();
    assert_eq!(encoded.ids, [15, 11, 1, 3]);
    assert_eq!(tokenizer.decode(&[15, 11, 3, 999], true).unwrap(), "ab<");
    assert_eq!(tokenizer.decode(&[15, 11, 3], false).unwrap(), "ab<<sep>");
    assert!(tokenizer.encode("a<b", false).is_err());
    assert!(tokenizer.is_added(3) && !tokenizer.is_added(11));
    // Other models' word lists have that name too.
    folder.write("vocab.txt", "[PAD]\n[UNK]\n");
    assert!(Tokenizer::open(folder.path()).unwrap_err().to_string().contains("vocab.txt"));
}

fn encoder(max_length: usize) -> Encoder {
    let options = EncodeOptions { max_length, ..EncodeOptions::default() };
    Encoder::new(Arc::new(folder().1), None, options).unwrap()
}

#[test]
fn conversations_and_texts_become_dicts() {
    let encoder = encoder(1000);
    let rendered = |record: &Record| encoder.render(record).unwrap();
    let messages =
        [("system", "ab"), ("user", "a"), ("assistant", "b<"), ("user", "hi"), ("assistant", "yes")];
    let messages = messages.map(|(role, text)| message(role, text)).to_vec();
    let asked = encoder.render_chat(&messages[..4], None).unwrap();
    let lines =
        "<s><root></s>\n<s>input</s>\n  <s>a<sep>b<<<sep>hi</s>\n<s>prompt</s>\n  <s>ab</s>\n<s><ans></s>\n";
    let record = Record::Conversation { messages, tools: None };
    assert_eq!(rendered(&record), format!("{lines}  <s>yes</s>"));
    assert_eq!(format!("{}\n", asked.text), lines);
    let example = encoder.encode(&record).unwrap();
    // What is asked is what is trained on, up to the answer.
    assert_eq!(example.ids[..asked.ids.len()], asked.ids);
    assert_eq!(example.learned(), 2);
    let pair = Record::Completion { prompt: "a".into(), completion: "b".into() };
    assert_eq!(rendered(&pair), "<s><root></s>\n<s>input</s>\n  <s>a</s>\n<s><ans></s>\n  <s>b</s>");
    assert_eq!(rendered(&Record::Text("b".into())), "<s><root></s>\n<s><ans></s>\n  <s>b</s>");
}

#[test]
fn questions_are_asked_of_every_leaf() {
    let encoder = encoder(1000);
    let typed = r#"{"input": "é<option_1>", "<ans>": {"a": "", "b": {"ab": ""}}}"#;
    let prompt = encoder.plain_prompt(typed).unwrap();
    let bee = prompt.bee.unwrap();
    assert!(bee.row.context.iter().all(|context| *context));
    assert_eq!(bee.segments(), [5, 8]);
    assert_eq!(bee.fill(&["x".into()]), json!({"a": "x", "b": {"ab": null}}));
    assert_eq!(bee.text(encoder.tokenizer().cpm_bee().unwrap(), 1, 0), "é");
    assert_eq!(bee.text(encoder.tokenizer().cpm_bee().unwrap(), 10, 0), "<option_1>");
    assert_eq!(bee.text(encoder.tokenizer().cpm_bee().unwrap(), 10, 1), "<option>");
    let plain = encoder.plain_prompt("a < b").unwrap().bee.unwrap();
    assert_eq!(plain.fill(&["yes".into()]), json!("yes"));
    assert!(plain.rendered.contains("a << b"));
    assert!(encoder.plain_prompt(r#"{"input": ["a"]}"#).is_err());
}

#[test]
fn dicts_teach_other_models_as_question_and_answer() {
    let Some(folder) = common::golden("tokenizer/llama2-bytefallback") else {
        return common::skipped(1, "golden tokenizers");
    };
    let mut settings = config(&[]);
    settings.template = "plain".into();
    let encoder = Encoder::open(&folder, &settings, Path::new("."), None).unwrap();
    let data = object(json!({"input": "hi", "question": "who", "<ans>": {"name": "me"}}));
    let rendered = encoder.render(&Record::Dict(data)).unwrap();
    assert!(
        rendered.contains("input: hi\nquestion: who") && rendered.contains(r#"{"name":"me"}"#),
        "{rendered}"
    );
}

fn open_rows(lines: &str, change: impl FnOnce(&mut protocol::config::DataConfig)) -> (Folder, Dataset) {
    let folder = Folder::with("rows.jsonl", lines).0;
    let mut settings = config(&["rows.jsonl"]);
    change(&mut settings);
    let encoder = encoder(EncodeOptions::from(&settings).max_length);
    let dataset = Dataset::open(&settings, folder.path(), Arc::new(encoder), &Silent).unwrap();
    (folder, dataset)
}

#[test]
fn files_are_recognised_and_bad_rows_named() {
    let lines = [
        r#"{"input": "a", "<ans>": "b"}"#,
        r#"{"input": "a<b", "<ans>": "b"}"#,
        r#"{"input": "a"}"#,
        r#"{"input": ["a"], "<ans>": "b"}"#,
        r#"{"<问题>": "a", "<ans>": "b"}"#,
        r#"{"input": 7, "<ans>": {"a": ""}}"#,
    ];
    let (_folder, dataset) = open_rows(&format!("{}\n", lines.join("\n")), |_| ());
    assert_eq!(dataset.sources()[0].format, "cpm-bee");
    let errors = [(2, "no `<ans>`"), (3, "is a list")];
    for (index, why) in errors {
        let err = dataset.example(index).unwrap_err();
        assert!(err.to_string().contains(why), "{err}");
        assert_eq!(err.place.row, Some(index as u64 + 1));
    }
    let survey = Survey::new(&dataset, &data::ModelTokens::default(), 0, &Silent).unwrap();
    // The last one's answer is empty: its end alone is learned.
    assert_eq!(survey.verdict.learned_tokens, 3 * 2 + 1);
    let found = survey.verdict.findings.iter().find(|finding| finding.kind == FindingKind::Escaped).unwrap();
    assert_eq!((found.severity, &found.rows), (Severity::Info, &vec![2, 5]));
    assert!(found.text.en.contains("`<b`") && found.text.zh.contains("`<b`"), "{}", found.text);
    let tokens = |ids: &[u32]| ids.iter().map(u32::to_string).collect();
    let shown = preview(&dataset, 0, 2, &tokens).rows;
    assert!(shown[0].notes.is_empty());
    assert!(shown[1].notes[0].en.contains("`<b` and is read as a character"), "{:?}", shown[1].notes);
    let deep = format!("{}\"x\"{}", "{\"a\":".repeat(90), "}".repeat(90));
    let (_folder, dataset) = open_rows(&format!("{{\"<ans>\":{deep}}}\n"), |_| ());
    assert!(dataset.example(0).unwrap_err().to_string().contains("nested deeper"));
}

/// In training the answers of a level come in an order of their own in each epoch, and nothing else changes.
#[test]
fn answers_are_shuffled_where_rows_are_read_for_training() {
    let lines = "{\"<ans>\": {\"a\": \"hi\", \"b\": \"yes\", \"ab\": {\"x\": \"a\", \"y\": \"b\"}}, \"input\": \"a\"}\n";
    let (_folder, dataset) = open_rows(lines, |_| ());
    let plain = dataset.example(0).unwrap();
    let draw = |epoch| dataset.example_drawn(0, Draw { seed: 1, epoch, example: 0 }).unwrap();
    assert_eq!(draw(3), draw(3));
    let orders: std::collections::BTreeSet<String> = (0..200).map(|epoch| draw(epoch).rendered).collect();
    // Three answers, one of which holds two.
    assert_eq!(orders.len(), 12);
    for epoch in 0..8 {
        let drawn = draw(epoch);
        let sorted = |mut ids: Vec<u32>| {
            ids.sort_unstable();
            ids
        };
        assert_eq!(sorted(drawn.ids.clone()), sorted(plain.ids.clone()));
        assert_eq!(drawn.learned(), plain.learned());
        assert!(drawn.rendered.ends_with("<s>input</s>\n  <s>a</s>"));
    }
    // Rows without levels stay as they are.
    let (_folder, dataset) = open_rows("{\"input\": \"a\", \"<ans>\": \"b\"}\n", |_| ());
    assert_eq!(
        dataset.example_drawn(0, Draw { seed: 1, epoch: 2, example: 0 }).unwrap(),
        dataset.example(0).unwrap()
    );
}

#[test]
fn previews_spell_what_the_vocabulary_lacks() {
    let (_folder, dataset) = open_rows("{\"input\": \"a<option_5>é\", \"<ans>\": \"<option_5>\"}\n", |_| ());
    let tokenizer = folder().1;
    let tokens = |ids: &[u32]| ids.iter().map(|id| tokenizer.token(*id).unwrap()).collect();
    let shown = preview(&dataset, 0, 1, &tokens);
    let row = &shown.rows[0];
    assert_eq!(row.tokens[6..13], ["<s>", "a", "<option_5>", "é", "</s>", "<s>", "<ans>"]);
    let learned: Vec<_> = row.tokens.iter().zip(&row.loss_mask).filter(|(_, learned)| **learned).collect();
    assert_eq!(learned, [(&"<option_5>".to_owned(), &true), (&"</s>".to_owned(), &true)]);
}

#[test]
fn rows_that_are_too_long_keep_their_sides_in_step() {
    let lines = "{\"input\": \"a\", \"<ans>\": \"a b a b a b\"}\n";
    let (_folder, whole) = open_rows(lines, |_| ());
    let length = whole.example(0).unwrap().ids.len();
    let (_folder, cut) = open_rows(lines, |settings| settings.max_length = 16);
    let example = cut.example(0).unwrap();
    assert_eq!((example.ids.len(), example.truncated_from), (16, Some(length)));
    assert_eq!(example.side.as_ref().unwrap().subs.len(), 16);
    assert!(!example.learns_to_stop);
    let (_folder, split) = open_rows(lines, |settings| {
        settings.max_length = 16;
        settings.on_too_long = OnTooLong::Split;
    });
    assert_eq!(split.example(0).unwrap().side.unwrap().context.len(), 16);
}

/// Integer tensors of a safetensors file.
fn tensors(file: &Path) -> impl Fn(&str) -> Vec<i32> + use<> {
    let bytes = std::fs::read(file).unwrap();
    let size = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + size]).unwrap();
    move |name| {
        let range = numbers::<usize>(&header[name]["data_offsets"]);
        let part = &bytes[8 + size + range[0]..8 + size + range[1]];
        part.chunks(4).map(|number| i32::from_le_bytes(number.try_into().unwrap())).collect()
    }
}

/// The reference's packing: each row goes where the least room is left that it fits into; when a batch and
/// one more are open, the batch leaves.
fn pack(lengths: &[usize], max_length: usize, batch_size: usize) -> Vec<Vec<Vec<usize>>> {
    let mut batches = Vec::new();
    let mut open: Vec<Vec<usize>> = Vec::new();
    for (row, length) in lengths.iter().enumerate() {
        let used = |rows: &[usize]| rows.iter().map(|row| lengths[*row]).sum::<usize>();
        let fits = (0..open.len()).filter(|at| used(&open[*at]) + length <= max_length);
        match fits.min_by_key(|at| max_length - used(&open[*at])) {
            Some(at) => open[at].push(row),
            None => open.push(vec![row]),
        }
        if open.len() > batch_size {
            batches.push(open.drain(..batch_size).collect());
        }
    }
    batches.push(open);
    batches
}

/// Rows behind each other are the reference's packed batches: what belongs to a row does not depend on what
/// it is packed with, but for the extension table that a batch shares.
#[test]
fn golden_batches_are_made_of_these_rows() {
    let Some(folder) = common::golden("seed/cpmbee-data") else { return common::skipped(1, "CPM-Bee data") };
    let bee = CpmBee::parse(&std::fs::read(folder.join("bee.txt")).unwrap()).unwrap();
    let expected = tensors(&folder.join("expected.safetensors"));
    let rows = golden_rows(&folder, &bee);
    let len = |row: usize| rows[row].ids.len() - 1;
    let lengths: Vec<usize> = (0..rows.len()).map(len).collect();
    let batches = pack(&lengths, 112, 2);
    assert_eq!(batches.len(), 2);
    for (number, places) in batches.iter().enumerate() {
        let tensor = |name: &str| expected(&format!("batch{number}.{name}"));
        let order: Vec<Example> = places.iter().flatten().map(|row| rows[*row].clone()).collect();
        let batch = Batch::collate(&order, 0).unwrap();
        let side = batch.side.as_ref().unwrap();
        let columns = side.columns();
        assert_eq!(columns.iter().map(|at| at.id as i32).collect::<Vec<_>>(), tensor("ext_ids"));
        assert_eq!(columns.iter().map(|at| at.sub as i32).collect::<Vec<_>>(), tensor("ext_sub"));
        let labels = batch.labels.chunks(batch.len).collect::<Vec<_>>();
        let rel = tensor("segment_rel");
        let rel = rel.chunks(rel.len() / places.len()).collect::<Vec<_>>();
        for (line, places) in places.iter().enumerate() {
            let line_of = |name: &str| tensor(name)[line * 112..(line + 1) * 112].to_vec();
            let (mut at, mut relations) = (0, 0);
            for (span, row) in places.iter().enumerate() {
                let index = order.iter().position(|example| *example == rows[*row]).unwrap();
                let (row, ids) = (&side.rows[index], &order[index].ids);
                let here = at..at + len(places[span]);
                let check = |name: &str, ours: &dyn Fn(usize) -> i32| {
                    let ours: Vec<i32> = (0..here.len()).map(ours).collect();
                    assert_eq!(ours, line_of(name)[here.clone()], "{name} of batch {number}, row {line}");
                };
                check("inputs", &|token| ids[token] as i32);
                check("inputs_sub", &|token| row.subs[token] as i32);
                check("context", &|token| row.context[token].into());
                check("segment_ids", &|token| row.segments[token] as i32);
                check("num_segments", &|_| row.tree.len() as i32);
                check("spans", &|_| span as i32);
                check("segment_rel_offset", &|_| relations as i32);
                let target = targets(labels[index], here.len(), bee.len() as i32);
                check("target", &|token| target[token]);
                let count = row.tree.len() * row.tree.len();
                let ours: Vec<i32> = row.tree.relations().iter().map(|number| *number as i32).collect();
                assert_eq!(ours, rel[line][relations..relations + count]);
                (at, relations) = (here.end, relations + count);
            }
            assert_eq!(tensor("length")[line] as usize, at);
        }
    }
}
