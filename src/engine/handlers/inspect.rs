//! `inspect`.

use std::collections::BTreeMap;

use data::{Library, TemplateChoice};
use protocol::{Event, LinearReport, ModelRef, ModelReport, RequestId, Result, Text, text};

use super::Desk;
use crate::export::licence_files;
use crate::models::ModelFolder;
use crate::sink::Sink;

/// A model folder, without loading its weights. Its tokenizer is kept for the rows that will be looked at with it.
pub fn inspect(request: RequestId, model: &ModelRef, desk: &mut Desk, sink: &mut Sink) -> Result<()> {
    let folder = ModelFolder::open(&model.path, &model.overrides)?;
    let mut notes = Vec::new();
    let (tokenizer, template) = read_tokenizer(&folder, &mut desk.library, &mut notes);
    let (template, template_reason) =
        template.map_or((None, None), |found| (Some(short_name(&found.name)), found.reason));
    note_dropout(&folder, &mut notes);
    let mut dtypes = BTreeMap::new();
    let mut file_bytes = 0;
    if let Some(checkpoint) = &folder.checkpoint {
        file_bytes = checkpoint.total_bytes();
        for info in checkpoint.names().filter_map(|name| checkpoint.info(name)) {
            *dtypes.entry(format!("{:?}", info.dtype).to_lowercase()).or_insert(0) += 1;
        }
    }
    let info = &folder.info;
    let report = ModelReport {
        path: model.path.clone(),
        family: folder.family.id.into(),
        class: folder.config.class().into(),
        variant: info.variant.clone(),
        parameters: folder.model().params.elements(),
        file_bytes,
        dtypes,
        layers: info.num_layers as u64,
        hidden_size: info.hidden as u64,
        vocab_size: info.vocabulary as u64,
        context_length: info.context as u64,
        tied_head: info.tied_head,
        linears: linears(&folder),
        default_targets: folder.family.default_targets.iter().map(|role| (*role).into()).collect(),
        tokenizer,
        template,
        template_reason,
        licence_files: licence_files(&folder.dir),
        notes,
    };
    sink.emit(Event::Inspected { request, report: Box::new(report) });
    Ok(())
}

/// A file's name without its folder; a preset's name as it is.
fn short_name(template: &str) -> String {
    let file = std::path::Path::new(template).file_name();
    file.map_or_else(|| template.to_owned(), |name| name.to_string_lossy().into_owned())
}

fn linears(folder: &ModelFolder) -> Vec<LinearReport> {
    let model = folder.model();
    let report = |site: &crate::nn::Site| {
        let shape = &model.params.get(site.weight).shape;
        LinearReport {
            path: site.path.clone(),
            shape: [shape[0] as u64, shape[1] as u64],
            role: site.role.word().into(),
            layer: site.layer.map(|layer| layer as u64),
            slices: slice_words(site),
        }
    };
    model.sites.iter().map(report).collect()
}

fn slice_words(site: &crate::nn::Site) -> Vec<String> {
    let parts = site.fused.iter().flat_map(|fused| &fused.parts);
    parts.map(|(role, _)| role.word().to_owned()).collect()
}

fn read_tokenizer(
    folder: &ModelFolder,
    library: &mut Library,
    notes: &mut Vec<Text>,
) -> (Option<String>, Option<TemplateChoice>) {
    match library.tokenizer(&folder.dir) {
        Ok(tokenizer) => {
            let (largest, rows) = (tokenizer.largest_id() as usize, folder.info.vocabulary);
            if largest >= rows {
                notes.push(text!(
                    "The tokenizer has ids up to {largest}, the embedding only {rows} rows",
                    "分词器的编号可达 {largest}，词嵌入只有 {rows} 行"
                ));
            }
            let template = TemplateChoice::find("auto", &tokenizer, &folder.dir).unwrap_or_else(|error| {
                notes.push(error.what);
                None
            });
            // Dicts need none.
            if template.is_none() && tokenizer.cpm_bee().is_none() {
                notes.push(Text::fixed(
                    "No chat template: choose a preset for conversations",
                    "没有对话模板：对话数据请选择一个预设模板",
                ));
            }
            let file = tokenizer.file().file_name().unwrap_or_default().to_string_lossy();
            (Some(format!("{file}, {} tokens", tokenizer.vocab_size())), template)
        }
        Err(error) => {
            notes.push(error.what);
            (None, None)
        }
    }
}

/// Hugging Face's trainer applies these while training; here only the method's own dropout is.
fn note_dropout(folder: &ModelFolder, notes: &mut Vec<Text>) {
    let keys = ["attn_pdrop", "resid_pdrop", "embd_pdrop", "attention_dropout"];
    let set: Vec<_> = keys.into_iter().filter(|key| folder.config.number_or(key, 0.0) > 0.0).collect();
    if !set.is_empty() {
        let set = set.join(", ");
        notes.push(text!(
            "The model's own dropout ({set}) is not applied while training",
            "训练时不使用模型自带的随机丢弃（{set}）"
        ));
    }
}
