//! Which rows a filtered file keeps, and why it leaves out the others.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{AnalysisChecks, FilterRequest, IfdReport, Result, Text, UserError, text};

use super::{Known, language};
use crate::dataset::Dataset;
use crate::deep::DeepPool;
use crate::progress::{Progress, check_cancelled};
use crate::sources::Row;

/// Rows between two looks at whether to go on.
const LOOK_EVERY: usize = 256;

/// What the model says of rows (1-based).
#[derive(Clone, Copy, Debug, Default)]
pub struct Chosen<'a> {
    pub ifd: Option<&'a IfdReport>,
    pub diverse: Option<&'a [u64]>,
}

/// Why a row is left out: the kind of reason, and what is to be said of this row.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// `unusable`, `leak`, `contaminated`, `near-duplicate`, `language`, `ifd` or `not-diverse`.
    pub id: &'static str,
    /// The same for all rows that are left out for it.
    pub kind: Text,
    pub told: Text,
}

/// Decides row by row.
pub struct Filter<'a> {
    wanted: &'a FilterRequest,
    known: &'a Known,
    dataset: &'a Dataset,
    /// IFD of the rows that have one, and from which on rows are kept (by rank).
    ifd: Option<Ranks>,
    diverse: Option<BTreeSet<u64>>,
}

struct Ranks {
    scores: BTreeMap<u64, f64>,
    kept: BTreeSet<u64>,
}

/// # Errors
/// When a filter asks for what is not looked for, or a share is none.
pub fn check(filter: &FilterRequest, checks: &AnalysisChecks) -> Result<()> {
    let lacking = [
        (
            filter.near_duplicates && checks.near_duplicates.is_none(),
            Text::fixed("near-duplicates", "近似重复"),
        ),
        (filter.leaks && !checks.leaks, Text::fixed("leaks", "泄漏")),
        (filter.contaminated && checks.contamination.is_empty(), Text::fixed("contamination", "评测集污染")),
        (filter.ifd_share.is_some() && !checks.ifd, Text::fixed("IFD", "IFD")),
        (filter.diverse && checks.diverse.is_none(), Text::fixed("a diverse subset", "多样性子集")),
    ];
    if let Some((_, Text { en, zh })) = lacking.into_iter().find(|(lacks, _)| *lacks) {
        return Err(UserError::bad_input(text!(
            "The filter drops by {en}, which is not looked for",
            "过滤条件包含{zh}，但未进行该项检查"
        ))
        .mend(Text::fixed("ask for that check, too", "请同时启用该项检查")));
    }
    match filter.ifd_share {
        Some(share) if !(share > 0.0 && share <= 1.0) => {
            Err(UserError::bad_input(text!("{share} is no share of the rows", "{share} 不是有效的保留比例"))
                .mend(Text::fixed(
                    "give a number above 0 up to 1, such as 0.1",
                    "请给出大于 0 且不超过 1 的数，例如 0.1",
                )))
        }
        _ => Ok(()),
    }
}

impl<'a> Filter<'a> {
    pub fn new(
        wanted: &'a FilterRequest,
        known: &'a Known,
        dataset: &'a Dataset,
        chosen: Chosen<'_>,
    ) -> Self {
        let ifd = wanted.ifd_share.zip(chosen.ifd).map(|(share, report)| Ranks::new(report, share));
        let diverse = chosen.diverse.filter(|_| wanted.diverse).map(|rows| rows.iter().copied().collect());
        Self { wanted, known, dataset, ifd, diverse }
    }

    /// Rows (0-based) of the training files: only these are filtered.
    pub fn rows(&self) -> impl Iterator<Item = usize> {
        (0..self.dataset.len()).filter(|index| !self.dataset.is_validation_file(*index))
    }

    /// Hands every row of the training files to `take`, as it stands in its file, with the reason why it is left out if
    /// it is. A row that cannot be read any more comes without content.
    ///
    /// # Errors
    /// When `take` says so, or it was cancelled.
    pub fn each(
        &self,
        progress: &dyn Progress,
        take: &mut (dyn FnMut(usize, Option<Row>, Option<Reason>) -> Result<()> + Send),
    ) -> Result<()> {
        let stage = Text::fixed("writing rows", "写入数据");
        let total = self.dataset.len() as u64;
        // On a deep stack: rows may be nested as deep as they like.
        DeepPool::new()?.run(|| {
            for index in self.rows() {
                if index.is_multiple_of(LOOK_EVERY) {
                    check_cancelled(progress)?;
                    progress.report(&stage, index as u64, total);
                }
                take(index, self.dataset.row(index).ok(), self.reason(index))?;
            }
            progress.report(&stage, total, total);
            Ok(())
        })
    }

    /// Why row `index` is left out, the first reason; None where it is kept.
    pub fn reason(&self, index: usize) -> Option<Reason> {
        let row = u32::try_from(index).ok()?;
        let found = [
            Self::unusable,
            Self::leak,
            Self::contaminated,
            Self::near,
            Self::language,
            Self::low_ifd,
            Self::not_diverse,
        ];
        found.into_iter().find_map(|reason| reason(self, row))
    }

    fn unusable(&self, row: u32) -> Option<Reason> {
        self.known.marks.unusable.binary_search(&row).ok()?;
        Some(plain("unusable", Text::fixed("cannot be read", "无法读取")))
    }

    fn leak(&self, row: u32) -> Option<Reason> {
        let leak = self.known.marks.leaks.get(&row).filter(|_| self.wanted.leaks)?;
        let (file, of) = self.dataset.place(leak.of as usize).ok()?;
        let (file, similarity) = (file.display(), leak.similarity);
        let kind = Text::fixed("stands in the validation rows", "出现在验证数据中");
        let told = text!(
            "as row {of} of {file}, similarity {similarity:.3}",
            "与 {file} 第 {of} 行相似度 {similarity:.3}"
        );
        Some(Reason { id: "leak", kind, told })
    }

    fn contaminated(&self, row: u32) -> Option<Reason> {
        let overlap = self.known.marks.shared.get(&row).filter(|_| self.wanted.contaminated)?;
        let (file, of, share) = (overlap.file.display(), overlap.file_row, overlap.similarity * 100.0);
        let kind = Text::fixed("stands in an evaluation set", "出现在评测集中");
        let told = text!("has {share:.0} % of row {of} of {file}", "含有 {file} 第 {of} 行的 {share:.0}%");
        Some(Reason { id: "contaminated", kind, told })
    }

    fn near(&self, row: u32) -> Option<Reason> {
        let near = self.known.marks.near.get(&row).filter(|_| self.wanted.near_duplicates)?;
        let (of, similarity) = (u64::from(near.of) + 1, near.similarity);
        let kind = Text::fixed("nearly repeats an earlier row", "与之前的行近似重复");
        let told = text!("as row {of}, similarity {similarity:.3}", "与第 {of} 行相似度 {similarity:.3}");
        Some(Reason { id: "near-duplicate", kind, told })
    }

    fn language(&self, row: u32) -> Option<Reason> {
        let marks = &self.known.marks;
        let code = marks.codes.get(usize::from(*marks.languages.get(row as usize)?))?;
        if self.wanted.languages.is_empty() || language::is_among(code, &self.wanted.languages) {
            return None;
        }
        let kind = Text::fixed("in another language", "语言不符");
        Some(Reason { id: "language", kind, told: language::name(code) })
    }

    fn low_ifd(&self, row: u32) -> Option<Reason> {
        let number = u64::from(row) + 1;
        let ranks = self.ifd.as_ref().filter(|ranks| !ranks.kept.contains(&number))?;
        let (kind, told) = match ranks.scores.get(&number) {
            None => (
                Text::fixed("has no IFD", "没有 IFD 分数"),
                Text::fixed("too long, no answer, or several turns", "过长、没有回答或为多轮对话"),
            ),
            Some(ifd) if *ifd > 1.0 => {
                (Text::fixed("IFD above 1", "IFD 大于 1"), text!("IFD {ifd:.4}", "IFD {ifd:.4}"))
            }
            Some(ifd) => (
                Text::fixed("IFD below the share that is kept", "IFD 低于保留比例"),
                text!("IFD {ifd:.4}", "IFD {ifd:.4}"),
            ),
        };
        Some(Reason { id: "ifd", kind, told })
    }

    fn not_diverse(&self, row: u32) -> Option<Reason> {
        self.diverse.as_ref().filter(|kept| !kept.contains(&(u64::from(row) + 1)))?;
        Some(plain("not-diverse", Text::fixed("not in the diverse subset", "不在多样性子集中")))
    }
}

fn plain(id: &'static str, kind: Text) -> Reason {
    Reason { id, told: kind.clone(), kind }
}

impl Ranks {
    /// Of the rows with an IFD of at most 1, ⌊n · share⌋ with the highest are kept, as Cherry LLM does; of equal ones the later.
    fn new(report: &IfdReport, share: f64) -> Self {
        let scores: BTreeMap<u64, f64> = report.scores.iter().map(|score| (score.row, score.ifd)).collect();
        let mut ranked: Vec<(f64, u64)> =
            scores.iter().filter(|(_, ifd)| **ifd <= 1.0).map(|(row, ifd)| (*ifd, *row)).collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        // 0.1 × 30 may come out a hair below 3.
        let count = (ranked.len() as f64 * share + 1e-9).floor() as usize;
        let kept = ranked.iter().rev().take(count).map(|(_, row)| *row).collect();
        Self { scores, kept }
    }
}
