//! `tokenizer.json` and the files beside it.

use data::{DecodeStream, Tokenizer};
use protocol::Result;

use crate::common::root;
use crate::harness::{Input, Run, Target};

const TEXTS: [&str; 4] = [
    "Hello, world! 123 don't",
    "你好，世界。 Ünïcödé e\u{301} 👩‍👩‍👧 \u{fffd}",
    "  \t\n\r\n <s> </s> <|im_start|>user\n<unk>\u{0}",
    "<root>a<<b<ans_0></_>{\"a\": [1]}",
];

pub fn target() -> Target {
    Target::new(seeds, start)
}

pub fn start() -> Run {
    Box::new(|folder| {
        let tokenizer = Tokenizer::open(folder)?;
        use_tokenizer(&tokenizer)
    })
}

/// What a run asks of its tokenizer.
pub fn use_tokenizer(tokenizer: &Tokenizer) -> Result<String> {
    let mut said =
        format!("{} words {} stops", tokenizer.vocab_size().min(9), tokenizer.stop_ids().len().min(9));
    for text in TEXTS {
        let encoded = tokenizer.encode(text, true)?;
        assert_eq!(encoded.ids.len(), encoded.offsets.len());
        assert_eq!(encoded.ids.len(), encoded.added.len());
        for (start, end) in &encoded.offsets {
            assert!(text.get(*start..*end).is_some(), "{start}..{end} of {text:?}");
        }
        let most = tokenizer.largest_id();
        assert!(encoded.ids.iter().all(|id| *id <= most), "an id beyond the largest, {most}");
        tokenizer.decode(&encoded.ids, true)?;
        tokenizer.encode_prompt(text)?;
        stream(tokenizer.decode_stream(&[], false), &encoded.ids);
        said += &format!(" {}", encoded.ids.len() / 8);
    }
    tokenizer.decode(&[0, 1, 2, tokenizer.largest_id(), u32::MAX], false)?;
    let ends = [tokenizer.bos(), tokenizer.eos(), tokenizer.pad()];
    said += &format!(" {:?} {}", ends.map(|id| id.is_some()), tokenizer.special_tokens().len());
    Ok(said)
}

fn stream(mut stream: DecodeStream<'_>, ids: &[u32]) {
    for id in ids {
        drop(stream.push(*id));
    }
}

fn seeds() -> Vec<Input> {
    let small = |model: &str, extra: &str| {
        Input::of(
            "tokenizer.json",
            format!(
                r#"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":[{{"id":3,"content":"<s>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}}],"normalizer":{{"type":"Sequence","normalizers":[{{"type":"NFC"}},{{"type":"Prepend","prepend":"▁"}},{{"type":"Replace","pattern":{{"String":" "}},"content":"▁"}}]}},{extra},"model":{model}}}"#
            ),
        )
    };
    let bpe = r#"{"type":"BPE","dropout":null,"unk_token":"a","continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":false,"byte_fallback":true,"ignore_merges":false,"vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]}"#;
    let unigram = r#"{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0.0],["▁",-1.0],["a",-2.5]],"byte_fallback":false}"#;
    let wordpiece = r###"{"type":"WordPiece","unk_token":"a","continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":{"a":0,"##b":1}}"###;
    let wordlevel = r#"{"type":"WordLevel","vocab":{"a":0,"b":1},"unk_token":"a"}"#;
    let byte_level = r#""pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true},"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{"<s>":{"id":"<s>","ids":[3],"tokens":["<s>"]}}},"decoder":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}"#;
    let split = r#""pre_tokenizer":{"type":"Split","pattern":{"Regex":"\\s+|[^\\s]+"},"behavior":"Isolated","invert":false},"post_processor":null,"decoder":{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}"#;
    let golden = root().join("tests/fixtures/golden/tokenizer");
    let made =
        [(bpe, byte_level), (bpe, split), (unigram, split), (wordpiece, split), (wordlevel, byte_level)];
    let made = made.map(|(model, extra)| small(model, extra));
    made.into_iter()
        .chain(
            ["bytelevel-gpt2", "llama2-bytefallback"]
                .map(|name| Input::copied(&golden.join(name), &Tokenizer::FILES)),
        )
        .collect()
}
