//! Tokenizer files that are broken or made to do harm.

use data::{Tokenizer, byte_bpe, sentencepiece, tiktoken};

use crate::common;
use crate::support::Folder;

const TEXT: &str = "Hello  world,\n\t<s>好天气\u{200b}ﬁ½ ab<|im_start|>";

fn own(file: &str) -> Vec<u8> {
    std::fs::read(common::root().join("tests/fixtures/reference/tokenizers/own").join(file)).unwrap()
}

/// A field of a protocol buffer that holds bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut length = Vec::new();
    let mut rest = bytes.len();
    while rest >= 0x80 {
        length.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    length.push(rest as u8);
    [vec![number << 3 | 2], length, bytes.to_vec()].concat()
}

fn piece(text: &str, score: f32, kind: u8) -> Vec<u8> {
    let score = [&[0x15][..], &score.to_le_bytes()].concat();
    field(1, &[field(1, text.as_bytes()), score, vec![0x18, kind]].concat())
}

#[test]
fn broken_sentencepiece_models_are_refused_with_a_reason() {
    let (unknown, letter) = (piece("<unk>", 0.0, 2), piece("a", -1.0, 1));
    let good = [unknown.clone(), letter.clone()].concat();
    assert_eq!(sentencepiece::parse(&good).unwrap().pieces.len(), 2);
    let cases: [(&str, Vec<u8>, &str); 14] = [
        ("nothing", Vec::new(), "0 unknown"),
        ("text", b"hello world".to_vec(), "no SentencePiece model"),
        (
            "a forged length",
            [&good[..], &[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]].concat(),
            "ends in the middle",
        ),
        ("an endless number", [&good[..], &[0x0A], &[0xFF; 12]].concat(), "too long"),
        ("a group", [&good[..], &[0x0B]].concat(), "unknown kind"),
        ("field 0", [&good[..], &[0x02, 0x00]].concat(), "number 0"),
        ("no unknown piece", letter.clone(), "0 unknown"),
        ("two of them", [&good[..], &piece("<u>", 0.0, 2)].concat(), "2 unknown"),
        ("a piece twice", [&good[..], &letter].concat(), "twice"),
        ("an empty piece", [&good[..], &piece("", 0.0, 1)].concat(), "empty"),
        ("no score", [&good[..], &piece("b", f32::NAN, 1)].concat(), "score"),
        ("no kind", [&good[..], &piece("b", 0.0, 9)].concat(), "kind"),
        ("words", [&good[..], &field(2, &[0x18, 3])].concat(), "neither BPE nor unigram"),
        ("too few bytes", [&good[..], &field(2, &[0x98, 0x02, 1])].concat(), "falls back to bytes"),
    ];
    for (name, bytes, reason) in cases {
        let error = sentencepiece::parse(&bytes).unwrap_err().to_string();
        assert!(error.contains(reason), "{name}: {error}");
    }
    let rules: [&[u8]; 5] =
        [&[1], &[0xFF; 8], &[4, 0, 0, 0, 1, 1, 1, 1], &[3, 0, 0, 0, 1, 1, 1, 0], &[0, 0, 0, 0, 0]];
    for rules in rules {
        let folder = Folder::new();
        folder.write("tokenizer.model", [&good[..], &field(3, &field(2, rules))].concat());
        let error = Tokenizer::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("normalization rules"), "{rules:?}: {error}");
    }
}

#[test]
fn broken_rank_and_merge_files_are_refused_with_their_line() {
    let cases: [(&[u8], &str); 7] = [
        (b"IQ== 0\nIg==\n", "row 2"),
        (b"IQ== 0\n!!!! 1\n", "row 2"),
        (b"IQ== 0\nIg== 99999999999\n", "row 2"),
        (b"IQ== 0\nIg== -1\n", "row 2"),
        (b"IQ== 0\nIg== 0\n", "also that of line 1"),
        (b"IQ== 0\nIQ== 1\n", "twice"),
        (b"IQ== 4294967295\n", "row 1"),
    ];
    for (bytes, reason) in cases {
        let error = tiktoken::parse(bytes).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    assert_eq!(tiktoken::parse(b"IQ== 5\r\n\nIg== 2").unwrap(), [(vec![b'!'], 5), (vec![b'"'], 2)]);
    // Not every byte has a token.
    let folder = Folder::new();
    folder.write("tokenizer.model", "IQ== 0\nIg== 1\n");
    assert!(Tokenizer::open(folder.path()).unwrap_err().to_string().contains("byte 0"));

    for (bytes, row) in [
        (&b"a b\nc\n"[..], "row 2"),
        (b"a b c", "row 1"),
        (b"#version: 1\n\na ", "row 3"),
        (b"\xFF", "UTF-8"),
    ] {
        let error = byte_bpe::parse_merges(bytes).unwrap_err().to_string();
        assert!(error.contains(row), "{error}");
    }
    assert_eq!(
        byte_bpe::parse_merges(b"#version: 0.2\n# #\r\n").unwrap(),
        [("#".to_owned(), "#".to_owned())]
    );
    for bytes in [&b""[..], b"[]", b"{\"a\": -1}", b"{\"a\": \"b\"}", b"{\"a\": 1, \"b\": 1}"] {
        byte_bpe::parse_vocabulary(bytes).unwrap_err();
    }
    let folder = Folder::new();
    folder.write("vocab.json", r#"{"a": 0, "b": 1}"#);
    folder.write("merges.txt", "a b");
    assert!(Tokenizer::open(folder.path()).unwrap_err().to_string().contains("byte-level"));
    folder.write("vocab.json", "{\"a\": 0, \"b\": 1, \"\u{120}\": 2}");
    assert!(Tokenizer::open(folder.path()).unwrap_err().to_string().contains("merges"));
}

/// Random changes of a file, always the same ones.
struct Mutations(u64);

impl Mutations {
    fn draw(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % bound.max(1)
    }

    fn mutate(&mut self, original: &[u8]) -> Vec<u8> {
        let mut bytes = original.to_vec();
        for _ in 0..=self.draw(3) {
            let at = self.draw(bytes.len());
            let end = (at + 1 + self.draw(40)).min(bytes.len());
            match self.draw(16) {
                6..13 if at < bytes.len() => bytes[at] ^= 1 << self.draw(8),
                1 if at < bytes.len() => bytes[at] = [0, 0x7F, 0x80, 0xFF][self.draw(4)],
                2 => bytes.truncate(at),
                3 if at < end => drop(bytes.drain(at..end)),
                4 if at < end => {
                    let part = bytes[at..end].to_vec();
                    bytes.splice(at..at, part);
                }
                5 => {
                    let other = self.draw(original.len());
                    let part = original[other..(other + 20).min(original.len())].to_vec();
                    bytes.splice(at.min(bytes.len())..at.min(bytes.len()), part);
                }
                // Flags, kinds and lengths are at the ends.
                _ => {
                    let from_end = self.draw(60) + 1;
                    if let Some(place) = bytes.len().checked_sub(from_end) {
                        bytes[place] = self.draw(256) as u8;
                    }
                }
            }
        }
        bytes
    }
}

/// A changed file is refused or gives a tokenizer that works; it never panics.
#[test]
fn thousands_of_changed_files_do_no_harm() {
    let files = [
        ("bpe-defined/tokenizer.model", "tokenizer.model", 600),
        ("bpe-rules/tokenizer.model", "tokenizer.model", 600),
        ("bpe-unused/tokenizer.model", "tokenizer.model", 400),
        ("unigram-tidy/tokenizer.model", "tokenizer.model", 600),
        ("glm1/ice_text.model", "ice_text.model", 400),
        ("ranks/tokenizer.model", "tokenizer.model", 400),
    ];
    let (mut opened, mut refused) = (0, 0);
    for (from, name, count) in files {
        let original = own(from);
        let mut mutations = Mutations(11);
        let folder = Folder::new();
        for _ in 0..count {
            folder.write(name, mutations.mutate(&original));
            match Tokenizer::open(folder.path()) {
                Ok(tokenizer) => {
                    opened += 1;
                    let encoding = tokenizer.encode(TEXT, true).unwrap();
                    assert!(encoding.ids.iter().all(|id| *id <= tokenizer.largest_id()));
                    let inside = |(start, end): &(usize, usize)| TEXT.get(*start..*end).is_some();
                    assert!(encoding.offsets.iter().all(inside), "{:?}", encoding.offsets);
                    tokenizer.decode(&encoding.ids, false).unwrap();
                }
                Err(error) => {
                    refused += 1;
                    assert!(!error.what.en.is_empty() && error.place.file.is_some(), "{error}");
                }
            }
        }
    }
    println!("{opened} changed files opened, {refused} refused");
    assert!(opened > 400 && refused > 400, "{opened} opened, {refused} refused");
}
