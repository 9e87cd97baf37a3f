//! CMMLU (Li et al. 2023, arXiv:2306.09212): 67 subjects in `test/subject.csv`, examples in `dev`.

use protocol::Text;

use super::parts::exam::{Exam, Wording};
use super::{Suite, judge_choice};

pub const SUITE: Suite = Suite {
    id: "cmmlu",
    name: Text::fixed("CMMLU", "CMMLU"),
    help: Text::fixed(
        "Knowledge of 67 subjects in Chinese and about China, four options each, by the likelihood of the letters",
        "67 个科目的中文知识与中国相关知识，四选一，按选项字母的似然判定",
    ),
    params: || EXAM.params(),
    load: |load| EXAM.load(load),
    judge: judge_choice,
};

const EXAM: Exam = Exam {
    subjects: include_str!("subjects/cmmlu.tsv"),
    splits: &["test"],
    split_in_name: false,
    columns: Some(["Question", "A", "B", "C", "D", "Answer"]),
    harness: Wording {
        header: |name| format!("以下是关于{name}的单项选择题，请直接给出正确答案的选项。\n\n"),
        before_question: "",
        before_answer: "\n答案：",
        blank: " ",
        trims: true,
    },
    original: Wording {
        header: |name| format!("以下是关于{name}的单项选择题，请直接给出正确答案的选项。\n\n"),
        before_question: "题目：",
        before_answer: "\n答案是：",
        blank: "",
        trims: false,
    },
};
