//! Examinations of many subjects with four options each: MMLU and those after its model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::{ParamSpec, Result, Text, text};

use super::subjects::{Subject, Subjects};
use crate::predict::Question;
use crate::record::{Message, Role};
use crate::select::entries;
use crate::suites::load::{Load, bad_row, chat_param, choice, integer, no_layout, param, read_csv, words};
use crate::suites::{Ask, Item, Key, Loaded, Metric};

const LETTERS: [&str; 4] = ["A", "B", "C", "D"];

/// How an examination is laid out.
pub struct Exam {
    /// Its subjects: id, name and groups, tab-separated.
    pub subjects: &'static str,
    /// Folders of questions that may be asked, the usual one first.
    pub splits: &'static [&'static str],
    /// Whether files are called `subject_split.csv` rather than `subject.csv`.
    pub split_in_name: bool,
    /// Columns of question, options A to D and answer; none where files have no header.
    pub columns: Option<[&'static str; 6]>,
    /// As lm-evaluation-harness words it, and as its authors do.
    pub harness: Wording,
    pub original: Wording,
}

/// What a prompt is made of.
pub struct Wording {
    /// In front of everything, given the subject's name.
    pub header: fn(&str) -> String,
    pub before_question: &'static str,
    pub before_answer: &'static str,
    /// Between that and the letter.
    pub blank: &'static str,
    /// Whether blanks around questions are taken off.
    pub trims: bool,
}

/// A question of a subject.
struct Line {
    question: String,
    options: Vec<String>,
    answer: usize,
}

impl Exam {
    pub fn params(&self) -> Vec<ParamSpec> {
        vec![
            param(
                "shots",
                Text::fixed("Shots", "示例数"),
                Text::fixed(
                    "Questions with their answers in front, the first ones of the folder `dev`",
                    "在问题前给出的示例数，取自 `dev` 文件夹的前几题",
                ),
                integer(0, 0, 100),
            ),
            param(
                "split",
                Text::fixed("Split", "数据划分"),
                Text::fixed("The folder whose questions are asked", "提问所用的文件夹"),
                choice(self.splits),
            ),
            param(
                "subjects",
                Text::fixed("Subjects", "科目"),
                Text::fixed(
                    "Only these, separated by commas; empty: all",
                    "仅这些科目，以逗号分隔；留空表示全部",
                ),
                words(""),
            ),
            ParamSpec {
                advanced: true,
                ..param(
                    "prompt",
                    Text::fixed("Prompt", "提示词"),
                    Text::fixed(
                        "lm-eval: as lm-evaluation-harness words it; original: as the authors do",
                        "lm-eval：按 lm-evaluation-harness 的写法；original：按原作者的写法",
                    ),
                    choice(&["lm-eval", "original"]),
                )
            },
            chat_param(),
        ]
    }

    /// # Errors
    /// When the folder has no such layout, a file cannot be read, or there are fewer examples than wished.
    pub fn load(&self, load: &Load<'_>) -> Result<Loaded> {
        let split = load.text("split");
        let root = self.root(load.path, split)?;
        let subjects = Subjects::of(&root, self.subjects)?;
        let mut loaded = Loaded {
            items: Vec::new(),
            metrics: vec![Metric::mean("acc", 0)],
            files: Vec::new(),
            notes: Vec::new(),
        };
        for id in self.wanted(&root, split, load.text("subjects"))? {
            self.subject(load, (&root, split), (&id, &subjects.get(&id)), &mut loaded)?;
        }
        Ok(loaded)
    }

    /// The folder with the splits: the one that was named, or `data` in it, as MMLU's archive has it.
    fn root(&self, path: &Path, split: &str) -> Result<PathBuf> {
        let roots = [path.to_path_buf(), path.join("data")];
        roots.into_iter().find(|root| root.join(split).is_dir()).ok_or_else(|| {
            let file = self.file_name("subject", split);
            no_layout(
                path,
                text!(
                    "There are no questions here: no folder `{split}`",
                    "此处没有题目：没有 `{split}` 文件夹"
                ),
            )
            .mend(text!("name the folder that holds {split}/{file}", "请指定含有 {split}/{file} 的文件夹"))
        })
    }

    fn file_name(&self, subject: &str, split: &str) -> String {
        if self.split_in_name { format!("{subject}_{split}.csv") } else { format!("{subject}.csv") }
    }

    fn wanted(&self, root: &Path, split: &str, only: &str) -> Result<Vec<String>> {
        let folder = root.join(split);
        let ending = self.file_name("", split);
        let there: Vec<String> = entries(&folder)?
            .iter()
            .filter_map(|path| path.file_name()?.to_str()?.strip_suffix(&ending).map(str::to_owned))
            .collect();
        let only: Vec<&str> =
            only.split([',', '，']).map(str::trim).filter(|name| !name.is_empty()).collect();
        if let Some(missing) = only.iter().find(|name| !there.iter().any(|id| id == *name)) {
            let known = there.join(", ");
            return Err(no_layout(&folder, text!("There is no subject `{missing}`", "没有科目 `{missing}`"))
                .mend(text!("known are {known}", "可用的有：{known}")));
        }
        if there.is_empty() {
            return Err(no_layout(
                &folder,
                text!(
                    "There are no questions here: no file ends in {ending}",
                    "此处没有题目：没有以 {ending} 结尾的文件"
                ),
            ));
        }
        Ok(there.into_iter().filter(|id| only.is_empty() || only.contains(&id.as_str())).collect())
    }

    fn subject(
        &self,
        load: &Load<'_>,
        (root, split): (&Path, &str),
        (id, subject): (&str, &Subject),
        loaded: &mut Loaded,
    ) -> Result<()> {
        let wording = if load.text("prompt") == "original" { &self.original } else { &self.harness };
        let file = root.join(split).join(self.file_name(id, split));
        let lines = self.read(&file)?;
        let mut header = (wording.header)(&subject.name);
        let shots = usize::try_from(load.integer("shots")).unwrap_or(usize::MAX);
        if shots > 0 {
            let dev = root.join("dev").join(self.file_name(id, "dev"));
            let examples = self.read(&dev)?;
            let there = examples.len();
            if there < shots {
                return Err(no_layout(
                    &dev,
                    text!(
                        "{shots} examples are wished, and {there} are here",
                        "需要 {shots} 个示例，此处只有 {there} 个"
                    ),
                )
                .mend(Text::fixed("ask for fewer shots", "请减少示例数")));
            }
            for example in &examples[..shots] {
                let letter = LETTERS[example.answer];
                header.push_str(&format!("{}{}{letter}\n\n", wording.put(example), wording.blank));
            }
            loaded.files.push(dev);
        }
        let name: Arc<str> = id.into();
        for (index, line) in lines[..load.at_most(lines.len())].iter().enumerate() {
            let context = format!("{header}{}", wording.put(line));
            loaded.items.push(Item {
                id: format!("{id}/{index}"),
                subject: name.clone(),
                groups: subject.groups.clone(),
                ask: ask(context, wording.blank, load.switch("chat")),
                key: Key::Option(line.answer),
            });
        }
        loaded.files.push(file);
        Ok(())
    }

    fn read(&self, file: &Path) -> Result<Vec<Line>> {
        let rows = read_csv(file)?;
        let (places, first) = match self.columns {
            None => ([0, 1, 2, 3, 4, 5], 0),
            Some(columns) => {
                let heads = rows.first().map(Vec::as_slice).unwrap_or_default();
                let place = |name: &str| heads.iter().position(|head| head.trim() == name);
                let mut places = [0; 6];
                for (to, name) in places.iter_mut().zip(columns) {
                    *to = place(name).ok_or_else(|| {
                        bad_row(file, 1, text!("There is no column `{name}`", "没有 `{name}` 列"))
                    })?;
                }
                (places, 1)
            }
        };
        let line = |(index, row): (usize, &Vec<String>)| {
            line(row, places).ok_or_else(|| {
                let what = Text::fixed(
                    "The row is no question with four options and an answer from A to D",
                    "该行不是带有四个选项及 A 至 D 答案的题目",
                );
                bad_row(file, index + 1, what)
            })
        };
        rows.iter().enumerate().skip(first).map(line).collect()
    }
}

fn line(row: &[String], places: [usize; 6]) -> Option<Line> {
    let field = |place: usize| row.get(places[place]).cloned();
    let options = (1..5).map(field).collect::<Option<Vec<_>>>()?;
    let letter = field(5)?;
    let answer = LETTERS.iter().position(|known| *known == letter.trim())?;
    Some(Line { question: field(0)?, options, answer })
}

impl Wording {
    fn put(&self, line: &Line) -> String {
        let question = if self.trims { line.question.trim() } else { &line.question };
        let mut text = format!("{}{question}", self.before_question);
        for (letter, option) in LETTERS.iter().zip(&line.options) {
            text.push_str(&format!("\n{letter}. {option}"));
        }
        text.push_str(self.before_answer);
        text
    }
}

/// The letters behind a context, or as answers in a chat.
fn ask(context: String, blank: &str, chat: bool) -> Ask {
    let letter = |blank: &str| LETTERS.iter().map(|letter| format!("{blank}{letter}")).collect();
    if !chat {
        return Ask::Continue { context, options: letter(blank) };
    }
    Ask::Choose { question: user(context), options: letter("") }
}

/// A question as a user's message.
pub fn user(content: String) -> Question {
    let messages = vec![Message { role: Role::User, content, extra: serde_json::Map::new() }];
    Question::Chat { messages, tools: None }
}
