//! `analyze`, and the losses of one row.

use std::path::Path;
use std::sync::Arc;

use data::analysis::{Chosen, Filter, Known, analyse, check_filter};
use data::{Dataset, Encode as _, EncodeOptions, Encoder, Record, Tokenizer};
use protocol::config::TrainOn;
use protocol::{
    Analysis, AnalysisChecks, AnalysisRequest, Control, Event, IfdPrompt, ModelRef, RequestId, Result,
    RunConfig, Text, UserError, text,
};

use super::desk::Encoding;
use super::{Desk, Reporter};
use crate::analysis::{Asking, Behind, Outputs, diverse, ifd, losses, model_of, write};
use crate::generate::{BatchLimit, Scoring};
use crate::models::Model;
use crate::nn::AdapterView;
use crate::plan::absolute;
use crate::session::Session;
use crate::sink::Sink;

/// What is in a dataset, and the rows of it that a filter keeps, in a file.
pub fn analyze(
    request: RequestId,
    wanted: &AnalysisRequest,
    session: &mut Session,
    desk: &mut Desk,
    control: &Control,
    sink: &mut Sink,
) -> Result<()> {
    let outputs = wanted.filter.as_ref().map(|filter| {
        check_filter(filter, &wanted.checks)?;
        Outputs::beside(&wanted.base.join(&filter.out))
    });
    let outputs = outputs.transpose()?;
    let config = absolute((*wanted.config).clone(), &wanted.base);
    let checks = AnalysisChecks {
        contamination: wanted.checks.contamination.iter().map(|path| wanted.base.join(path)).collect(),
        ..wanted.checks.clone()
    };
    let (dataset, mut known) = {
        let reporter = reporter(request, &checks, control, sink);
        let encoder = desk.encoder(&config, &wanted.base)?.encoder;
        let dataset = desk.library.dataset(&config.data, &wanted.base, encoder, &reporter)?;
        let known = analyse(&dataset, &checks, config.train.seed, &reporter)?;
        (dataset, known)
    };
    if checks.ask_the_model() {
        let own = own_prompt(&config, &checks, &dataset, &wanted.base, desk)?;
        let config = (&config, &checks, own.as_ref());
        ask_the_model(request, config, (&dataset, &mut known.analysis), session, control, sink)?;
    }
    if let Some((filter, outputs)) = wanted.filter.as_ref().zip(outputs) {
        let reporter = reporter(request, &checks, control, sink);
        let Known { analysis, .. } = &known;
        let chosen = Chosen { ifd: analysis.ifd.as_ref(), diverse: analysis.diverse.as_deref() };
        let filter = Filter::new(filter, &known, &dataset, chosen);
        let report = write(&filter, &dataset, &outputs, &reporter)?;
        known.analysis.filtered = Some(report);
    }
    sink.emit(Event::Analyzed { request, analysis: Box::new(known.analysis) });
    Ok(())
}

/// With the model it is the work under way, which a wish to stop ends; without, it goes on beside that work.
fn reporter<'a>(
    request: RequestId,
    checks: &AnalysisChecks,
    control: &'a Control,
    sink: &'a mut Sink,
) -> Reporter<'a> {
    if checks.ask_the_model() {
        Reporter::new(request, control, sink)
    } else {
        Reporter::apart(request, control, sink)
    }
}

/// What makes the prompt that the run file trains with, where answers are to be scored behind it: nothing is cut, and only
/// answers are.
fn own_prompt(
    config: &RunConfig,
    checks: &AnalysisChecks,
    dataset: &Dataset,
    base: &Path,
    desk: &mut Desk,
) -> Result<Option<Encoder>> {
    if !checks.ifd || checks.ifd_prompt != IfdPrompt::Template {
        return Ok(None);
    }
    let Encoding { tokenizer, template, .. } = desk.encoder(config, base)?;
    let template = template.map(|template| template.compile(&tokenizer, None)).transpose()?;
    let options = EncodeOptions { train_on: TrainOn::LastResponse, ..EncodeOptions::default() };
    let encoder = Encoder::new(tokenizer, template, options)?;
    let first = dataset.record(0).ok();
    if let Some(record @ Record::Conversation { .. }) = first.filter(|_| encoder.template().is_none()) {
        // Says that there is no template.
        encoder.encode(&record)?;
    }
    Ok(Some(encoder))
}

/// Adds what the run file's model says.
fn ask_the_model(
    request: RequestId,
    (config, checks, own): (&RunConfig, &AnalysisChecks, Option<&Encoder>),
    (dataset, analysis): (&Dataset, &mut Analysis),
    session: &mut Session,
    control: &Control,
    sink: &mut Sink,
) -> Result<()> {
    if checks.diverse == Some(0) {
        return Err(UserError::bad_input(Text::fixed(
            "A diverse subset needs rows",
            "多样性子集的行数须大于 0",
        ))
        .mend(Text::fixed("give a number of rows from 1 on", "请给出不小于 1 的行数")));
    }
    let chosen = session.chosen.clone();
    let model = load(request, &model_of(config), session, sink)?;
    let max_length = usize::try_from(config.data.max_length).unwrap_or(usize::MAX);
    let limit = BatchLimit::new(model.model, &chosen, 0);
    let stopped = || control.stop_wanted() || control.is_cancelled(request);
    let scoring = Scoring { model: model.model, adapter: model.adapter, limit, stopped: &stopped };
    if checks.ifd {
        let stage = Text::fixed("scoring answers", "为回答评分");
        let mut told = |done, total| sink.progress(request, stage.clone(), done, total, None);
        let mut asking = Asking { scoring, told: &mut told };
        let behind = own.map_or(Behind::Cherry(checks.ifd_prompt), |own| Behind::Own(own));
        analysis.ifd = Some(ifd(dataset, &model.tokenizer, (&behind, max_length), &mut asking)?);
    }
    if let Some(count) = checks.diverse {
        let stage = Text::fixed("choosing rows", "挑选数据");
        let mut told = |done, total| sink.progress(request, stage.clone(), done, total, None);
        let mut asking = Asking { scoring, told: &mut told };
        analysis.diverse = Some(diverse(dataset, &model.tokenizer, (count, max_length), &mut asking)?);
    }
    Ok(())
}

/// A model at hand.
struct AtHand<'a> {
    model: &'a Model,
    adapter: Option<&'a dyn AdapterView>,
    tokenizer: Arc<Tokenizer>,
}

/// With its first adapter, or all of them where they have weights.
fn load<'a>(
    request: RequestId,
    wanted: &ModelRef,
    session: &'a mut Session,
    sink: &mut Sink,
) -> Result<AtHand<'a>> {
    let loading = Text::fixed("loading the model", "加载模型");
    let mut told = |done, total| sink.progress(request, loading.clone(), done, total, None);
    let first = (!wanted.adapters.is_empty()).then_some(0);
    let loaded = session.speak(wanted, first, &mut told)?;
    let tokenizer = loaded.encoder()?.tokenizer().clone();
    Ok(AtHand { model: &loaded.model, adapter: loaded.adapter(), tokenizer })
}

/// How hard each token of a row is, for a model that is named.
pub fn score_row(
    request: RequestId,
    (config, base, row): (&RunConfig, &Path, u64),
    model: &ModelRef,
    (session, desk): (&mut Session, &mut Desk),
    control: &Control,
    sink: &mut Sink,
) -> Result<()> {
    let model = load(request, model, session, sink)?;
    let encoder = Encoder::with_tokenizer(model.tokenizer.clone(), &config.data, base, None)?;
    let rows = Rows { config, base, row, encoder: Arc::new(encoder) };
    rows.score(request, (model.model, model.adapter), desk, control, sink)
}

/// One row (1-based, over all files) of a run file's data, and how it becomes tokens.
pub(super) struct Rows<'a> {
    pub config: &'a RunConfig,
    pub base: &'a Path,
    pub row: u64,
    pub encoder: Arc<Encoder>,
}

impl Rows<'_> {
    /// Tells the losses of the row's tokens for a model at hand.
    ///
    /// # Errors
    /// When there is no such row, it cannot be used, or the model cannot take it.
    pub fn score(
        self,
        request: RequestId,
        (model, adapter): (&Model, Option<&dyn AdapterView>),
        desk: &mut Desk,
        control: &Control,
        sink: &mut Sink,
    ) -> Result<()> {
        let Self { config, base, row, encoder } = self;
        let example = {
            let reporter = Reporter::new(request, control, sink);
            let data = absolute(config.clone(), base).data;
            let dataset = desk.library.dataset(&data, base, encoder.clone(), &reporter)?;
            let index = row.checked_sub(1).and_then(|index| usize::try_from(index).ok());
            let index = index.filter(|index| *index < dataset.len());
            dataset.example(index.ok_or_else(|| no_such_row(row, dataset.len()))?)?
        };
        let losses = losses(model, adapter, encoder.tokenizer(), (row, &example))?;
        sink.emit(Event::RowScored { request, losses: Box::new(losses) });
        Ok(())
    }
}

fn no_such_row(row: u64, rows: usize) -> UserError {
    UserError::bad_input(text!(
        "There is no row {row}: the data has {rows}",
        "没有第 {row} 行：数据共 {rows} 行"
    ))
}
