//! C-Eval (Huang et al. 2023, arXiv:2305.08322): 52 subjects in `val/subject_val.csv`, examples in `dev`. The answers of
//! `test` are not published.

use protocol::Text;

use super::parts::exam::{Exam, Wording};
use super::{Suite, judge_choice};

pub const SUITE: Suite = Suite {
    id: "ceval",
    name: Text::fixed("C-Eval", "C-Eval"),
    help: Text::fixed(
        "Knowledge of 52 subjects in Chinese, four options each, by the likelihood of the letters",
        "52 个科目的中文知识，四选一，按选项字母的似然判定",
    ),
    params: || EXAM.params(),
    load: |load| EXAM.load(load),
    judge: judge_choice,
};

const EXAM: Exam = Exam {
    subjects: include_str!("subjects/ceval.tsv"),
    splits: &["val"],
    split_in_name: true,
    columns: Some(["question", "A", "B", "C", "D", "answer"]),
    harness: Wording {
        header: |name| format!("以下是中国关于{name}的单项选择题，请选出其中的正确答案。\n\n"),
        before_question: "",
        before_answer: "\n答案：",
        blank: " ",
        trims: true,
    },
    original: Wording {
        header: |name| format!("以下是中国关于{name}考试的单项选择题，请选出其中的正确答案。\n\n"),
        before_question: "",
        before_answer: "\n答案：",
        blank: "",
        trims: false,
    },
};
