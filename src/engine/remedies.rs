//! Changes of settings that mend a refusal, with what they cost. One is offered only where the run would then go.

use protocol::{FindingKind, MemoryForecast, Remedy, RunConfig, UserError, Verdict, text};
use serde_json::Value;

use crate::costs::Costs;
use crate::memory;
use crate::methods::{self, Footprint};

/// `max_length` is raised and lowered to multiples of this.
const LENGTH_STEP: u64 = 64;

/// The settings that stand, and what they cost.
pub struct Standing<'a> {
    pub config: &'a RunConfig,
    pub costs: &'a Costs<'a>,
    pub footprint: &'a Footprint,
    /// Of a micro-batch.
    pub rows: u64,
    /// Longest row after the cut, in tokens.
    pub time: u64,
    pub forecast: &'a MemoryForecast,
}

impl Standing<'_> {
    /// Adds to the findings of a verdict what only the model can tell: the price of longer rows.
    pub fn mend_findings(&self, verdict: &mut Verdict) {
        let Some(raise) = self.raise_length(verdict.longest) else { return };
        let too_long = |kind| kind == FindingKind::TooLong;
        for finding in verdict.findings.iter_mut().filter(|finding| too_long(finding.kind)) {
            finding.remedies.insert(0, raise.clone());
        }
    }

    /// Whether there is memory for as many rows of the maximal length, filled with texts.
    pub fn packed_fits(&self) -> bool {
        self.costs.packing().of(self.footprint, self.rows, self.config.data.max_length).forecast.fits
    }

    /// A `max_length` that holds the longest row, where the model and the memory have room for it.
    fn raise_length(&self, longest: u64) -> Option<Remedy> {
        let context = self.costs.folder.info.context as u64;
        if longest <= self.config.data.max_length || longest > context {
            return None;
        }
        let length = longest.next_multiple_of(LENGTH_STEP).min(context);
        let then = self.costs.of(self.footprint, self.rows, longest).forecast;
        let price = self.price(&then);
        then.fits.then(|| Remedy {
            label: text!("Raise max_length to {length}{price}", "将 max_length 增至 {length}{price}"),
            changes: vec![("data.max_length".into(), length.into())],
        })
    }

    /// Ways to need less memory, each of which is enough by itself.
    pub fn mend_memory(&self) -> Vec<Remedy> {
        [
            self.smaller_batch(),
            self.shorter_rows(),
            self.smaller_dtype(),
            self.fewer_bits(),
            self.lower_rank(),
            self.lora_instead(),
            self.everything_least(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The refusal of a run that does not fit, with every way to mend it; where there is none, with what the model
    /// would need at the very least.
    pub fn refusal(&self) -> UserError {
        let mut error = memory::too_large(self.forecast, self.forecast.available);
        error.remedies = self.mend_memory();
        if error.remedies.is_empty() {
            let (least, words) = self.least();
            let need = memory::size(least.total);
            error = error.mend(text!(
                "even a LoRA of rank 1 on one short row in {words} needs {need}: use a device with that much memory, or a smaller model",
                "即使只训练秩为 1 的 LoRA、每次一条短数据、以 {words} 计算，也需要 {need}：请换用内存足够的设备或更小的模型"
            ));
        }
        error
    }

    /// bf16 in place of f32.
    fn smaller_dtype(&self) -> Option<Remedy> {
        let then = self.costs.in_bf16()?.of(self.footprint, self.rows, self.time).forecast;
        let price = self.price(&then);
        then.fits.then(|| Remedy {
            label: text!("Compute in bf16{price}", "改用 bf16 计算{price}"),
            changes: vec![("model.dtype".into(), "bf16".into())],
        })
    }

    /// The frozen matrices in 4 bits (QLoRA), where the method leaves them frozen.
    fn fewer_bits(&self) -> Option<Remedy> {
        let model = self.costs.folder.model();
        let learned = model.block_linears().any(|site| self.footprint.trains(model, site));
        let costs = self.in_nf4(self.costs).filter(|_| !learned)?;
        let then = costs.of(self.footprint, self.rows, self.time).forecast;
        let price = self.price(&then);
        then.fits.then(|| Remedy {
            label: text!("Keep the frozen model in 4 bits{price}", "以 4 位保存冻结的模型{price}"),
            changes: vec![("model.quantization".into(), "nf4".into())],
        })
    }

    /// Costs with the matrices in NF4, where that is possible and saves anything.
    fn in_nf4<'c>(&self, costs: &Costs<'c>) -> Option<Costs<'c>> {
        costs.in_nf4().filter(|_| !self.config.model.from_scratch)
    }

    /// All of it together, where nothing less is enough: bf16, 4 bits, one row at a time, LoRA.
    fn everything_least(&self) -> Option<Remedy> {
        let alone = [
            self.smaller_batch(),
            self.shorter_rows(),
            self.smaller_dtype(),
            self.fewer_bits(),
            self.lora_instead(),
        ];
        if alone.iter().any(Option::is_some) {
            return None;
        }
        let lora = !self.footprint.is_adapter();
        let instead = if lora { Some(self.lora(Vec::new())?) } else { None };
        let footprint = instead.as_ref().unwrap_or(self.footprint);
        let bf16 = self.costs.in_bf16();
        let costs = bf16.as_ref().unwrap_or(self.costs);
        let nf4 = self.in_nf4(costs);
        let then = nf4.as_ref().unwrap_or(costs).of(footprint, 1, self.time).forecast;
        let mut changes: Vec<(String, Value)> = vec![("train.batch_size".into(), 1.into())];
        let step_rows = self.config.train.batch_size.checked_mul(self.config.train.gradient_accumulation)?;
        changes.push(("train.gradient_accumulation".into(), step_rows.into()));
        changes.extend(bf16.is_some().then(|| ("model.dtype".into(), "bf16".into())));
        changes.extend(nf4.is_some().then(|| ("model.quantization".into(), "nf4".into())));
        changes.extend(lora.then(|| ("method.kind".into(), "lora".into())));
        let price = self.price(&then);
        then.fits.then(|| Remedy {
            label: text!("Take every one of these savings{price}", "同时采用所有节省方式{price}"),
            changes,
        })
    }

    /// The smallest run that the model allows, and how its weights are kept.
    fn least(&self) -> (MemoryForecast, String) {
        let bf16 = self.costs.in_bf16();
        let costs = bf16.as_ref().unwrap_or(self.costs);
        let smallest = self.lora(vec![("rank".into(), 1.into())]);
        let footprint = smallest.as_ref().unwrap_or(self.footprint);
        let of = |costs: &Costs<'_>| {
            let dtype = crate::plan::dtype_name(costs.dtype);
            let bits = costs.quantization.map_or(String::new(), |kind| format!(" + {}", kind.name()));
            (costs.of(footprint, 1, LENGTH_STEP).forecast, format!("{dtype}{bits}"))
        };
        // Weights that wait in the files can take less than those in few bits.
        let (dense, packed) = (of(costs), self.in_nf4(costs).as_ref().map(of));
        match packed {
            Some(packed) if packed.0.total < dense.0.total => packed,
            _ => dense,
        }
    }

    fn lora(&self, changes: Vec<(String, Value)>) -> Option<Footprint> {
        let mut method = self.config.method.clone();
        "lora".clone_into(&mut method.kind);
        method.params.clear();
        method.params.extend(changes);
        methods::footprint(self.costs.folder.model(), &method, &self.config.model.path).ok()
    }

    /// Fewer rows at once, and as many in an optimizer step.
    fn smaller_batch(&self) -> Option<Remedy> {
        let train = &self.config.train;
        let step_rows = train.batch_size.checked_mul(train.gradient_accumulation)?;
        let batches = halves(train.batch_size, 1);
        let (batch, then) = batches
            .map(|batch| (batch, self.costs.of(self.footprint, batch.min(self.rows), self.time).forecast))
            .find(|(_, forecast)| forecast.fits)?;
        let (accumulation, price) = (step_rows.div_ceil(batch), self.price(&then));
        Some(Remedy {
            label: text!(
                "Set batch_size to {batch} and gradient_accumulation to {accumulation}{price}",
                "将 batch_size 设为 {batch}，gradient_accumulation 设为 {accumulation}{price}"
            ),
            changes: vec![
                ("train.batch_size".into(), batch.into()),
                ("train.gradient_accumulation".into(), accumulation.into()),
            ],
        })
    }

    fn shorter_rows(&self) -> Option<Remedy> {
        let lengths = halves(self.time, LENGTH_STEP).map(|time| time.next_multiple_of(LENGTH_STEP));
        let (length, then) = lengths
            .filter(|length| *length < self.time)
            .map(|length| (length, self.costs.of(self.footprint, self.rows, length).forecast))
            .find(|(_, forecast)| forecast.fits)?;
        let price = self.price(&then);
        Some(Remedy {
            label: text!("Lower max_length to {length}{price}", "将 max_length 降至 {length}{price}"),
            changes: vec![("data.max_length".into(), length.into())],
        })
    }

    /// A lower rank, with alpha / rank as it was.
    fn lower_rank(&self) -> Option<Remedy> {
        let method = methods::method_of(&self.config.method.kind).ok()?;
        let settings = methods::settings(method, &self.config.method).ok()?;
        let (rank, alpha) = (settings.get("rank")?.as_u64()?, settings.get("alpha")?.as_f64()?);
        let changes = |lower: u64| -> Vec<(String, Value)> {
            let scaled = alpha * lower as f64 / rank as f64;
            vec![("rank".into(), lower.into()), ("alpha".into(), scaled.into())]
        };
        let (lower, then) = halves(rank, 1)
            .filter_map(|lower| Some((lower, self.with_method(&self.config.method.kind, changes(lower))?)))
            .find(|(_, forecast)| forecast.fits)?;
        let price = self.price(&then);
        let named = changes(lower).into_iter().map(|(key, value)| (format!("method.{key}"), value));
        Some(Remedy {
            label: text!("Lower the rank to {lower}{price}", "将秩降至 {lower}{price}"),
            changes: named.collect(),
        })
    }

    fn lora_instead(&self) -> Option<Remedy> {
        if self.footprint.is_adapter() {
            return None;
        }
        let then = self.with_method("lora", Vec::new()).filter(|forecast| forecast.fits)?;
        let price = self.price(&then);
        Some(Remedy {
            label: text!("Train a LoRA instead{price}", "改为训练 LoRA{price}"),
            changes: vec![("method.kind".into(), "lora".into())],
        })
    }

    /// The forecast with another method or other settings of it.
    fn with_method(&self, kind: &str, changes: Vec<(String, Value)>) -> Option<MemoryForecast> {
        let mut method = self.config.method.clone();
        if method.kind != kind {
            method.params.clear();
        }
        kind.clone_into(&mut method.kind);
        method.params.extend(changes);
        let model = self.costs.folder.model();
        let footprint = methods::footprint(model, &method, &self.config.model.path).ok()?;
        Some(self.costs.of(&footprint, self.rows, self.time).forecast)
    }

    /// ` (+0.4 GB)`: what another forecast adds to the present one.
    fn price(&self, then: &MemoryForecast) -> String {
        let more = then.total >= self.forecast.total;
        let bytes = then.total.abs_diff(self.forecast.total) as f64;
        let sign = if more { "+" } else { "−" };
        match bytes {
            0.0 => String::new(),
            _ if bytes < 1e8 => format!(" ({sign}{:.1} MB)", bytes / 1e6),
            _ => format!(" ({sign}{:.1} GB)", bytes / 1e9),
        }
    }
}

/// Half of it, a quarter, … down to `least`.
fn halves(value: u64, least: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(value / 2), |half| Some(half / 2)).take_while(move |half| *half >= least)
}
