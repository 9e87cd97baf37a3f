//! Rows as the model will see them, token by token.

use std::collections::BTreeSet;
use std::ops::Range;

use memchr::memmem::Finder;
use protocol::{PreviewRow, Result, Text, UserError, text};
use rayon::prelude::*;
use serde_json::Value;

use crate::bee::BeeRow;
use crate::dataset::Dataset;
use crate::deep::DeepPool;
use crate::formats::Answers;
use crate::pieces::windows;
use crate::progress::{Progress, check_cancelled};
use crate::record::{Changes, Example, IGNORE, Record};
use crate::sources::{Row, RowValue};

/// Characters of a field that are shown.
const FIELD_CHARS: usize = 4000;
/// Pieces of a row that are shown; it says how many there are.
const PIECES: usize = 64;
/// Rows searched at once, between two looks at whether to go on.
const CHUNK: usize = 512;

/// Rows to show, and what was found out while they were made.
#[derive(Debug, Default)]
pub struct Shown {
    pub rows: Vec<PreviewRow>,
    /// Names of the columns, in the order in which they come.
    pub columns: Vec<String>,
    /// Whether a row is a conversation, which the chat template renders.
    pub conversations: bool,
    /// Why none of the conversations could be rendered.
    pub failure: Option<UserError>,
}

/// `count` rows from row `first` on (0-based, over all files), fewer at the end. A row that cannot be used
/// stands there with its reason; one that is split, with its pieces one behind the other. `tokens` gives the text of each token for display.
pub fn preview(
    dataset: &Dataset,
    first: u64,
    count: u64,
    tokens: &(dyn Fn(&[u32]) -> Vec<String> + Sync),
) -> Shown {
    let rows = dataset.len() as u64;
    let range = first.min(rows)..first.saturating_add(count).min(rows);
    let see = || -> Vec<Seen> {
        range.into_par_iter().map(|index| Seen::of(dataset, index as usize, tokens)).collect()
    };
    // Without a pool each rendering finds a thread for itself.
    let seen = match DeepPool::new() {
        Ok(pool) => pool.run(see),
        Err(_) => see(),
    };
    let mut shown = Shown::default();
    let mut known = BTreeSet::new();
    let (mut rendered, mut failure) = (false, None);
    for seen in seen {
        for (name, _) in seen.rows.iter().flat_map(|row| &row.fields) {
            if known.insert(name.clone()) {
                shown.columns.push(name.clone());
            }
        }
        if seen.conversation {
            shown.conversations = true;
            match seen.failure {
                Some(err) => failure = failure.or(Some(err)),
                None => rendered = true,
            }
        }
        shown.rows.extend(seen.rows);
    }
    shown.failure = failure.filter(|_| !rendered);
    shown
}

/// One row, as its pieces where it is split.
struct Seen {
    rows: Vec<PreviewRow>,
    conversation: bool,
    /// Why a row that was understood could not be made into tokens.
    failure: Option<UserError>,
}

impl Seen {
    fn of(dataset: &Dataset, index: usize, tokens: &dyn Fn(&[u32]) -> Vec<String>) -> Self {
        let place = dataset.place(index).map(|(file, row)| (file.to_path_buf(), row));
        let (file, number) = place.unwrap_or_default();
        let mut row = blank(number, file);
        let record = match dataset.row(index) {
            Ok(raw) => {
                row.fields = fields(&raw);
                if let Some(answers) = dataset.judged(index, &raw) {
                    return Self::judged(dataset, row, &raw, answers, tokens);
                }
                dataset.understand(index, &raw).map(|record| (raw, record))
            }
            Err(err) => Err(err),
        };
        match record {
            Err(err) => {
                row.error = Some(err.line());
                Self { rows: vec![row], conversation: false, failure: None }
            }
            Ok((raw, record)) => {
                let conversation = matches!(record, Record::Conversation { .. });
                let example = dataset.encode(&raw, &record);
                let failure = example.as_ref().err().cloned();
                let rows = match example.and_then(|example| dataset.accept(&raw, example)) {
                    Ok(example) => pieces(dataset, row, example, tokens),
                    Err(err) => vec![PreviewRow { error: Some(err.line()), ..row }],
                };
                Self { rows, conversation, failure }
            }
        }
    }
}

impl Seen {
    /// Every answer of a row that says how good they are, one behind the other, and that nothing is trained on them.
    fn judged(
        dataset: &Dataset,
        mut row: PreviewRow,
        raw: &Row,
        answers: Result<Answers>,
        tokens: &dyn Fn(&[u32]) -> Vec<String>,
    ) -> Self {
        let answers = match answers {
            Ok(answers) => answers,
            Err(err) => {
                row.error = Some(err.line());
                return Self { rows: vec![row], conversation: false, failure: None };
            }
        };
        let refusal = dataset.refusal().map(|err| err.what);
        let several = (answers.len() > 1).then_some(answers.len() as u64);
        let mut seen = Self { rows: Vec::new(), conversation: true, failure: None };
        for (number, (said, record)) in (1..).zip(answers) {
            let mut shown = PreviewRow { piece: several.map(|_| number), pieces: several, ..row.clone() };
            shown.notes = std::iter::once(said).chain(refusal.clone()).collect();
            row.fields.clear();
            match dataset.encode(raw, &record) {
                Ok(example) => fill(&mut shown, example, tokens),
                Err(err) => {
                    shown.error = Some(err.line());
                    seen.failure = Some(err);
                }
            }
            seen.rows.push(shown);
        }
        seen
    }
}

fn blank(row: u64, file: std::path::PathBuf) -> PreviewRow {
    PreviewRow {
        row,
        file,
        rendered: String::new(),
        ids: Vec::new(),
        tokens: Vec::new(),
        offsets: Vec::new(),
        loss_mask: Vec::new(),
        roles: Vec::new(),
        truncated_from: None,
        error: None,
        fields: Vec::new(),
        piece: None,
        pieces: None,
        notes: Vec::new(),
    }
}

/// The row, or its pieces where it is split; the first carries the fields.
fn pieces(
    dataset: &Dataset,
    mut row: PreviewRow,
    example: Example,
    tokens: &dyn Fn(&[u32]) -> Vec<String>,
) -> Vec<PreviewRow> {
    let max_length = dataset.policy().max_length;
    if dataset.policy().join_texts {
        row.notes.push(text!(
            "In training the text goes on with the next one: blocks of {max_length} tokens",
            "训练时与后面的文本相接，按 {max_length} 个词元分块"
        ));
    }
    if !dataset.splits() || example.ids.len() as u64 <= max_length {
        fill(&mut row, example, tokens);
        return vec![row];
    }
    let windows: Vec<Range<usize>> = windows(&example.labels, max_length).collect();
    if windows.is_empty() {
        let error = Text::fixed("The row has nothing to learn", "该行没有可学习的内容");
        return vec![PreviewRow { error: Some(error), ..row }];
    }
    let pieces = Some(windows.len() as u64);
    let shown = windows.into_iter().take(PIECES).zip(1..);
    let piece = |(window, number): (Range<usize>, u64)| {
        let mut piece = PreviewRow { piece: Some(number), pieces, ..blank(row.row, row.file.clone()) };
        if number == 1 {
            piece.fields = std::mem::take(&mut row.fields);
        }
        fill(&mut piece, example.window(window), tokens);
        piece
    };
    shown.map(piece).collect()
}

fn fill(row: &mut PreviewRow, example: Example, tokens: &dyn Fn(&[u32]) -> Vec<String>) {
    row.tokens = tokens(&example.ids);
    if let Some(side) = &example.side {
        spell_extension(&mut row.tokens, side, &example);
    }
    row.offsets = example.offsets.iter().map(|(start, end)| (*start as u64, *end as u64)).collect();
    row.loss_mask = example.labels.iter().map(|label| *label != IGNORE).collect();
    row.rendered = example.rendered;
    row.ids = example.ids;
    row.roles = example.roles;
    row.truncated_from = example.truncated_from.map(|length| length as u64);
    row.notes.extend(told(&example.changes));
}

/// What else became of the row.
fn told(changes: &Changes) -> Vec<Text> {
    let Changes { source, target, escaped } = changes;
    let source = source.map(|tokens| {
        text!(
            "What precedes the answer had {tokens} tokens and is cut to max_source_length",
            "回答之前的内容原有 {tokens} 个词元，已截断至 max_source_length"
        )
    });
    let target = target.map(|tokens| {
        text!(
            "The answer had {tokens} tokens and is cut to max_target_length",
            "回答原有 {tokens} 个词元，已截断至 max_target_length"
        )
    });
    let escaped = escaped.as_ref().map(|text| {
        text!(
            "`<` opens no special token in `{text}` and is read as a character, written `<<`",
            "`{text}` 中的 `<` 未开启特殊词元，按普通字符读取，写作 `<<`"
        )
    });
    [source, target, escaped].into_iter().flatten().collect()
}

/// What the vocabulary lacks is told by the text it stands for.
fn spell_extension(tokens: &mut [String], side: &BeeRow, example: &Example) {
    let known: BTreeSet<_> = side.extension.iter().map(|token| (token.id, token.sub)).collect();
    let places = example.ids.iter().zip(&side.subs).zip(&example.offsets);
    for (token, ((id, sub), (start, end))) in tokens.iter_mut().zip(places) {
        if known.contains(&(*id, *sub))
            && let Some(text) = example.rendered.get(*start..*end)
        {
            text.clone_into(token);
        }
    }
}

/// The columns of a row as they stand in the file, long values cut.
fn fields(row: &Row) -> Vec<(String, String)> {
    match &row.value {
        RowValue::Text(text) => vec![("text".to_owned(), cut(text))],
        RowValue::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), cut(&written(value)))).collect()
        }
    }
}

fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(FIELD_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The first `limit` rows of `range` (0-based, over all files) whose fields or rendering hold `text`, whatever its
/// case; and where the search ended.
///
/// # Errors
/// When it was cancelled. Rows that cannot be read hold nothing.
pub fn find(
    dataset: &Dataset,
    text: &str,
    range: Range<u64>,
    limit: u64,
    progress: &dyn Progress,
) -> Result<(Vec<u64>, u64)> {
    let stage = Text::fixed("searching", "搜索");
    let (end, total) = (range.end.min(dataset.len() as u64), dataset.len() as u64);
    let wanted = text.to_lowercase();
    let wanted = Finder::new(&wanted);
    let pool = DeepPool::new()?;
    let mut found = Vec::new();
    let mut first = range.start.min(end);
    while first < end && (found.len() as u64) < limit {
        check_cancelled(progress)?;
        progress.report(&stage, first, total);
        let chunk = first..end.min(first + CHUNK as u64);
        let hits: Vec<u64> = pool.run(|| {
            chunk.clone().into_par_iter().filter(|row| holds(dataset, *row as usize, &wanted)).collect()
        });
        let room = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(found.len());
        if hits.len() >= room {
            found.extend(&hits[..room]);
            let last = found.last().map_or(first, |row| row + 1);
            return Ok((found, last));
        }
        found.extend(hits);
        first = chunk.end;
    }
    progress.report(&stage, first, total);
    Ok((found, first))
}

fn holds(dataset: &Dataset, index: usize, wanted: &Finder<'_>) -> bool {
    let Ok(row) = dataset.row(index) else { return false };
    let has = |text: &str| wanted.find(text.to_lowercase().as_bytes()).is_some();
    let in_fields = match &row.value {
        RowValue::Text(text) => has(text),
        RowValue::Object(fields) => fields.values().any(|value| has(&written(value))),
    };
    let rendering = || dataset.understand(index, &row).and_then(|record| dataset.render(&record));
    in_fields || rendering().is_ok_and(|text| has(&text))
}
