//! MMLU (Hendrycks et al. 2021, arXiv:2009.03300): 57 subjects in `test/subject_test.csv`, examples in `dev`.

use protocol::Text;

use super::parts::exam::{Exam, Wording};
use super::{Suite, judge_choice};

pub const SUITE: Suite = Suite {
    id: "mmlu",
    name: Text::fixed("MMLU", "MMLU"),
    help: Text::fixed(
        "Knowledge of 57 subjects in English, four options each, by the likelihood of the letters",
        "57 个科目的英文知识，四选一，按选项字母的似然判定",
    ),
    params: || EXAM.params(),
    load: |load| EXAM.load(load),
    judge: judge_choice,
};

const EXAM: Exam = Exam {
    subjects: include_str!("subjects/mmlu.tsv"),
    splits: &["test", "val"],
    split_in_name: true,
    columns: None,
    harness: Wording {
        header: |name| {
            format!("The following are multiple choice questions (with answers) about {name}.\n\n")
        },
        before_question: "",
        before_answer: "\nAnswer:",
        blank: " ",
        trims: true,
    },
    original: Wording {
        header: |name| {
            format!("The following are multiple choice questions (with answers) about  {name}.\n\n")
        },
        before_question: "",
        before_answer: "\nAnswer:",
        blank: " ",
        trims: false,
    },
};
