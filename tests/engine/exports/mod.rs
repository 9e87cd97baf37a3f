//! Exports: how tests ask for them, and those of adapters in other programs' layouts.

mod chatglm;

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, FloatDType};
use engine::export::export;
use engine::methods::Adapter;
use engine::models::Model;
use engine::nn::float_dtype;
use protocol::{
    Command, Control, Event, ExportReport, ExportRequest, ExportTarget, MergeInto, ModelRef, UserError,
};

use crate::runs::support::Engine;

/// A model with adapters on it.
pub fn model_ref(model: &Path, adapters: &[&Path]) -> ModelRef {
    let adapters = adapters.iter().map(|dir| dir.to_path_buf()).collect();
    ModelRef { path: model.to_owned(), adapters, ..ModelRef::default() }
}

/// Verified, in one file, with the numbers as they are stored.
pub fn request(model: ModelRef, target: &str, out: PathBuf) -> ExportRequest {
    ExportRequest {
        model,
        target: ExportTarget(target.into()),
        dtype: "keep".into(),
        out,
        merge_into: MergeInto::Original,
        verify: true,
        rows: None,
        shard_bytes: u64::MAX,
    }
}

/// On the CPU, in f32, by this thread.
pub fn write(request: &ExportRequest) -> Result<ExportReport, UserError> {
    export(request, &Device::flex(), DType::F32, &Control::default(), &|_, _| {})
}

/// By an engine's worker.
pub fn ask(engine: &mut Engine, export: ExportRequest) -> Result<ExportReport, UserError> {
    engine.ask(
        |request| Command::Export { request, export },
        |event| match event {
            Event::Exported { report, .. } => Some(Ok(report)),
            Event::Failed { error, .. } => Some(Err(*error)),
            _ => None,
        },
    )
}

/// Puts an adapter into a model's own matrices as an export does it: in f32, then rounded to what the model stores.
pub fn merge(model: &mut Model, adapter: &dyn Adapter) {
    let ids: Vec<_> = model.params.iter().map(|(id, _)| id).collect();
    for id in ids {
        let value = model.params.get(id).value.clone().cast(FloatDType::F32);
        if let Some(merged) = adapter.merged(id, &value) {
            model.params.get_mut(id).value = merged.cast(float_dtype(model.dtype));
        }
    }
}
