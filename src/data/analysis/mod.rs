//! Knowing a dataset: languages, lengths by role, how answers begin and end, rows that say nearly the same, training rows
//! that stand in the validation rows or in an evaluation set. One pass over all rows, on all cores; what is held in memory
//! does not grow with the texts.

mod contamination;
mod filter;
mod frequent;
mod language;
mod lengths;
mod minhash;
mod near;
mod pass;
mod said;
mod tasks;
mod units;

use std::collections::BTreeMap;

use protocol::{
    Analysis, AnalysisChecks, LanguageShare, NearDuplicates, Overlap, Result, Text, UserError, text,
};
use rayon::prelude::*;

pub use filter::{Chosen, Filter, Reason, check as check_filter};
pub use minhash::{Bands, jaccard};
pub use tasks::{Asked, Task, asked, tasks, with_and_without};

use crate::dataset::Dataset;
use crate::deep::DeepPool;
use crate::progress::{Progress, check_cancelled, stopped};
use contamination::Questions;
use near::{Index, Likeness};
use pass::{Looking, Pass};

/// Rows looked at at once, between two looks at whether to go on.
const CHUNK: usize = 1024;
/// Openings and endings that are told.
const FREQUENT: usize = 50;
/// Groups of near-duplicates and overlaps that are told; all are counted.
const LISTED: usize = 1000;
/// Rows of a group or a language that are told.
const NAMED: usize = 100;

/// What was found, as it is told and as a filter needs it.
pub struct Known {
    /// Without what the model says.
    pub analysis: Analysis,
    pub(crate) marks: Marks,
}

/// What a filter needs to know of single rows (0-based).
#[derive(Default)]
pub(crate) struct Marks {
    /// Of every row, its place in `codes`.
    languages: Vec<u8>,
    codes: Vec<&'static str>,
    unusable: Vec<u32>,
    near: BTreeMap<u32, Likeness>,
    leaks: BTreeMap<u32, Likeness>,
    shared: BTreeMap<u32, Overlap>,
}

/// Looks at every row. `seed` decides which rows a run holds out.
///
/// # Errors
/// When a threshold makes no sense, an evaluation set cannot be read, or it was cancelled. Rows that cannot be read are
/// counted.
pub fn analyse(
    dataset: &Dataset,
    checks: &AnalysisChecks,
    seed: u64,
    progress: &dyn Progress,
) -> Result<Known> {
    check_threshold(checks)?;
    // On deep stacks: rows and questions may be nested as deep as they like.
    DeepPool::new()?.run(|| {
        let contamination = !checks.contamination.is_empty();
        let questions =
            contamination.then(|| Questions::read(&checks.contamination, progress)).transpose()?;
        let looking = Looking::new(dataset, questions.as_ref(), checks);
        let mut pass = Pass::new(&looking, checks);
        look_at_all(&mut pass, progress)?;
        conclude(pass, checks, seed, progress)
    })
}

fn check_threshold(checks: &AnalysisChecks) -> Result<()> {
    match checks.near_duplicates {
        Some(threshold) if !(threshold > 0.0 && threshold <= 1.0) => Err(UserError::bad_input(text!(
            "{threshold} is no similarity of near-duplicates",
            "{threshold} 不是有效的近似重复相似度"
        ))
        .mend(Text::fixed(
            "give a number above 0 up to 1, such as 0.8",
            "请给出大于 0 且不超过 1 的数，例如 0.8",
        ))),
        _ => Ok(()),
    }
}

fn look_at_all(pass: &mut Pass<'_>, progress: &dyn Progress) -> Result<()> {
    let stage = Text::fixed("looking at rows", "查看数据");
    let (looking, rows) = (pass.looking, pass.looking.dataset.len());
    for first in (0..rows).step_by(CHUNK) {
        check_cancelled(progress)?;
        progress.report(&stage, first as u64, rows as u64);
        let chunk = first..rows.min(first + CHUNK);
        let look = |row| (!progress.cancelled()).then(|| looking.at(row));
        let seen: Option<Vec<_>> = chunk.into_par_iter().map(look).collect();
        for seen in seen.ok_or_else(stopped)? {
            pass.add(seen)?;
        }
    }
    progress.report(&stage, rows as u64, rows as u64);
    Ok(())
}

fn conclude(
    mut pass: Pass<'_>,
    checks: &AnalysisChecks,
    seed: u64,
    progress: &dyn Progress,
) -> Result<Known> {
    let looking = pass.looking;
    let index = pass.index.take();
    let mut analysis = Analysis {
        rows: looking.dataset.len() as u64,
        unusable: pass.unusable.len() as u64,
        ..Analysis::default()
    };
    note_search(&mut analysis, index.as_ref());
    let leaks = match index.filter(|_| checks.leaks) {
        Some(index) => find_leaks(&pass, index, seed, &mut analysis.notes, progress)?,
        None => Vec::new(),
    };
    if checks.near_duplicates.is_some() {
        analysis.near_duplicate_rows = pass.near.len() as u64;
        analysis.near_duplicates = Some(groups(looking.dataset, &pass.near));
    }
    if checks.leaks {
        analysis.leaked_rows = leaks.len() as u64;
        let told = leaks.iter().take(LISTED).map(|leak| leaked(looking.dataset, leak));
        analysis.leaks = Some(told.collect::<Result<_>>()?);
    }
    let shared = overlaps(&pass);
    if let Some(questions) = looking.questions {
        analysis.contaminated_rows = shared.len() as u64;
        analysis.contamination = Some(shared.values().take(LISTED).cloned().collect());
        note_questions(&mut analysis, questions);
    }
    analysis.languages = languages(&pass);
    analysis.lengths = pass.lengths.told();
    let (openings, endings) = (pass.openings.most(FREQUENT), pass.endings.most(FREQUENT));
    if openings.1 || endings.1 {
        analysis.notes.push(Text::fixed(
            "There are more different openings or endings than are counted at a time: counts may be somewhat too low",
            "不同的开头或结尾过多，无法同时计数：次数可能略低于实际",
        ));
    }
    (analysis.openings, analysis.endings) = (openings.0, endings.0);
    let marks = Marks {
        languages: pass.languages,
        codes: pass.codes,
        unusable: pass.unusable,
        near: by_row(pass.near),
        leaks: by_row(leaks),
        shared,
    };
    Ok(Known { analysis, marks })
}

fn by_row(found: Vec<Likeness>) -> BTreeMap<u32, Likeness> {
    found.into_iter().map(|found| (found.row, found)).collect()
}

fn note_search(analysis: &mut Analysis, index: Option<&Index>) {
    let cut = index.map_or(0, Index::cut_short);
    if cut > 0 {
        analysis.notes.push(text!(
            "{cut} rows are alike in part with so many others that they were not compared with all of them: some near-duplicates may not have been found",
            "{cut} 行与过多其他行部分相似，未逐一比较：可能有近似重复未被发现"
        ));
    }
}

fn note_questions(analysis: &mut Analysis, questions: &Questions) {
    let short = questions.short;
    if short > 0 {
        analysis.notes.push(text!(
            "{short} questions of the evaluation sets are too short, or share all their words with too many others, to be looked for",
            "评测集中有 {short} 道题过短，或措辞与过多其他题目相同，未作比对"
        ));
    }
    analysis.notes.extend(questions.notes.iter().cloned());
}

/// Training rows that stand in the validation rows, exactly or nearly.
fn find_leaks(
    pass: &Pass<'_>,
    index: Index,
    seed: u64,
    notes: &mut Vec<Text>,
    progress: &dyn Progress,
) -> Result<Vec<Likeness>> {
    let split = pass.judging.split(seed);
    if split.validation.is_empty() {
        notes.push(Text::fixed(
            "No rows are held out for validation: there is nothing to leak into",
            "没有留作验证的数据，不存在泄漏",
        ));
        return Ok(Vec::new());
    }
    let index = index.only(&split.validation);
    let again = |row| pass.looking.again(row);
    let stage = Text::fixed("comparing with the validation rows", "与验证数据比较");
    let mut found = Vec::new();
    for (turn, rows) in split.train.chunks(CHUNK).enumerate() {
        check_cancelled(progress)?;
        progress.report(&stage, (turn * CHUNK) as u64, split.train.len() as u64);
        let leaks: Vec<_> = rows.par_iter().filter_map(|row| index.nearest(*row, &again)).collect();
        found.extend(leaks);
    }
    Ok(found)
}

/// Near-duplicates by the row that they are like; the largest groups first.
fn groups(dataset: &Dataset, near: &[Likeness]) -> Vec<NearDuplicates> {
    let mut groups: BTreeMap<u32, (Vec<u64>, u64, f64)> = BTreeMap::new();
    for Likeness { row, of, similarity } in near {
        let (rows, count, least) = groups.entry(*of).or_insert_with(|| (vec![u64::from(*of) + 1], 1, 1.0));
        *count += 1;
        *least = least.min(*similarity);
        if rows.len() < NAMED {
            rows.push(u64::from(*row) + 1);
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by(|(a, (_, many, _)), (b, (_, more, _))| more.cmp(many).then(a.cmp(b)));
    let told = groups.into_iter().take(LISTED);
    told.map(|(first, (rows, count, similarity))| NearDuplicates {
        rows,
        count,
        similarity,
        text: beginning(dataset, first as usize),
    })
    .collect()
}

/// How a row begins, on a line.
fn beginning(dataset: &Dataset, index: usize) -> String {
    let record = dataset.record(index).ok();
    let said = record.as_ref().map(said::said).unwrap_or_default();
    said.iter().map(|said| frequent::on_a_line(&said.text)).find(|text| !text.is_empty()).unwrap_or_default()
}

fn leaked(dataset: &Dataset, leak: &Likeness) -> Result<Overlap> {
    let (file, file_row) = dataset.place(leak.of as usize)?;
    Ok(Overlap {
        row: u64::from(leak.row) + 1,
        file: file.to_path_buf(),
        file_row,
        similarity: leak.similarity,
        text: beginning(dataset, leak.row as usize),
    })
}

fn overlaps(pass: &Pass<'_>) -> BTreeMap<u32, Overlap> {
    let overlap = |(row, shared): (&u32, &contamination::Shared)| {
        let (file, file_row, text) = pass.looking.questions?.place(shared.item)?;
        let (file, text) = (file.to_path_buf(), text.to_owned());
        Some((*row, Overlap { row: u64::from(*row) + 1, file, file_row, similarity: shared.share, text }))
    };
    pass.shared.iter().filter_map(overlap).collect()
}

/// Rows that cannot be read have no language.
fn languages(pass: &Pass<'_>) -> Vec<LanguageShare> {
    let mut shares: Vec<LanguageShare> = Vec::new();
    for code in &pass.codes {
        let name = language::name(code);
        shares.push(LanguageShare { code: (*code).to_owned(), name, rows: 0, examples: Vec::new() });
    }
    let mut unusable = pass.unusable.iter().peekable();
    for (row, place) in pass.languages.iter().enumerate() {
        if unusable.next_if(|bad| **bad as usize == row).is_some() {
            continue;
        }
        let share = &mut shares[usize::from(*place)];
        share.rows += 1;
        if share.examples.len() < NAMED {
            share.examples.push(row as u64 + 1);
        }
    }
    shares.retain(|share| share.rows > 0);
    shares.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.code.cmp(&b.code)));
    shares
}
