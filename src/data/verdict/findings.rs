//! Findings in words, each with how to mend it.

use protocol::config::OnTooLong;
use protocol::{Finding, FindingKind, Remedy, Severity, Text, UserError, text};

use crate::dataset::Policy;

/// Row numbers that a finding lists.
const LISTED: usize = 100;

/// In the order in which findings are told.
const KINDS: [FindingKind; 11] = [
    FindingKind::BadRow,
    FindingKind::BadTokenId,
    FindingKind::NoLabels,
    FindingKind::TooLong,
    FindingKind::LongSource,
    FindingKind::LongTarget,
    FindingKind::Escaped,
    FindingKind::EmptyAnswer,
    FindingKind::NoEndToken,
    FindingKind::Duplicate,
    FindingKind::Leak,
];

/// What was found in one file.
#[derive(Default)]
pub struct Tally {
    found: [Found; KINDS.len()],
}

#[derive(Default)]
struct Found {
    count: u64,
    rows: Vec<u64>,
    /// Said of the first row.
    example: Option<Text>,
    /// Pieces that rows which are too long are split into, or would be.
    pieces: u64,
}

impl Tally {
    pub fn add(&mut self, kind: FindingKind, row: u64) {
        if let Some(found) = self.of(kind) {
            found.count += 1;
            if found.rows.len() < LISTED {
                found.rows.push(row);
            }
        }
    }

    fn of(&mut self, kind: FindingKind) -> Option<&mut Found> {
        let at = KINDS.iter().position(|known| *known == kind)?;
        self.found.get_mut(at)
    }

    fn add_with(&mut self, kind: FindingKind, row: u64, example: impl FnOnce() -> Text) {
        self.add(kind, row);
        if let Some(found) = self.of(kind) {
            found.example.get_or_insert_with(example);
        }
    }

    pub fn add_too_long(&mut self, row: u64, pieces: u64) {
        self.add(FindingKind::TooLong, row);
        if let Some(found) = self.of(FindingKind::TooLong) {
            found.pieces += pieces;
        }
    }

    pub fn add_bad_row(&mut self, row: u64, err: &UserError) {
        self.add_with(FindingKind::BadRow, row, || err.line());
    }

    pub fn add_bad_id(&mut self, row: u64, id: u32) {
        self.add_with(FindingKind::BadTokenId, row, || text!("id {id}", "编号 {id}"));
    }

    pub fn add_escaped(&mut self, row: u64, text: &str) {
        self.add_with(FindingKind::Escaped, row, || Text::new(text, text));
    }

    /// The findings; `file` is named where there are several.
    pub fn findings(&self, policy: Policy, file: Option<&str>) -> Vec<Finding> {
        let found = KINDS.into_iter().zip(&self.found).filter(|(_, found)| found.count > 0);
        found.map(|(kind, found)| finding(kind, found, policy, file)).collect()
    }
}

fn finding(kind: FindingKind, found: &Found, policy: Policy, file: Option<&str>) -> Finding {
    let Found { count, rows, example, pieces } = found;
    let (count, rows) = (*count, rows.clone());
    let (severity, what, mend) = match kind {
        FindingKind::TooLong => too_long(count, *pieces, policy),
        FindingKind::LongSource | FindingKind::LongTarget | FindingKind::Escaped => {
            changed(kind, count, example.clone())
        }
        _ => words(kind, count, example.clone(), policy),
    };
    let text = match file {
        Some(file) => {
            let Text { en, zh } = what;
            text!("{file}: {en}", "{file}：{zh}")
        }
        None => what,
    };
    let remedies = remedies(kind, severity, (count, *pieces), policy);
    Finding { kind, severity, count, rows, text, mend: Some(mend), remedies }
}

/// Changes of settings that need no look at the model. What longer rows cost, the engine adds.
fn remedies(kind: FindingKind, severity: Severity, (n, pieces): (u64, u64), policy: Policy) -> Vec<Remedy> {
    let change = |label: Text, key: &str, value: serde_json::Value| Remedy {
        label,
        changes: vec![(key.to_owned(), value)],
    };
    let drop = || text!("Drop {n} rows", "丢弃 {n} 行");
    let cut = || text!("Cut {n} rows", "截断 {n} 行");
    let drop_long = || change(drop(), "data.on_too_long", "drop".into());
    let split = || {
        let label = text!("Split them into {pieces} pieces", "拆分为 {pieces} 段");
        change(label, "data.on_too_long", "split".into())
    };
    match kind {
        FindingKind::TooLong if policy.on_too_long == OnTooLong::Truncate => vec![drop_long(), split()],
        FindingKind::TooLong if policy.on_too_long == OnTooLong::Error => {
            vec![drop_long(), change(cut(), "data.on_too_long", "truncate".into()), split()]
        }
        FindingKind::NoLabels if severity == Severity::Error => {
            vec![change(drop(), "data.allow_unlabelled", true.into())]
        }
        FindingKind::BadRow if severity == Severity::Error => {
            vec![change(drop(), "data.skip_bad_rows", true.into())]
        }
        _ => Vec::new(),
    }
}

fn words(kind: FindingKind, n: u64, example: Option<Text>, policy: Policy) -> (Severity, Text, Text) {
    let Text { en, zh } = example.unwrap_or(Text::fixed("", ""));
    match kind {
        FindingKind::BadRow if policy.skip_bad_rows => (
            Severity::Warning,
            text!(
                "{n} rows cannot be read and are left out; the first: {en}",
                "{n} 行无法读取，已跳过；首个原因：{zh}"
            ),
            Text::fixed("correct them if they matter", "如有需要请更正这些行"),
        ),
        FindingKind::BadRow => (
            Severity::Error,
            text!("{n} rows cannot be read; the first: {en}", "{n} 行无法读取；首个原因：{zh}"),
            Text::fixed(
                "correct them, or set data.skip_bad_rows = true",
                "请更正，或设置 data.skip_bad_rows = true",
            ),
        ),
        FindingKind::BadTokenId => (
            Severity::Error,
            text!(
                "{n} rows have token ids beyond the model's vocabulary, such as {en}",
                "{n} 行含有超出模型词表的词元编号，例如{zh}"
            ),
            Text::fixed("use the tokenizer that belongs to the model", "请使用与模型配套的分词器"),
        ),
        FindingKind::NoLabels => nothing_to_learn(n, policy),
        FindingKind::EmptyAnswer => (
            Severity::Warning,
            text!("{n} rows have an empty answer", "{n} 行的回答为空"),
            Text::fixed(
                "fill in the answers or remove the rows: the model learns to say nothing",
                "请补全回答或删除这些行，否则模型会学会什么都不说",
            ),
        ),
        FindingKind::NoEndToken => (
            Severity::Warning,
            text!(
                "In {n} rows no end token follows the answer: the model does not learn to stop there",
                "{n} 行的回答之后没有结束词元，模型学不会在此停止"
            ),
            Text::fixed(
                "choose a template that ends answers with the model's end token",
                "请选用以模型结束词元收尾的模板",
            ),
        ),
        FindingKind::Leak => (
            Severity::Warning,
            text!(
                "{n} validation rows are trained on, too: the validation loss flatters the model",
                "{n} 行验证数据也在训练数据中，验证损失会偏低"
            ),
            Text::fixed(
                "remove them from the training rows, or remove exact repetitions before rows are held out",
                "请从训练数据中删除这些行；若按比例留出，请先删除完全重复的行",
            ),
        ),
        _ => (
            Severity::Warning,
            text!("{n} rows repeat an earlier row exactly", "{n} 行与之前的行完全相同"),
            Text::fixed("remove them unless they are meant to count more", "除非有意加大权重，否则请删除"),
        ),
    }
}

fn nothing_to_learn(n: u64, policy: Policy) -> (Severity, Text, Text) {
    let mend = Text::fixed(
        "complete their answers; if they were cut before the answer, raise data.max_length; or set data.allow_unlabelled = true to leave them out",
        "请补全回答；若在回答之前被截断，请增大 data.max_length；或设置 data.allow_unlabelled = true 以跳过",
    );
    match policy.allow_unlabelled {
        true => (
            Severity::Warning,
            text!("{n} rows have nothing to learn and are left out", "{n} 行没有可学习的内容，已跳过"),
            mend,
        ),
        false => (Severity::Error, text!("{n} rows have nothing to learn", "{n} 行没有可学习的内容"), mend),
    }
}

/// Rows whose tokens are not all that stands in the file.
fn changed(kind: FindingKind, n: u64, example: Option<Text>) -> (Severity, Text, Text) {
    let Text { en, zh } = example.unwrap_or(Text::fixed("", ""));
    match kind {
        FindingKind::LongSource => (
            Severity::Warning,
            text!(
                "In {n} rows what precedes the answer is cut to max_source_length",
                "{n} 行回答之前的内容被截断至 max_source_length"
            ),
            Text::fixed(
                "raise data.max_source_length if memory allows",
                "内存允许时请增大 data.max_source_length",
            ),
        ),
        FindingKind::LongTarget => (
            Severity::Warning,
            text!(
                "In {n} rows the answer is cut to max_target_length, with its end token behind the cut",
                "{n} 行的回答被截断至 max_target_length，结束词元接在截断处之后"
            ),
            Text::fixed(
                "raise data.max_target_length: the model learns to stop in the middle",
                "请增大 data.max_target_length，否则模型会学到半途停止",
            ),
        ),
        _ => (
            Severity::Info,
            text!(
                "In {n} rows a `<` opens no special token of the model and is read as a character, the first in `{en}`",
                "{n} 行中的 `<` 未开启模型的特殊词元，按普通字符读取；首处为 `{zh}`"
            ),
            Text::fixed(
                "nothing to do; write `<<` to say so yourself, or <sep> to part turns",
                "无需处理；也可自行写作 `<<`，或用 <sep> 分隔轮次",
            ),
        ),
    }
}

fn too_long(n: u64, pieces: u64, policy: Policy) -> (Severity, Text, Text) {
    let max = policy.max_length;
    let mend = Text::fixed("raise data.max_length if memory allows", "内存允许时请增大 data.max_length");
    match policy.on_too_long {
        OnTooLong::Truncate => (
            Severity::Warning,
            text!("{n} rows are longer than {max} tokens and are cut", "{n} 行超过 {max} 个词元，将被截断"),
            mend,
        ),
        OnTooLong::Drop => (
            Severity::Warning,
            text!(
                "{n} rows are longer than {max} tokens and are left out",
                "{n} 行超过 {max} 个词元，已跳过"
            ),
            mend,
        ),
        OnTooLong::Split => (
            Severity::Info,
            text!(
                "{n} rows are longer than {max} tokens and are split into {pieces} pieces",
                "{n} 行超过 {max} 个词元，将拆分为 {pieces} 段"
            ),
            Text::fixed(
                "nothing to do; a piece is learned without what stood before it",
                "无需处理；每一段在学习时看不到它之前的内容",
            ),
        ),
        OnTooLong::Error => (
            Severity::Error,
            text!("{n} rows are longer than {max} tokens", "{n} 行超过 {max} 个词元"),
            Text::fixed(
                "raise data.max_length, or set data.on_too_long to \"truncate\", \"split\" or \"drop\"",
                "请增大 data.max_length，或将 data.on_too_long 设为 \"truncate\"、\"split\" 或 \"drop\"",
            ),
        ),
    }
}

/// Padding and end of sequence share an id. Harmless here, and the classic trap elsewhere.
pub fn pad_is_eos(id: u32) -> Finding {
    Finding {
        kind: FindingKind::PadIsEos,
        severity: Severity::Info,
        count: 1,
        rows: Vec::new(),
        text: text!(
            "Padding and end of sequence are the same token ({id}); padding is told by its place here, so the end token is still learned",
            "填充与序列结束是同一个词元（{id}）；这里按位置区分填充，因此仍会学习结束词元"
        ),
        mend: Some(Text::fixed(
            "nothing to do here; other trainers that mask by id would never learn to stop",
            "此处无需处理；按编号屏蔽的其他训练程序会学不会停止",
        )),
        remedies: Vec::new(),
    }
}

/// What was taken of a folder or a pattern.
pub fn files(text: Text) -> Finding {
    Finding {
        kind: FindingKind::Files,
        severity: Severity::Info,
        count: 1,
        rows: Vec::new(),
        text,
        mend: None,
        remedies: Vec::new(),
    }
}

/// How many blocks joined texts make.
pub fn joined(texts: u64, blocks: u64, max_length: u64) -> Finding {
    Finding {
        kind: FindingKind::Joined,
        severity: Severity::Info,
        count: blocks,
        rows: Vec::new(),
        text: text!(
            "{texts} texts are joined, each with its end token, into {blocks} blocks of {max_length} tokens",
            "{texts} 篇文本连同各自的结束词元拼接为 {blocks} 个 {max_length} 词元的块"
        ),
        mend: None,
        remedies: Vec::new(),
    }
}

/// Nothing is left to train on.
pub fn empty(rows: u64) -> Finding {
    let text = match rows {
        0 => Text::fixed("The dataset has no rows", "数据集没有任何行"),
        _ => text!("None of the {rows} rows can be trained on", "{rows} 行中没有一行可用于训练"),
    };
    Finding {
        kind: FindingKind::Empty,
        severity: Severity::Error,
        count: 1,
        rows: Vec::new(),
        text,
        mend: Some(Text::fixed("check that the files are the right ones", "请检查文件是否正确")),
        remedies: Vec::new(),
    }
}
