//! The data of a run: several files as one list of rows, each row readable as a record and as an example.
//! Only where rows begin is held in memory.

use std::path::Path;
use std::sync::Arc;

use protocol::config::{DataConfig, OnTooLong, Validation};
use protocol::{Result, SourceReport, Text, UserError, text};
use sha2::{Digest, Sha256};

use crate::formats::{self, Choice, Format, FormatContext, choose};
use crate::pieces::{Pieces, windows};
use crate::progress::Progress;
use crate::record::{Draw, Encode, Example, Record};
use crate::select::{Chosen, Selection};
use crate::sources::{self, Row, RowSource};

/// Files of training rows, and behind them those of validation rows, if the run file names any.
pub struct Dataset {
    parts: Vec<Part>,
    encoder: Arc<dyn Encode>,
    policy: Policy,
    rows: u32,
    /// Where rows are split, once they were counted.
    pieces: Option<Pieces>,
    /// Which files were taken of what the run file names.
    notes: Vec<Text>,
}

/// One file.
pub(crate) struct Part {
    pub source: Arc<dyn RowSource>,
    pub format: &'static Format,
    pub reason: Text,
    context: FormatContext,
    /// Its first row in the dataset.
    pub first: u32,
    pub rows: u32,
    pub validation: bool,
    /// How often its rows are drawn in an epoch.
    pub weight: f64,
}

/// What becomes of rows that cannot be used as they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub max_length: u64,
    pub on_too_long: OnTooLong,
    pub join_texts: bool,
    pub allow_unlabelled: bool,
    pub skip_bad_rows: bool,
    /// Of the training files, held out; 0 where validation files are given.
    pub fraction: f64,
}

impl Dataset {
    /// Opens and indexes every file and chooses its format. Paths are relative to `base`.
    ///
    /// # Errors
    /// When the settings make no sense, a file cannot be opened or its outer structure is broken, or no
    /// format fits. Rows are not read yet, except for a sample.
    pub fn open(
        config: &DataConfig,
        base: &Path,
        encoder: Arc<dyn Encode>,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let files = Selection::of(config, base)?;
        Self::assemble(config, files, encoder, &mut |path| Ok(sources::open(path, progress)?.into()))
    }

    /// As [`Dataset::open`], from files that `open` gives. Where one of them is only a file's head, rows end with
    /// it: what number the next file's rows have is not known yet.
    pub(crate) fn assemble(
        config: &DataConfig,
        files: Selection,
        encoder: Arc<dyn Encode>,
        open: &mut dyn FnMut(&Path) -> Result<Arc<dyn RowSource>>,
    ) -> Result<Self> {
        let policy = Policy::new(config)?;
        let Selection { train, validation, notes } = files;
        let mut dataset = Self { parts: Vec::new(), encoder, policy, rows: 0, pieces: None, notes };
        for file in &train {
            dataset.add(config, file, false, open(&file.path)?)?;
        }
        for file in &validation {
            dataset.add(config, file, true, open(&file.path)?)?;
        }
        Ok(dataset)
    }

    fn add(
        &mut self,
        config: &DataConfig,
        chosen: &Chosen,
        validation: bool,
        source: Arc<dyn RowSource>,
    ) -> Result<()> {
        let Choice { format, reason } = choose(&config.format, &config.columns, source.as_ref())?;
        if config.join_texts && format.id != formats::TEXT {
            return Err(not_texts(format).in_file(&chosen.path));
        }
        let context = FormatContext::new(&config.columns, format)?.with_prefix(&config.source_prefix);
        let known = if self.is_whole() { source.len() } else { 0 };
        let total = u32::try_from(known).ok().and_then(|rows| Some((rows, self.rows.checked_add(rows)?)));
        let Some((rows, total)) = total else {
            return Err(UserError::bad_input(Text::fixed(
                "A dataset may have 4 billion rows at most",
                "数据集最多支持 40 亿行",
            ))
            .in_file(&chosen.path));
        };
        let weight = chosen.weight;
        self.parts.push(Part { source, format, reason, context, first: self.rows, rows, validation, weight });
        self.rows = total;
        Ok(())
    }

    /// Rows of all files.
    pub fn len(&self) -> usize {
        self.rows as usize
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Whether all rows of all files are there, rather than those of a file's head.
    pub fn is_whole(&self) -> bool {
        self.parts.iter().all(|part| part.source.is_whole())
    }

    /// Rows of the training files, where they are counted.
    pub fn training_rows(&self) -> Option<u64> {
        let training = || self.parts.iter().filter(|part| !part.validation);
        let whole = training().all(|part| part.source.is_whole());
        whole.then(|| training().map(|part| part.source.len() as u64).sum())
    }

    /// Why nothing can be trained on these rows, whatever is in them.
    pub(crate) fn refusal(&self) -> Option<UserError> {
        let judged = |part: &Part| Some((part.format.judged.as_ref()?, part.source.file().path().clone()));
        let (judged, file) = self.parts.iter().find_map(judged)?;
        Some(
            UserError::bad_input(judged.refusal.clone())
                .mend(Text::fixed(
                    "to learn the good answers alone, name their columns: data.format = \"columns\" with data.columns.prompt and data.columns.response",
                    "若只学习好的回答，请指明其所在的列：data.format = \"columns\"，并设置 data.columns.prompt 与 data.columns.response",
                ))
                .in_file(&*file),
        )
    }

    /// Row `index` as it stands in its file.
    ///
    /// # Errors
    /// When it cannot be read. Errors of all three readers name file and row.
    pub fn row(&self, index: usize) -> Result<Row> {
        let (part, within) = self.locate(index)?;
        part.source.get(within)
    }

    /// Row `index`, understood.
    pub fn record(&self, index: usize) -> Result<Record> {
        self.read(index).map(|(_, record)| record)
    }

    /// Example `index` as tokens and labels, not longer than the maximal length. Examples are numbered as rows are,
    /// unless rows are split and their pieces known ([`Dataset::number_pieces`]); while they are not, a row is its
    /// first piece.
    ///
    /// # Errors
    /// Also when the row is too long and the run file says `on_too_long = "error"`.
    pub fn example(&self, index: usize) -> Result<Example> {
        self.example_read(index, None)
    }

    /// As [`Dataset::example`], for training: what a draw decides is drawn.
    ///
    /// # Errors
    /// As [`Dataset::example`].
    pub fn example_drawn(&self, index: usize, draw: Draw) -> Result<Example> {
        self.example_read(index, Some(draw))
    }

    fn example_read(&self, index: usize, draw: Option<Draw>) -> Result<Example> {
        let (row, piece) = self.piece(index)?;
        if let Some(pieces) = self.pieces.as_ref().filter(|pieces| pieces.are_joined()) {
            return self.block(pieces, row, piece);
        }
        let (row, record) = self.read(row)?;
        let example = match draw {
            Some(draw) => self.encoder.encode_drawn(&record, draw).map_err(|err| row.place(err))?,
            None => self.encode(&row, &record)?,
        };
        let example = self.accept(&row, example)?;
        if !self.splits() || example.ids.len() as u64 <= self.policy.max_length {
            return Ok(example);
        }
        let window = windows(&example.labels, self.policy.max_length).nth(piece as usize);
        let window = window
            .ok_or_else(|| row.error(Text::fixed("The row has nothing to learn", "该行没有可学习的内容")))?;
        Ok(example.window(window))
    }

    /// A block of joined texts, from the row in which it begins on.
    fn block(&self, pieces: &Pieces, row: usize, piece: u32) -> Result<Example> {
        let length = usize::try_from(self.policy.max_length).unwrap_or(usize::MAX);
        let mut block = Example { learns_to_stop: true, ..Example::default() };
        let mut at = u32::try_from(row).ok();
        let begin = at.map_or(0, |row| pieces.skipped(row));
        let mut start = begin.saturating_add((piece as usize).saturating_mul(length));
        while let Some(row) = at.filter(|_| block.ids.len() < length) {
            let (raw, record) = self.read(row as usize)?;
            let example = self.encode(&raw, &record)?;
            if example.side.is_some() {
                return Err(raw.error(Text::fixed(
                    "Texts of a model that reads dicts cannot be joined",
                    "以字典为输入的模型不能拼接文本",
                )));
            }
            let end = example.ids.len().min(start.saturating_add(length - block.ids.len()));
            block.append(example.window(start.min(end)..end));
            (at, start) = (pieces.after(row), 0);
        }
        Ok(block)
    }

    /// From now on examples are pieces of rows.
    pub fn number_pieces(&mut self, pieces: Pieces) {
        self.pieces = Some(pieces);
    }

    /// Whether rows that are too long are split.
    pub(crate) fn splits(&self) -> bool {
        self.policy.on_too_long == OnTooLong::Split || self.policy.join_texts
    }

    /// The row of an example, and which of its pieces it is.
    fn piece(&self, example: usize) -> Result<(usize, u32)> {
        let Some(pieces) = &self.pieces else { return Ok((example, 0)) };
        let found = u32::try_from(example).ok().and_then(|example| pieces.locate(example));
        found.map(|(row, piece)| (row as usize, piece)).ok_or_else(|| {
            UserError::failure(text!("There is no example {example}", "没有第 {example} 个样本"))
        })
    }

    /// # Errors
    /// When the example was cut and the run file forbids it.
    pub(crate) fn accept(&self, row: &Row, example: Example) -> Result<Example> {
        match example.truncated_from {
            Some(length) if self.policy.on_too_long == OnTooLong::Error => Err(self.too_long(row, length)),
            _ => Ok(example),
        }
    }

    pub(crate) fn read(&self, index: usize) -> Result<(Row, Record)> {
        let row = self.row(index)?;
        let record = self.understand(index, &row)?;
        Ok((row, record))
    }

    /// Every answer of a row that says how good answers are; none for other rows.
    pub(crate) fn judged(&self, index: usize, row: &Row) -> Option<Result<formats::Answers>> {
        let (part, _) = self.locate(index).ok()?;
        let judged = part.format.judged.as_ref()?;
        Some((judged.answers)(row, &part.context).map_err(|err| row.place(err)))
    }

    /// What row `index`, which was read, says.
    pub(crate) fn understand(&self, index: usize, row: &Row) -> Result<Record> {
        let (part, _) = self.locate(index)?;
        (part.format.read)(row, &part.context).map_err(|err| row.place(err))
    }

    pub(crate) fn encode(&self, row: &Row, record: &Record) -> Result<Example> {
        self.encoder.encode(record).map_err(|err| row.place(err))
    }

    pub(crate) fn render(&self, record: &Record) -> Result<String> {
        self.encoder.render(record)
    }

    /// All that becomes of a record depends on, besides the record; None where that cannot be told.
    pub(crate) fn fingerprint(&self) -> Option<[u8; 32]> {
        let Policy { max_length, on_too_long, join_texts, .. } = self.policy;
        let mut hasher = Sha256::new_with_prefix(self.encoder.fingerprint()?);
        hasher.update(format!("{max_length}\0{on_too_long:?}\0{join_texts}"));
        Some(hasher.finalize().into())
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(crate) fn policy(&self) -> Policy {
        self.policy
    }

    /// File (as a path) and 1-based row in it.
    pub fn place(&self, index: usize) -> Result<(Arc<Path>, u64)> {
        let (part, within) = self.locate(index)?;
        Ok((part.source.file().path().clone(), within as u64 + 1))
    }

    /// File and 1-based row in it of an example.
    ///
    /// # Errors
    /// When there is no such example.
    pub fn place_of_example(&self, example: usize) -> Result<(Arc<Path>, u64)> {
        self.place(self.piece(example)?.0)
    }

    /// Which piece of its row an example is, from 0 on.
    ///
    /// # Errors
    /// When there is no such example.
    pub fn piece_of_example(&self, example: usize) -> Result<u32> {
        self.piece(example).map(|(_, piece)| piece)
    }

    /// Which files were taken of folders and patterns, in words.
    pub fn notes(&self) -> &[Text] {
        &self.notes
    }

    /// The first row as it stands in its file; None where there is none that can be read.
    pub fn first_row(&self) -> Option<Row> {
        let (part, at) = self.locate(0).ok()?;
        part.source.get(at).ok()
    }

    /// Whether row `index` is in a file of validation rows.
    pub fn is_validation_file(&self, index: usize) -> bool {
        self.locate(index).is_ok_and(|(part, _)| part.validation)
    }

    /// How each file was read, and why.
    pub fn sources(&self) -> Vec<SourceReport> {
        let report = |part: &Part| SourceReport {
            file: part.source.file().path().to_path_buf(),
            container: container(part.source.as_ref()),
            format: part.format.id.to_owned(),
            reason: part.reason.clone(),
            rows: part.source.len() as u64,
            bytes: part.source.file().size(),
            weight: part.weight,
            tokens: 0,
            share: None,
        };
        self.parts.iter().map(report).collect()
    }

    /// SHA-256 of every file, in the order of [`Dataset::sources`].
    pub fn hashes(&self, progress: &dyn Progress) -> Result<Vec<String>> {
        self.parts.iter().map(|part| part.source.file().sha256(progress)).collect()
    }

    fn locate(&self, index: usize) -> Result<(&Part, usize)> {
        let part = self.parts.partition_point(|part| (part.first as usize) <= index);
        // Files without rows share their first row with the next one, which then is the later part.
        let found = part
            .checked_sub(1)
            .map(|part| &self.parts[part])
            .filter(|part| index < (part.first + part.rows) as usize);
        found.map(|part| (part, index - part.first as usize)).ok_or_else(|| {
            let (row, rows) = (index.saturating_add(1), self.rows);
            UserError::failure(text!(
                "Row {row} was asked for, and there are {rows}",
                "请求了第 {row} 行，但只有 {rows} 行"
            ))
        })
    }

    fn too_long(&self, row: &Row, length: usize) -> UserError {
        let max_length = self.policy.max_length;
        row.error(text!(
            "The row has {length} tokens, more than max_length = {max_length}",
            "该行有 {length} 个词元，超过 max_length = {max_length}"
        ))
        .mend(Text::fixed(
            "raise data.max_length, or set data.on_too_long to \"truncate\", \"split\" or \"drop\"",
            "请增大 data.max_length，或将 data.on_too_long 设为 \"truncate\"、\"split\" 或 \"drop\"",
        ))
    }
}

/// What a file holds its rows in, and what lies around that: `jsonl, gzip`.
fn container(source: &dyn RowSource) -> String {
    let own = source.container();
    let around = source.file().layers().iter().filter(|layer| **layer != own);
    std::iter::once(&own).chain(around).copied().collect::<Vec<_>>().join(", ")
}

fn not_texts(format: &Format) -> UserError {
    let id = format.id;
    UserError::bad_input(text!(
        "Only plain texts can be joined, and this file is in the format `{id}`",
        "只有纯文本可以拼接，而该文件的格式是 `{id}`"
    ))
    .at_item("data.join_texts")
    .mend(Text::fixed(
        "set data.join_texts = false, and data.packing = true to fill the blocks",
        "请设 data.join_texts = false，并用 data.packing = true 填满每块",
    ))
}

impl Policy {
    fn new(config: &DataConfig) -> Result<Self> {
        let refuse =
            |key: &str, what: Text, mend: Text| Err(UserError::bad_input(what).at_item(key).mend(mend));
        if config.train.is_empty() {
            return refuse(
                "data.train",
                Text::fixed("The run file names no training data", "运行文件没有指定训练数据"),
                Text::fixed(
                    "list the files: train = [\"data.jsonl\"]",
                    "请列出文件：train = [\"data.jsonl\"]",
                ),
            );
        }
        if config.max_length == 0 {
            return refuse(
                "data.max_length",
                Text::fixed("max_length is 0", "max_length 为 0"),
                Text::fixed("set it to the number of tokens a row may have", "请设为每行允许的词元数"),
            );
        }
        let fraction = match &config.validation {
            Validation::Fraction(fraction) => *fraction,
            Validation::Files(_) => 0.0,
        };
        if !(0.0..1.0).contains(&fraction) {
            return refuse(
                "data.validation",
                text!("{fraction} of the rows cannot be held out", "不能留出 {fraction} 的行用于验证"),
                Text::fixed(
                    "give a fraction from 0 to below 1, or files",
                    "请给出 0 到 1（不含）之间的比例，或文件列表",
                ),
            );
        }
        Ok(Self {
            max_length: config.max_length,
            on_too_long: config.on_too_long,
            join_texts: config.join_texts,
            allow_unlabelled: config.allow_unlabelled,
            skip_bad_rows: config.skip_bad_rows,
            fraction,
        })
    }
}
