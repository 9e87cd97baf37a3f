//! From a run file to a plan: everything is opened, checked and counted before anything is trained.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::DType;
use chrono::NaiveDateTime;
use data::sources::Row;
use data::{
    ChatTemplate, Dataset, Encoder, Extended, Extension, Library, ModelTokens, Progress, Survey, Tokenizer,
};
use protocol::config::{LossScale, Validation};
use protocol::{
    DeviceKind, Finding, FindingKind, MemoryForecast, Remedy, Result, RunConfig, Severity, Text, UserError,
    text,
};

use crate::batches::{Batches, check_packing, longest_row};
use crate::cache;
pub use crate::costs::Sharing;
use crate::costs::{Cost, Costs};
use crate::device::Chosen;
use crate::generate;
use crate::methods::{self, PromptNote, TrainedOn};
use crate::models::{Front, Growth, ModelFolder, ModelInfo};
use crate::nn::Quantization;
use crate::optim::{Choice, Schedule};
use crate::remedies::Standing;
use crate::train::Layout;

/// A run that can begin.
pub struct Plan {
    /// With absolute paths.
    pub config: RunConfig,
    pub folder: ModelFolder,
    /// The tokenizer's new tokens, where it is extended.
    pub extension: Option<Arc<Extension>>,
    pub encoder: Arc<Encoder>,
    pub dataset: Arc<Dataset>,
    pub survey: Survey,
    pub batches: Batches,
    pub total_steps: u64,
    pub schedule: Schedule,
    pub optimizer: Choice,
    pub dtype: DType,
    pub forecast: MemoryForecast,
    pub layout: Layout,
    pub sharing: Sharing,
    /// Where the forecast does not fit: what would.
    too_large: Option<UserError>,
    pub trainable: u64,
    pub parameters: u64,
    /// Fills a row's end; never learned from.
    pub pad: u32,
    /// What templates that write the date are told.
    pub now: NaiveDateTime,
}

/// Makes the paths of a run file absolute: relative ones are relative to `base`.
pub fn absolute(mut config: RunConfig, base: &Path) -> RunConfig {
    let join = |path: &mut PathBuf| {
        if !path.as_os_str().is_empty() {
            let joined = base.join(&*path);
            *path = std::path::absolute(&joined).unwrap_or(joined);
        }
    };
    join(&mut config.model.path);
    join(&mut config.method.init_from);
    config.vocabulary.paths_mut().for_each(&join);
    // What is continued from brings its tokens.
    if config.vocabulary.is_off() && config.method.init_from.join(Extension::FILE).is_file() {
        config.vocabulary.extended.clone_from(&config.method.init_from);
    }
    config.data.change_paths(join);
    config
}

impl Plan {
    /// Opens and checks everything. Findings on the data are in the survey; whether they refuse the run is
    /// for [`refuse`](Self::refuse) to say.
    ///
    /// # Errors
    /// When the run file, the model folder or a data file cannot be used.
    pub fn make(
        config: RunConfig,
        base: &Path,
        now: NaiveDateTime,
        chosen: &Chosen,
        progress: &dyn Progress,
    ) -> Result<Self> {
        Self::survey(config, base, now, chosen, (&mut Library::default(), progress))
    }

    /// As [`make`](Self::make), with files and tokenizers that may be open already.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    pub fn survey(
        config: RunConfig,
        base: &Path,
        now: NaiveDateTime,
        chosen: &Chosen,
        (library, progress): (&mut Library, &dyn Progress),
    ) -> Result<Self> {
        let config = absolute(config, base);
        check_numbers(&config)?;
        let mut folder = open_model(&config)?;
        let extended = library.extended(&config.model.path, &config.vocabulary, progress)?;
        folder.resize(growth_of(extended.as_ref(), &folder, &config)?)?;
        let tokenizer = match &extended {
            Some(extended) => extended.tokenizer.clone(),
            None => library.tokenizer(&config.model.path)?,
        };
        let (encoder, tokens, pad) = open_tokenizer(&config, base, now, &folder.info, tokenizer)?;
        generate::check_samples(&config, &encoder, &folder.info)?;
        let mut dataset = library.dataset(&config.data, base, encoder.clone(), progress)?;
        let keep = cache::rows();
        let mut survey = Survey::keeping(keep.as_ref(), &dataset, &tokens, config.train.seed, progress)?;
        if let Some(Extended { extension, tokenizer }) = &extended {
            let old = library.tokenizer(&config.model.path)?;
            let gain = data::gain(&dataset, &old, (extension, tokenizer), progress)?;
            survey.verdict.findings.push(gain.finding());
            survey.verdict.findings.extend(extension.notes.iter().map(|note| noted(note.clone())));
        }
        if let Some(pieces) = survey.pieces.take() {
            dataset.number_pieces(pieces);
        }
        check_packing(&config, folder.model())?;
        let batches = Batches::new(&config, &survey, folder.model().decoder.packs())?;
        survey.verdict.padding = batches.padding;
        let rows = batches.rows;
        let total_steps = batches.sampling.total_steps(rows, config.train.epochs, config.train.max_steps)?;
        let schedule = Schedule::new(&config.train, total_steps)?;
        let footprint = methods::footprint(folder.model(), &config.method, &config.model.path)?;
        check_length(&config, &folder.info, footprint.front)?;
        let costs = Costs::new(&folder, &config, chosen)?;
        costs.optimizer.suits(footprint.is_own())?;
        let batch = config.train.batch_size.min(rows.max(1) as u64);
        let longest = longest_row(&config, survey.verdict.longest);
        let Cost { forecast, layout, sharing } = costs.told(&footprint, batch, longest);
        let standing = Standing {
            config: &config,
            costs: &costs,
            footprint: &footprint,
            rows: batch,
            time: longest,
            forecast: &forecast,
        };
        standing.mend_findings(&mut survey.verdict);
        survey.verdict.findings.extend(batches.finding(|| standing.packed_fits()));
        let too_large = (!forecast.fits).then(|| standing.refusal());
        survey.verdict.forecast = Some(forecast.clone());
        survey.verdict.steps = total_steps;
        survey.verdict.template = encoder.template().map(|template| template.name().to_owned());
        survey.verdict.template_reason = encoder.template().and_then(|template| template.reason().cloned());
        survey.verdict.ok &= forecast.fits;
        let (optimizer, dtype) = (costs.optimizer.clone(), costs.dtype);
        let trainable = footprint.trainable(folder.model());
        Ok(Self {
            parameters: folder.model().params.elements(),
            config,
            folder,
            extension: extended.map(|extended| extended.extension),
            encoder,
            dataset: Arc::new(dataset),
            survey,
            batches,
            total_steps,
            schedule,
            optimizer,
            dtype,
            forecast,
            layout,
            sharing,
            too_large,
            trainable,
            pad,
            now,
        })
    }

    /// # Errors
    /// When the data or the memory forbid the run.
    pub fn refuse(&self) -> Result<()> {
        if let Some(error) = self.survey.refusal() {
            return Err(error);
        }
        self.too_large.clone().map_or(Ok(()), Err)
    }

    pub fn dtype_name(&self) -> &'static str {
        dtype_name(self.dtype)
    }

    /// What an adapter of this run remembers, with which rows can be asked as this run asks them. The files of the data may
    /// be gone by then, and are not named.
    pub fn note(&self, quantization: Option<Quantization>) -> TrainedOn {
        let data = &self.config.data;
        let format =
            self.dataset.sources().into_iter().next().map_or_else(|| data.format.clone(), |it| it.format);
        let first = self.dataset.first_row();
        let fields = first.as_ref().and_then(Row::fields).map(|fields| fields.keys().cloned().collect());
        let template = self.encoder.template().and_then(ChatTemplate::found_again);
        let prompt = PromptNote {
            format,
            columns: data.columns.clone(),
            template: template.unwrap_or_else(|| "auto".to_owned()),
            source_prefix: data.source_prefix.clone(),
            fields: fields.unwrap_or_default(),
            now: self.now,
        };
        let quantization =
            quantization.map(|quantization| quantization.name().to_owned()).unwrap_or_default();
        TrainedOn { quantization, prompt: Some(prompt) }
    }
}

pub fn dtype_name(dtype: DType) -> &'static str {
    match dtype {
        DType::BF16 => "bf16",
        DType::F16 => "f16",
        _ => "f32",
    }
}

pub(crate) fn open_model(config: &RunConfig) -> Result<ModelFolder> {
    let path = &config.model.path;
    if path.as_os_str().is_empty() {
        return Err(UserError::bad_input(Text::fixed("The run file names no model", "运行文件没有指定模型"))
            .at_item("model.path")
            .mend(Text::fixed(
                "set it to a Hugging Face model folder",
                "请设为一个 Hugging Face 模型文件夹",
            )));
    }
    let quantization = Quantization::from_name(&config.model.quantization)?;
    if !config.model.from_scratch {
        return Ok(ModelFolder::open(path, &config.model.overrides)?.quantised(quantization));
    }
    if quantization.is_some() {
        return Err(UserError::bad_input(Text::fixed(
            "A model that starts from random weights learns its matrices, which quantization freezes",
            "从随机权重开始的模型需要学习其矩阵，而量化会将其冻结",
        ))
        .at_item("model.quantization, model.from_scratch")
        .mend(Text::fixed("set quantization to \"none\"", "请将 quantization 设为 \"none\"")));
    }
    ModelFolder::open_config(path, &config.model.overrides)
}

/// The rows that new tokens need.
fn growth_of(
    extended: Option<&Extended>,
    folder: &ModelFolder,
    config: &RunConfig,
) -> Result<Option<Arc<Growth>>> {
    let growth = |extended: &Extended| {
        Growth::new(extended.extension.clone(), folder.info.vocabulary, config.vocabulary.train).map(Arc::new)
    };
    extended.map(growth).transpose()
}

fn noted(text: Text) -> Finding {
    Finding {
        kind: FindingKind::Vocabulary,
        severity: Severity::Info,
        count: 0,
        rows: Vec::new(),
        text,
        mend: None,
        remedies: Vec::new(),
    }
}

/// The encoder, what the model says of token ids, and the padding id.
fn open_tokenizer(
    config: &RunConfig,
    base: &Path,
    now: NaiveDateTime,
    info: &ModelInfo,
    tokenizer: Arc<Tokenizer>,
) -> Result<(Arc<Encoder>, ModelTokens, u32)> {
    let encoder = Arc::new(Encoder::with_tokenizer(tokenizer, &config.data, base, Some(now))?);
    let tokenizer = encoder.tokenizer();
    let (largest, rows) = (tokenizer.largest_id(), info.vocabulary);
    if largest as usize >= rows {
        return Err(UserError::bad_input(text!(
            "The tokenizer has ids up to {largest}, but the model's embedding has {rows} rows",
            "分词器的编号可达 {largest}，而模型的词嵌入只有 {rows} 行"
        ))
        .in_file(tokenizer.file())
        .mend(Text::fixed("use the tokenizer that belongs to this model", "请使用该模型自己的分词器")));
    }
    check_length(config, info, Front::default())?;
    let tokens = ModelTokens {
        pad: tokenizer.pad(),
        eos: encoder.stop_ids().iter().copied().collect(),
        vocab_size: Some(rows as u64),
    };
    let pad = tokenizer.pad().or(tokenizer.eos()).unwrap_or(0);
    Ok((encoder, tokens, pad))
}

/// # Errors
/// When rows, with what the method has in front of them, may be longer than the model has positions for.
pub(crate) fn check_length(config: &RunConfig, info: &ModelInfo, front: Front) -> Result<()> {
    let (before, all) = (front.prompt + front.prefix, info.context);
    if !info.learned_positions || config.data.max_length.saturating_add(before as u64) <= all as u64 {
        return Ok(());
    }
    let length = config.data.max_length;
    let Some(context) = all.checked_sub(before).filter(|rest| *rest > 0) else {
        return Err(UserError::bad_input(text!(
            "The method has {before} tokens in front of every row, and this model has positions for {all}",
            "该方法在每行之前有 {before} 个词元，而该模型只有 {all} 个位置"
        ))
        .at_item("method.tokens")
        .mend(text!("choose far fewer than {all}", "请选择远小于 {all} 的数")));
    };
    Err(UserError::bad_input(text!(
        "max_length is {length}, but this model has positions for {context} tokens of a row",
        "max_length 为 {length}，而该模型只有 {context} 个位置"
    ))
    .at_item("data.max_length")
    .mend(text!("set it to {context} or less", "请设为不超过 {context}"))
    .remedy(Remedy {
        label: text!("Lower max_length to {context}", "将 max_length 降至 {context}"),
        changes: vec![("data.max_length".into(), context.into())],
    }))
}

/// Numbers of the run file that make no sense, all at once.
pub(crate) fn check_numbers(config: &RunConfig) -> Result<()> {
    let train = &config.train;
    let mut problems = Vec::new();
    let mut wanted = |good: bool, key: &'static str, value: String, wanted: &str| {
        if !good {
            problems.push((key, format!("{key} is {value}, wanted {wanted}")));
        }
    };
    for (key, value) in [("train.learning_rate", train.learning_rate), ("train.eps", train.eps)] {
        wanted(value.is_finite() && value > 0.0, key, value.to_string(), "a number above 0");
    }
    for (key, value) in
        [("train.weight_decay", train.weight_decay), ("train.max_grad_norm", train.max_grad_norm)]
    {
        wanted(value.is_finite() && value >= 0.0, key, value.to_string(), "a number, 0 or more");
    }
    if let LossScale::Static(scale) = train.loss_scale {
        let good = scale.is_finite() && scale > 0.0;
        wanted(good, "train.loss_scale", scale.to_string(), "\"dynamic\" or a number above 0");
    }
    let betas = train.betas.iter().all(|beta| (0.0..1.0).contains(beta));
    wanted(betas, "train.betas", format!("{:?}", train.betas), "two numbers from 0 to below 1");
    let ratio = train.warmup_ratio;
    wanted((0.0..=1.0).contains(&ratio), "train.warmup_ratio", ratio.to_string(), "a number from 0 to 1");
    let grouped = train.group_by_length;
    let needs = "false with data.packing: packed rows are full";
    wanted(!(grouped && config.data.packing), "train.group_by_length", "true".into(), needs);
    let needs = "false without train.shuffle: rows then come in the order of the file";
    wanted(!grouped || train.shuffle, "train.group_by_length", "true".into(), needs);
    let no_validation = matches!(config.data.validation, Validation::Fraction(fraction) if fraction == 0.0);
    let patience = train.early_stop_patience;
    let needs = "0 without data.validation, whose loss it looks at";
    wanted(patience == 0 || !no_validation, "train.early_stop_patience", patience.to_string(), needs);
    let needs = "false without data.validation, whose loss it looks at";
    wanted(!train.keep_best || !no_validation, "train.keep_best", "true".into(), needs);
    if problems.is_empty() {
        return Ok(());
    }
    let keys: Vec<&str> = problems.iter().map(|(key, _)| *key).collect();
    Err(UserError::bad_input(Text::fixed(
        "The run file has values that cannot be used",
        "运行文件中有无法使用的值",
    ))
    .at_item(keys.join(", "))
    .details(problems.into_iter().map(|(_, line)| line))
    .mend(Text::fixed("correct them", "请更正这些值")))
}

/// The devices as the command line names them, for the plan.
pub fn device_name(chosen: &Chosen) -> String {
    let words: Vec<String> = chosen.all().map(|one| one.report.word()).collect();
    match words.as_slice() {
        [_] if chosen.report.kind == DeviceKind::Cpu => "cpu".into(),
        _ => words.join(","),
    }
}
