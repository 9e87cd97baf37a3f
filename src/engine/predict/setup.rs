//! What a prediction asks and writes, resolved: everything that can be said before a model is loaded.

use std::sync::Arc;

use data::formats::Format;
use data::predict::{OutputColumns, Question, Questions};
use data::sources::{Row, RowSource};
use data::{ChatPrompt, Encoder, TemplateChoice, Tokenizer};
use protocol::config::{DataConfig, OnTooLong, TrainOn, nearest};
use protocol::{PredictPlan, PredictPrompt, PredictRequest, Result, Text, UserError, text};

use super::training::Training;
use crate::tokens::tokenizer_with;

/// Rows that a plan shows.
const SHOWN: usize = 5;
/// Characters around a difference that are shown.
const AROUND: usize = 40;
/// Characters of a difference that are shown.
const DIFFERENT: usize = 200;

/// A prediction that can be made.
pub struct Setup {
    pub questions: Questions,
    pub encoder: Encoder,
    pub outputs: OutputColumns,
    /// Columns of the input.
    pub columns: Vec<String>,
    pub template: Option<String>,
    pub warnings: Vec<Text>,
}

/// How rows become prompts.
struct Asking {
    questions: Questions,
    encoder: Encoder,
    template: Option<String>,
}

impl Setup {
    /// # Errors
    /// When rows cannot be read as wished, the tokenizer or template cannot be used, or a column is not there.
    pub fn new(wanted: &PredictRequest, source: Arc<dyn RowSource>) -> Result<Self> {
        let tokenizer = Arc::new(tokenizer_with(&wanted.model.path, wanted.model.adapters.first())?);
        let mut warnings = Vec::new();
        let training = Training::of(&wanted.model).unwrap_or_else(|err| {
            warnings.push(unread(&err));
            None
        });
        let own = is_own(wanted);
        let asking = if own {
            Asking::wished(wanted, training.as_ref(), &source, &tokenizer, &mut warnings)?
        } else {
            Asking::of_training(training.as_ref(), &source, &tokenizer)?
        };
        if let Some(training) = training.as_ref().filter(|_| own) {
            let trained = Asking::of_training(Some(training), &source, &tokenizer);
            warnings.extend(difference(&asking, trained, training));
        }
        let columns = asking.questions.columns();
        let outputs = OutputColumns::new(&wanted.output_columns, &columns)?;
        check(wanted, &columns)?;
        let Asking { questions, encoder, template } = asking;
        Ok(Self { questions, encoder, outputs, columns, template, warnings })
    }

    /// What is asked of a row, and the same as the model sees it.
    ///
    /// # Errors
    /// When the row cannot be asked. Names it.
    pub fn prompt(&self, row: &Row) -> Result<(Question, ChatPrompt)> {
        prompt(&self.questions, &self.encoder, row)
    }

    /// What would be done, with `done` rows there already.
    pub fn plan(self, done: u64) -> PredictPlan {
        let shown = (0..self.questions.len().min(SHOWN)).map(|index| {
            let asked = self.questions.row(index).and_then(|row| self.prompt(&row));
            let row = index as u64 + 1;
            match asked {
                Ok((_, prompt)) => {
                    PredictPrompt { row, tokens: prompt.ids.len() as u64, text: prompt.text, error: None }
                }
                Err(err) => PredictPrompt { row, text: String::new(), tokens: 0, error: Some(err.what) },
            }
        });
        PredictPlan {
            prompts: shown.collect(),
            total: self.questions.is_whole().then_some(self.questions.len() as u64),
            done,
            output_columns: self.outputs.columns().to_vec(),
            format: self.questions.format().to_owned(),
            columns: self.columns,
            template: self.template,
            warnings: self.warnings,
        }
    }
}

impl Asking {
    /// As the run read its rows; without one, by what the rows look like.
    fn of_training(
        training: Option<&Training>,
        source: &Arc<dyn RowSource>,
        tokenizer: &Arc<Tokenizer>,
    ) -> Result<Self> {
        let data = training.map(|training| training.data.clone()).unwrap_or_default();
        let known = training.and_then(Training::format);
        Self::new(data, known, training, source, tokenizer)
    }

    /// As the request says.
    fn wished(
        wanted: &PredictRequest,
        training: Option<&Training>,
        source: &Arc<dyn RowSource>,
        tokenizer: &Arc<Tokenizer>,
        warnings: &mut Vec<Text>,
    ) -> Result<Self> {
        let mut data = training.map(|training| training.data.clone()).unwrap_or_default();
        let mut templated = training;
        let mut known = None;
        if !wanted.columns.is_empty() {
            data.columns.clone_from(&wanted.columns);
            data.format = "auto".into();
        } else if wanted.format.is_empty() {
            known = training.and_then(Training::format);
        }
        if !wanted.format.is_empty() {
            data.format.clone_from(&wanted.format);
        }
        if !wanted.template.is_empty() {
            data.template.clone_from(&wanted.template);
            templated = None;
        }
        let asking = Self::new(data.clone(), known, templated, source, tokenizer)?;
        let speaks = asking.encoder.template().is_some() || tokenizer.cpm_bee().is_some();
        let plain = wanted.format.is_empty() && wanted.columns.keys().eq(["prompt"]);
        if speaks || !plain {
            return Ok(asking);
        }
        warnings.push(Text::fixed(
            "The model has no chat template: the prompt goes in as it is",
            "该模型没有对话模板：提示词将原样输入",
        ));
        data.format = "completion".into();
        Self::new(data, None, templated, source, tokenizer)
    }

    fn new(
        data: DataConfig,
        known: Option<(&'static Format, Text, Option<Row>)>,
        training: Option<&Training>,
        source: &Arc<dyn RowSource>,
        tokenizer: &Arc<Tokenizer>,
    ) -> Result<Self> {
        // Nothing of a prompt is cut, and of an answer only itself is scored.
        let data = DataConfig {
            max_length: u64::MAX,
            on_too_long: OnTooLong::Truncate,
            train_on: TrainOn::LastResponse,
            max_source_length: 0,
            max_target_length: 0,
            ..data
        };
        let source = source.clone();
        let questions = match known {
            Some((format, reason, like)) => {
                Questions::of_format(source, &data, (format, reason), like.as_ref())?
            }
            None => Questions::open(source, &data, None)?,
        };
        let (base, now) = match training {
            Some(training) => (training.base.clone(), Some(training.now)),
            None => (std::path::PathBuf::new(), None),
        };
        let template = TemplateChoice::find(&data.template, tokenizer, &base)?.map(|template| template.name);
        let encoder = Encoder::with_tokenizer(tokenizer.clone(), &data, &base, now)?;
        Ok(Self { questions, encoder, template })
    }

    /// The first row as the model sees it.
    fn first(&self) -> Result<Option<ChatPrompt>> {
        if self.questions.is_empty() {
            return Ok(None);
        }
        let row = self.questions.row(0)?;
        Ok(Some(prompt(&self.questions, &self.encoder, &row)?.1))
    }
}

fn prompt(questions: &Questions, encoder: &Encoder, row: &Row) -> Result<(Question, ChatPrompt)> {
    let question = questions.ask(row)?;
    let prompt = encoder.put(&question).map_err(|err| row.place(err))?;
    Ok((question, prompt))
}

/// Whether the request says itself how rows are read.
fn is_own(wanted: &PredictRequest) -> bool {
    !(wanted.columns.is_empty() && wanted.format.is_empty() && wanted.template.is_empty())
}

/// How the prompt of the first row differs from the one that training would have made of it; None where it does not.
fn difference(asking: &Asking, trained: Result<Asking>, training: &Training) -> Option<Text> {
    let here = asking.first().ok()??;
    let trained = trained.and_then(|trained| trained.first());
    let run = training.dir.display();
    match trained {
        Err(err) => {
            let why = err.what;
            let (en, zh) = (&why.en, &why.zh);
            Some(Text::new(
                format!("The prompt of training (run {run}) cannot be made from these rows: {en}"),
                format!("无法用这些行生成训练时（{run}）的提示词：{zh}"),
            ))
        }
        Ok(Some(there)) if there.ids != here.ids => {
            let (there, here) = apart(&there.text, &here.text);
            Some(text!(
                "The prompt differs from the one in training. Row 1 in training: {there} · here: {here}",
                "提示词与训练时不同。第 1 行在训练时：{there} · 此处：{here}"
            ))
        }
        Ok(_) => None,
    }
}

/// Where two texts differ, each with a little of what is around it.
fn apart(a: &str, b: &str) -> (String, String) {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let start = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let rest = a.len().min(b.len()) - start;
    let end = a.iter().rev().zip(b.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let shown = |text: &[char]| {
        let from = start.saturating_sub(AROUND);
        let until = text.len() - end;
        let cut = until.min(start + DIFFERENT);
        let to = if cut < until { cut } else { text.len().min(until + AROUND) };
        let piece: String = text[from..to].iter().collect();
        let (before, behind) = (if from > 0 { "…" } else { "" }, if to < text.len() { "…" } else { "" });
        format!("{before}{piece}{behind}")
    };
    (format!("{:?}", shown(&a)), format!("{:?}", shown(&b)))
}

fn check(wanted: &PredictRequest, columns: &[String]) -> Result<()> {
    let label = &wanted.label;
    if !label.is_empty() && !columns.contains(label) {
        let list = columns.join(", ");
        let error = UserError::bad_input(text!(
            "The input has no column `{label}`; it has {list}",
            "输入文件没有列 `{label}`；现有：{list}"
        ))
        .in_file(&wanted.input)
        .at_item("--label");
        return Err(match nearest(label, columns.iter().map(String::as_str)) {
            Some(near) => error.mend(text!("did you mean `{near}`?", "是否想写 `{near}`？")),
            None => error,
        });
    }
    let choices = &wanted.choices;
    let double = (1..choices.len()).find(|index| choices[..*index].contains(&choices[*index]));
    if choices.len() == 1 || double.is_some() || choices.iter().any(String::is_empty) {
        return Err(UserError::bad_input(Text::fixed(
            "Choices are two or more different texts",
            "候选项应为两个或更多互不相同的文本",
        ))
        .at_item("--choices")
        .mend(Text::fixed("write --choices 0,1", "例如 --choices 0,1")));
    }
    Ok(())
}

fn unread(err: &UserError) -> Text {
    let (en, zh) = (&err.what.en, &err.what.zh);
    Text::new(
        format!("How training read its rows is not known: {en}"),
        format!("无法得知训练时如何读取数据：{zh}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_shown_with_what_is_around_it() {
        let (there, here) = apart("title:A,abstract:B", "title:A,author:Li,abstract:B");
        assert_eq!(there, "\"title:A,abstract:B\"");
        assert_eq!(here, "\"title:A,author:Li,abstract:B\"");
        let long = "x".repeat(500);
        let (there, here) = apart(&format!("{long}1{long}"), &format!("{long}23{long}"));
        assert_eq!(there.chars().filter(|c| *c == 'x').count(), 80, "{there}");
        assert!(there.starts_with("\"…x") && here.contains("x23x") && here.ends_with("x…\""));
        assert_eq!(apart("aa", "aaa"), ("\"aa\"".into(), "\"aaa\"".into()));
    }
}
