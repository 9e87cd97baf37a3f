//! The rows of a file, answered.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use data::sources;
use data::{ChatPrompt, Progress};
use protocol::{Control, PredictRequest, RequestId, Result, Text, UserError, text};

use super::ledger::{Ledger, Outcome};
use super::{Setup, choose};
use crate::generate::{Answered, Asked, BatchLimit, Listener, Speaker};
use crate::models::{Front, Model};
use crate::nn::AdapterView;
use crate::session::Session;
use crate::sink::Sink;

/// Opens the input and says what would be asked of it.
///
/// # Errors
/// As [`Setup::new`], and when the input cannot be opened or has no rows.
pub fn set_up(wanted: &PredictRequest, progress: &dyn Progress) -> Result<Setup> {
    let source = sources::open(&wanted.input, progress)?;
    if source.is_empty() {
        return Err(UserError::bad_input(Text::fixed("The file has no rows", "文件中没有数据行"))
            .in_file(&wanted.input)
            .mend(Text::fixed("choose a file with rows to answer", "请选择含有数据行的文件")));
    }
    Setup::new(wanted, Arc::from(source))
}

/// Answers every row that the output has not yet.
///
/// # Errors
/// When the request makes no sense, the model cannot be loaded, the output cannot be written, or the device fails. Rows
/// that cannot be answered have their reason, and the others go on.
pub fn predict(
    request: RequestId,
    wanted: &PredictRequest,
    setup: &Setup,
    session: &mut Session,
    control: &Control,
    sink: &mut Sink,
) -> Result<()> {
    let chosen = session.chosen.clone();
    let mut ledger = Ledger::open(request, wanted, setup, sink)?;
    if ledger.next() >= setup.questions.len() as u64 {
        return ledger.finish();
    }
    let first = (!wanted.model.adapters.is_empty()).then_some(0);
    let loaded = session.speak(&wanted.model, first, &mut |done, total| ledger.loading(done, total))?;
    let (model, adapter) = (&loaded.model, loaded.adapter());
    let limit = BatchLimit::new(model, &chosen, wanted.batch_tokens);
    ledger.begin();
    if wanted.choices.is_empty() {
        let speaker = Speaker { model, adapter, encoder: &setup.encoder };
        generate(&speaker, wanted, setup, &limit, control, &mut ledger)?;
    } else {
        choose::choose((model, adapter), wanted, setup, limit, control, &mut ledger)?;
    }
    ledger.finish()
}

/// Tokens that a row may have.
pub fn longest(model: &Model, adapter: Option<&dyn AdapterView>) -> usize {
    let front = Front::of(adapter, model.family.prefix);
    let taken = if model.info.learned_positions { front.shift + front.prompt } else { 0 };
    model.info.context.saturating_sub(taken)
}

/// The refusal of a row that is too long.
pub fn too_long(tokens: usize, longest: usize, file: &Path) -> UserError {
    UserError::bad_input(text!(
        "The prompt has {tokens} tokens, and the model reads {longest}",
        "提示词有 {tokens} 个词元，而该模型只能读取 {longest} 个"
    ))
    .in_file(file)
}

fn generate(
    speaker: &Speaker<'_>,
    wanted: &PredictRequest,
    setup: &Setup,
    limit: &BatchLimit,
    control: &Control,
    ledger: &mut Ledger<'_>,
) -> Result<()> {
    if !speaker.answers_side_by_side() {
        ledger.note(Text::fixed(
            "Models of this family read a prompt as a whole: rows were answered one after the other",
            "该系列的模型整体读取提示词：各行逐一回答",
        ));
    }
    let next = ledger.next() as usize;
    let shared =
        Shared { ledger: RefCell::new(ledger), rows: RefCell::default(), failure: RefCell::default() };
    let longest = longest(speaker.model, speaker.adapter);
    let mut prompts = (next..setup.questions.len()).map_while(|index| {
        if shared.failure.borrow().is_some() {
            return None;
        }
        Some((index, asked(setup, wanted, index, longest)))
    });
    let mut prompts = std::iter::from_fn(|| {
        loop {
            match prompts.next()? {
                (index, Ok(asked)) => {
                    shared.rows.borrow_mut().push(index as u64);
                    return Some(asked);
                }
                (index, Err(err)) => {
                    let put = shared.ledger.borrow_mut().put(index as u64, Outcome::failed(&err));
                    if let Err(err) = put {
                        *shared.failure.borrow_mut() = Some(err);
                    }
                }
            }
        }
    });
    let mut listener = Ear { shared: &shared, control };
    speaker.answer_all(&mut prompts, &wanted.sampling, limit, &mut listener)?;
    match shared.failure.take() {
        Some(err) => Err(err),
        None => Ok(()),
    }
}

fn asked(setup: &Setup, wanted: &PredictRequest, index: usize, longest: usize) -> Result<Asked> {
    let row = setup.questions.row(index)?;
    let (question, rendered) = setup.prompt(&row)?;
    let ChatPrompt { ids, .. } = &rendered;
    if ids.is_empty() {
        return Err(row.error(Text::fixed("The prompt has no tokens", "提示词没有任何词元")));
    }
    // One place is the answer's.
    if ids.len() >= longest {
        return Err(too_long(ids.len(), longest.saturating_sub(1), &row.file).at_row(row.row));
    }
    // Of its own, whatever is answered beside it.
    let seed = wanted.sampling.seed.wrapping_add(index as u64);
    Ok(Asked { chat: question.is_chat(), rendered, seed })
}

/// What the prompts' iterator and the listener share.
struct Shared<'l, 'a> {
    ledger: RefCell<&'l mut Ledger<'a>>,
    /// The row of each prompt that was asked.
    rows: RefCell<Vec<u64>>,
    failure: RefCell<Option<UserError>>,
}

struct Ear<'s, 'l, 'a> {
    shared: &'s Shared<'l, 'a>,
    control: &'s Control,
}

impl Listener for Ear<'_, '_, '_> {
    fn stopped(&mut self) -> bool {
        self.control.stop_wanted()
    }

    fn answered(&mut self, number: usize, answer: Answered) -> Result<()> {
        let index = self.shared.rows.borrow().get(number).copied().unwrap_or_default();
        let finish = match answer.stats.finish.as_str() {
            "end-token" => "end-token",
            "stop-text" => "stop-text",
            _ => "length",
        };
        let tokens = answer.stats.new_tokens;
        let outcome = Outcome { answer: answer.text, finish, tokens, ..Outcome::default() };
        self.shared.ledger.borrow_mut().put(index, outcome)
    }
}
