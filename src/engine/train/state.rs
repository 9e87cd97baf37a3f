//! Counters of a run, and its checkpoints.

use std::path::Path;

use burn::tensor::{DType, Device, Tensor};
use crossbeam_channel::Sender;
use data::Position;
use protocol::{Result, Text, UserError};
use serde::{Deserialize, Serialize};

use super::loss_scale::LossScaler;
use super::step::Learner;
use crate::files::{AtomicFile, Recovered};
use crate::methods::{Adapter, TrainedOn, load_adapter};
use crate::nn::{Param, Value};
use crate::optim::Slots;
use crate::weights::{load_tensor, open_file, write_params};

const ADAPTER: &str = "adapter";
const TRAINED: &str = "trained";
const OPTIMIZER: &str = "optimizer";
const STATE: &str = "state.json";

/// Where a run stands. Everything random follows from these and the run file's seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    /// Optimizer steps done, skipped ones among them.
    pub step: u64,
    /// Updates applied.
    pub updates: u32,
    /// The micro-batch that comes next.
    pub position: Position,
    /// f32, because a number of that width comes back from JSON exactly: a resumed run must find the same
    /// evaluations best.
    pub best_loss: Option<f32>,
    pub best_step: Option<u64>,
    /// Evaluations since the best one.
    pub without_improvement: u64,
    /// This step's evaluation is still to come: a stop broke it off.
    #[serde(default)]
    pub evaluation_due: bool,
    /// What the schedule's rate is multiplied by; see [`rate_factor`](Self::rate_factor).
    #[serde(default = "one")]
    rate_factor: f32,
    /// Steps in a row that were not finite; those that a loss scale made way for are not counted.
    pub skipped_in_a_row: u64,
    pub skipped: u64,
    /// Absent where losses are taken as they are.
    #[serde(default)]
    pub loss_scale: Option<LossScaler>,
    /// Tokens fed, padding left out.
    pub tokens: u64,
    /// Wall time of earlier sessions and this one.
    pub seconds: f64,
    pub last_eval: Option<f64>,
}

fn one() -> f32 {
    1.0
}

impl Default for RunState {
    fn default() -> Self {
        Self {
            step: 0,
            updates: 0,
            position: Position::default(),
            best_loss: None,
            best_step: None,
            without_improvement: 0,
            evaluation_due: false,
            rate_factor: one(),
            skipped_in_a_row: 0,
            skipped: 0,
            loss_scale: None,
            tokens: 0,
            seconds: 0.0,
            last_eval: None,
        }
    }
}

impl RunState {
    /// What the schedule's rate is multiplied by: the number whose shortest decimal form is that of the f32 which
    /// is kept, so that 0.1 is 0.1, and the same after a resumption.
    pub fn rate_factor(&self) -> f64 {
        self.rate_factor.to_string().parse().unwrap_or(f64::from(self.rate_factor))
    }

    /// Takes a factor, finite and not negative; what lies outside of f32 becomes the nearest that does not.
    pub fn set_rate_factor(&mut self, factor: f64) {
        self.rate_factor = factor.min(f64::from(f32::MAX)) as f32;
    }
}

/// What a checkpoint holds, apart from the learner, which can go on meanwhile: values are shared with it, and lent.
pub struct Snapshot {
    adapter: Option<Box<dyn Adapter>>,
    /// Trained parameters of the model itself.
    own: Vec<Param>,
    slots: Slots,
    state: RunState,
    base: String,
    note: TrainedOn,
    /// Last, so that everything else has been let go when the learner hears of it.
    _lent: Sender<()>,
}

impl Snapshot {
    /// `note` goes beside the adapter, whose files name the model's path `base`.
    pub fn of(learner: &mut Learner, state: &RunState, base: String, note: TrainedOn) -> Self {
        let trained = learner.model.params.iter().filter(|(_, param)| param.trainable);
        Self {
            adapter: learner.adapter.as_ref().map(|adapter| adapter.apart()),
            own: trained.map(|(_, param)| param.clone()).collect(),
            slots: learner.optimizer.slots.clone(),
            state: state.clone(),
            base,
            note,
            _lent: learner.lent.lend(),
        }
    }

    /// Bytes of what is on a device, in f32.
    pub fn device_bytes(&self) -> u64 {
        let adapter = self.adapter.iter().flat_map(|adapter| adapter.params().iter().map(|(_, param)| param));
        let away = self.own.iter().chain(adapter).filter(|param| !is_on_host(&param.value));
        away.map(|param| 4 * param.elements() as u64).sum::<u64>() + self.slots.device_bytes()
    }

    /// Brings everything to the host, where any thread may read it.
    pub fn bring_to_host(&mut self) {
        let host = Device::flex();
        let adapter = self.adapter.iter_mut().flat_map(|adapter| adapter.params_mut().iter_mut());
        for param in self.own.iter_mut().chain(adapter) {
            param.value = std::mem::replace(&mut param.value, Value::Absent).on(&host);
        }
        self.slots.settle(|_| host.clone());
    }

    /// Writes the files of a checkpoint into `dir`.
    ///
    /// # Errors
    /// When a file cannot be written, or the device fails.
    pub fn write(self, dir: &Path) -> Result<()> {
        if let Some(adapter) = &self.adapter {
            let folder = dir.join(ADAPTER);
            std::fs::create_dir_all(&folder).map_err(|err| {
                UserError::io(Text::fixed("write the checkpoint", "写入检查点"), &folder, &err)
            })?;
            adapter.save(&folder, &self.base)?;
            self.note.write(&folder)?;
        }
        let own: Vec<(String, &Param)> = self.own.iter().map(|param| (param.name.clone(), param)).collect();
        if !own.is_empty() {
            write_params(dir, TRAINED, &own)?;
        }
        self.slots.write(dir, OPTIMIZER)?;
        let json = serde_json::to_vec_pretty(&self.state)
            .map_err(|err| UserError::failure(Text::new(err.to_string(), err.to_string())))?;
        AtomicFile::write(&dir.join(STATE), &json)
    }
}

fn is_on_host(value: &Value) -> bool {
    match value {
        Value::Vector(vector) => vector.device() == Device::flex(),
        Value::Matrix(matrix) => matrix.device() == Device::flex(),
        Value::Packed(_) | Value::Elsewhere(_) | Value::Absent => true,
    }
}

/// Puts a checkpoint's values into a learner that was set up from the same run file.
///
/// # Errors
/// When a file is missing or does not fit.
pub fn restore(from: &Recovered, learner: &mut Learner) -> Result<RunState> {
    let state = restore_weights(&from.path, learner)?;
    let states = open_file(&from.path.join(format!("{OPTIMIZER}.safetensors")))?;
    learner.optimizer.slots.read(&states, &learner.model.device)?;
    learner.updates = state.updates;
    Ok(state)
}

/// The trained weights alone: to end with the best checkpoint.
///
/// # Errors
/// As [`restore`].
pub fn restore_weights(path: &Path, learner: &mut Learner) -> Result<RunState> {
    let file = path.join(STATE);
    let bytes = std::fs::read(&file)
        .map_err(|err| UserError::io(Text::fixed("read the checkpoint", "读取检查点"), &file, &err))?;
    let state: RunState = serde_json::from_slice(&bytes).map_err(|err| {
        UserError::bad_input(Text::new(
            format!("The checkpoint's counters cannot be read: {err}"),
            format!("无法读取检查点的计数：{err}"),
        ))
        .in_file(&file)
    })?;
    if let Some(adapter) = learner.adapter.as_mut() {
        let saved = load_adapter(&path.join(ADAPTER), &learner.model)?;
        adapter.copy_from(saved.as_ref())?;
    }
    let device = learner.model.device.clone();
    if learner.model.params.iter().any(|(_, param)| param.trainable) {
        let trained = open_file(&path.join(format!("{TRAINED}.safetensors")))?;
        for param in learner.model.params.iter_mut().filter(|param| param.trainable) {
            let flat: Tensor<1> = match param.shape.len() {
                1 => load_tensor::<1>(&trained, &param.name, &device, DType::F32)?,
                _ => load_tensor::<2>(&trained, &param.name, &device, DType::F32)?.flatten(0, 1),
            };
            param.value = Value::from_flat(flat, &param.shape);
        }
    }
    Ok(state)
}
