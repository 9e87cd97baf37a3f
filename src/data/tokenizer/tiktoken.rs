//! tiktoken's rank files: a token in base64, a blank and its rank (its id) a line. Llama 3's and GLM-4's
//! `tokenizer.model`, Qwen 1's `qwen.tiktoken`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::{Result, Text, UserError, text};
use rayon::prelude::*;
use serde_json::{Map, Value};
use tokenizers::AddedToken;

use super::byte_level::{ByteLevelBpe, letter};
use super::engine::Engine;
use super::folder::{self, Folder};
use super::scan::{LLAMA3, QWEN2};
use super::source::{Around, Opened, Source, find};

/// The largest published files have 4 MB.
const MAX_BYTES: u64 = 16 << 20;
/// Tokens longer than this are taken as they are: that they come about by merges is not looked into.
const LONGEST_MERGED: usize = 192;
/// Ids are rows of an embedding.
const MAX_ID: u32 = 1 << 24;

pub(super) const SOURCE: Source = Source { files: "tokenizer.model (tiktoken) / qwen.tiktoken", open };

/// What a family adds to the ranks.
struct Family {
    splitter: &'static str,
    composed: bool,
    /// Special tokens with ids from the first behind the ranks, where the folder names none.
    special: fn() -> Vec<String>,
    /// Names of the tokens in front of every text.
    front: &'static [&'static str],
    /// Names of tokens at which generation ends.
    stops: &'static [&'static str],
    /// `bos_token`, if there is one, and `eos_token`.
    begin: Option<&'static str>,
    end: &'static str,
    /// Its class does not know `add_bos_token`.
    fixed: bool,
}

const GLM4: Family = Family {
    splitter: LLAMA3,
    composed: false,
    special: || {
        const NAMES: [&str; 14] = [
            "<|endoftext|>",
            "[MASK]",
            "[gMASK]",
            "[sMASK]",
            "<sop>",
            "<eop>",
            "<|system|>",
            "<|user|>",
            "<|assistant|>",
            "<|observation|>",
            "<|begin_of_image|>",
            "<|end_of_image|>",
            "<|begin_of_video|>",
            "<|end_of_video|>",
        ];
        NAMES.map(str::to_owned).to_vec()
    },
    front: &["[gMASK]", "<sop>"],
    stops: &["<|user|>", "<|observation|>"],
    begin: None,
    end: "<|endoftext|>",
    fixed: true,
};

const QWEN1: Family = Family {
    splitter: QWEN2,
    composed: true,
    special: || {
        let named = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"].map(str::to_owned);
        named.into_iter().chain((0..205).map(|n| format!("<|extra_{n}|>"))).collect()
    },
    front: &[],
    stops: &["<|im_end|>"],
    begin: None,
    end: "<|endoftext|>",
    fixed: true,
};

const LLAMA: Family = Family {
    splitter: LLAMA3,
    composed: false,
    special: || {
        const NAMES: [&str; 10] = [
            "<|begin_of_text|>",
            "<|end_of_text|>",
            "<|reserved_special_token_0|>",
            "<|reserved_special_token_1|>",
            "<|reserved_special_token_2|>",
            "<|reserved_special_token_3|>",
            "<|start_header_id|>",
            "<|end_header_id|>",
            "<|reserved_special_token_4|>",
            "<|eot_id|>",
        ];
        NAMES.map(str::to_owned).to_vec()
    },
    front: &["<|begin_of_text|>"],
    stops: &["<|eot_id|>"],
    begin: Some("<|begin_of_text|>"),
    end: "<|end_of_text|>",
    fixed: false,
};

fn family(file: &Path, folder: &Folder) -> &'static Family {
    let class = folder.class().unwrap_or_default();
    let model = folder.model_type().unwrap_or_default();
    if class.starts_with("ChatGLM") || model == "chatglm" {
        &GLM4
    } else if class == "QWenTokenizer" || model == "qwen" || file.ends_with("qwen.tiktoken") {
        &QWEN1
    } else {
        &LLAMA
    }
}

fn open(dir: &Path, folder: &Folder) -> Result<Option<Opened>> {
    let Some(file) = find(dir, &["tokenizer.model", "qwen.tiktoken"]) else { return Ok(None) };
    let bytes = folder::read_limited(&file, MAX_BYTES)?;
    if !file.ends_with("qwen.tiktoken") && !looks_like_ranks(&bytes) {
        return Ok(None);
    }
    let ranks = parse(&bytes).map_err(|err| err.in_file(&file))?;
    let family = family(&file, folder);
    let mut folder = folder.clone();
    let next = ranks.iter().map(|(_, rank)| rank + 1).max().unwrap_or(0);
    if folder.declared_tokens().is_empty() {
        let special = (next..).zip((family.special)());
        folder.declare(special.map(|(id, name)| (id, AddedToken::from(name, true))));
    }
    let bpe = ByteLevelBpe {
        merges: merges(&ranks),
        vocabulary: ranks.iter().map(|(token, rank)| (letters(token), *rank)).collect(),
        splitter: Some(family.splitter),
        composed: family.composed,
        whole_words: true,
        prefix_space: false,
    };
    let engine = bpe.build(&folder, &file)?;
    let ids = |names: &[&str]| names.iter().filter_map(|name| engine.id(name)).collect::<Vec<_>>();
    let around = Around { front: ids(family.front), fixed: family.fixed, ..Around::default() };
    let stops = ids(family.stops);
    let special = default_tokens(family, |name| engine.id(name).is_some());
    Ok(Some(Opened { around: Some(around), stops, special, ..Opened::new(engine, [file]) }))
}

fn default_tokens(family: &Family, has: impl Fn(&str) -> bool) -> Map<String, Value> {
    let begin = family.begin.map(|name| ("bos_token", name));
    // Llama 3 names no token for padding.
    let pad = family.begin.is_none().then_some(("pad_token", family.end));
    let pairs = [Some(("eos_token", family.end)), begin, pad].into_iter().flatten();
    pairs.filter(|(_, name)| has(name)).map(|(key, name)| (key.to_owned(), name.into())).collect()
}

/// SentencePiece models begin with a byte that base64 does not have.
fn looks_like_ranks(bytes: &[u8]) -> bool {
    let line = bytes.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut parts = line.trim_ascii_end().splitn(2, |byte| *byte == b' ');
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let token = parts.next().unwrap_or_default();
    let rank = parts.next().unwrap_or_default();
    !token.is_empty()
        && token.iter().all(is_base64)
        && !rank.is_empty()
        && rank.iter().all(u8::is_ascii_digit)
}

/// Reads a rank file: tokens and their ranks.
///
/// # Errors
/// When a line is not a token in base64 and its rank, or a token or a rank comes twice.
pub fn parse(bytes: &[u8]) -> Result<Vec<(Vec<u8>, u32)>> {
    let mut ranks = Vec::new();
    let mut seen = BTreeMap::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let refuse = |what: Text| UserError::bad_input(what).at_row(number as u64 + 1);
        let Some((token, rank)) = parse_line(line) else {
            return Err(refuse(Text::fixed(
                "A line is not a token in base64, a blank and its rank",
                "有一行不是“base64 词元 + 空格 + 序号”的形式",
            )));
        };
        if let Some(before) = seen.insert(rank, number + 1) {
            return Err(refuse(text!(
                "Rank {rank} is also that of line {before}",
                "序号 {rank} 与第 {before} 行相同"
            )));
        }
        ranks.push((token, rank));
    }
    let tokens: HashMap<&[u8], u32> = ranks.iter().map(|(token, rank)| (token.as_slice(), *rank)).collect();
    if tokens.len() < ranks.len() {
        return Err(UserError::bad_input(Text::fixed("A token comes twice", "有词元重复出现")));
    }
    Ok(ranks)
}

fn parse_line(line: &[u8]) -> Option<(Vec<u8>, u32)> {
    let at = line.iter().position(|byte| *byte == b' ')?;
    let token = STANDARD.decode(&line[..at]).ok().filter(|token| !token.is_empty())?;
    let rank: u32 = std::str::from_utf8(&line[at + 1..]).ok()?.parse().ok()?;
    (rank < MAX_ID).then_some((token, rank))
}

fn letters(token: &[u8]) -> String {
    token.iter().map(|byte| letter(*byte)).collect()
}

/// The merges that tiktoken's rule comes to. It joins the neighbours whose joined bytes have the lowest rank. What
/// happens within the bytes of a token does not depend on what stands around them, so that a token comes
/// about from one pair only: the two it consists of last when its own bytes are joined by the rule.
fn merges(ranks: &[(Vec<u8>, u32)]) -> Vec<(String, String)> {
    let by_token: HashMap<&[u8], u32> = ranks.iter().map(|(token, rank)| (token.as_slice(), *rank)).collect();
    let mut pairs: Vec<(u32, (String, String))> = ranks
        .par_iter()
        .filter_map(|(token, rank)| {
            let border = last_border(token, &by_token)?;
            Some((*rank, (letters(&token[..border]), letters(&token[border..]))))
        })
        .collect();
    pairs.sort_unstable_by_key(|(rank, _)| *rank);
    pairs.into_iter().map(|(_, pair)| pair).collect()
}

/// Where the last two parts of a token meet. None if the rule does not join it, or it is a single byte.
fn last_border(token: &[u8], ranks: &HashMap<&[u8], u32>) -> Option<usize> {
    if token.len() > LONGEST_MERGED {
        return None;
    }
    let mut borders: Vec<usize> = (0..=token.len()).collect();
    // Rank of the part that begins at a border joined with the next.
    let joined = |borders: &[usize], at: usize| {
        let (start, end) = (borders.get(at)?, borders.get(at + 2)?);
        ranks.get(&token[*start..*end]).copied()
    };
    let mut costs: Vec<Option<u32>> = (0..borders.len()).map(|at| joined(&borders, at)).collect();
    while borders.len() > 3 {
        let (_, best) = costs.iter().enumerate().filter_map(|(at, cost)| Some(((*cost)?, at))).min()?;
        borders.remove(best + 1);
        costs.remove(best + 1);
        costs[best] = joined(&borders, best);
        if best > 0 {
            costs[best - 1] = joined(&borders, best - 1);
        }
    }
    borders.get(1).copied().filter(|_| borders.len() == 3)
}
