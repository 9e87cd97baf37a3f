//! The optimizer that a run file chooses, with its settings, checked.

use protocol::config::{TrainConfig, nearest};
use protocol::{Result, Text, UserError, text};
use serde_json::{Map, Value};

use super::{OPTIMIZERS, Optimizer, OptimizerEntry, Slots, Subject};
use crate::settings::resolve;

/// Settings of an optimizer or a schedule, every one of them there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings(Map<String, Value>);

impl Settings {
    pub(super) fn new(checked: Map<String, Value>) -> Self {
        Self(checked)
    }

    /// A number that the descriptor declares.
    pub fn number(&self, key: &str) -> f64 {
        self.0.get(key).and_then(Value::as_f64).unwrap_or_default()
    }

    /// A switch that the descriptor declares.
    pub fn switch(&self, key: &str) -> bool {
        self.0.get(key).and_then(Value::as_bool).unwrap_or_default()
    }

    /// A word that the descriptor declares.
    pub fn word(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }
}

/// An optimizer with its settings.
#[derive(Clone)]
pub struct Choice {
    pub entry: &'static OptimizerEntry,
    pub settings: Settings,
}

impl Choice {
    /// # Errors
    /// When nobody knows the optimizer, a setting of it cannot be used, or something is set that it does not look at.
    pub fn of(config: &TrainConfig) -> Result<Self> {
        let entry = optimizer_of(&config.optimizer)?;
        let settings = resolve("train.optimizer_settings", &(entry.params)(), &config.optimizer_settings)?;
        let (usual, id) = (TrainConfig::default(), entry.id);
        let differs = |key: &&&str| match **key {
            "betas" => config.betas != usual.betas,
            "eps" => config.eps != usual.eps,
            _ => false,
        };
        if let Some(key) = entry.ignores.iter().find(differs) {
            return Err(UserError::bad_input(text!(
                "Optimizer `{id}` does not look at train.{key}",
                "优化器 `{id}` 不使用 train.{key}"
            ))
            .at_item(format!("train.{key}"))
            .mend(text!(
                "remove it; what `{id}` has of its own is in train.optimizer_settings",
                "请删除该项；`{id}` 自己的设置在 train.optimizer_settings 中"
            )));
        }
        Ok(Self { entry, settings: Settings::new(settings) })
    }

    pub fn build(&self, config: &TrainConfig) -> Optimizer {
        Optimizer { rule: (self.entry.rule)(config, &self.settings), slots: Slots::new(self.entry.on_host) }
    }

    /// # Errors
    /// When it is not made for what the method trains; `own`: whether that is the model itself.
    pub fn suits(&self, own: bool) -> Result<()> {
        if own || !self.entry.whole_models_only {
            return Ok(());
        }
        let id = self.entry.id;
        Err(UserError::bad_input(text!(
            "Optimizer `{id}` is for the model's own matrices, and this method trains an adapter",
            "优化器 `{id}` 用于模型自身的矩阵，而该方法训练的是适配器"
        ))
        .at_item("train.optimizer")
        .mend(Text::fixed(
            "use adamw, or train the model itself (method.kind = \"full\")",
            "请使用 adamw，或训练模型本身（method.kind = \"full\"）",
        )))
    }

    /// Bytes of all states on the device whose memory is forecast; `host_apart`: whether the host's is another.
    /// States that live there come to the device one parameter at a time.
    pub fn bytes<'a>(&self, trained: impl Iterator<Item = Subject<'a>>, host_apart: bool) -> u64 {
        let each = trained.map(|subject| (self.entry.state_bytes)(&self.settings, &subject));
        if self.entry.on_host && host_apart { each.max().unwrap_or(0) } else { each.sum() }
    }
}

/// The optimizer of that name.
///
/// # Errors
/// When nobody knows it; names the nearest.
pub fn optimizer_of(id: &str) -> Result<&'static OptimizerEntry> {
    OPTIMIZERS.iter().copied().find(|entry| entry.id == id).ok_or_else(|| {
        let known: Vec<_> = OPTIMIZERS.iter().map(|entry| entry.id).collect();
        let near = nearest(id, known.iter().copied()).unwrap_or("adamw");
        let known = known.join(", ");
        UserError::bad_input(text!("There is no optimizer `{id}`", "没有名为 `{id}` 的优化器"))
            .at_item("train.optimizer")
            .mend(text!(
                "did you mean `{near}`? Known are: {known}",
                "是否想用 `{near}`？已知的优化器：{known}"
            ))
    })
}
