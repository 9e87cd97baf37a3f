//! Rows for new tokens beside an adapter of any method: only they are trained (PEFT's `trainable_token_indices`), or
//! embedding and head as a whole (PEFT's `modules_to_save`). Facts: PEFT 0.21, `tuners/trainable_tokens/layer.py`: the
//! rows are values that stand in for the matrix's own, not differences from them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use data::Extension;
use protocol::config::RowsTrained;
use protocol::{Result, Text, UserError, text};
use serde_json::{Map, Value as Json, json};

use super::{Adapter, Footprint, Method, peft};
use crate::files::AtomicFile;
use crate::models::{Growth, Model};
use crate::nn::{
    AdapterView, BlockAdapter, Decay, NewRows, Param, ParamId, ParamStore, PrefixAdapter, PromptAdapter,
    Role, SiteAdapter, SiteId, Space, Value, put_rows,
};
use crate::weights::{Checkpoint, write_params};

/// Ends the names of such rows.
const ROWS: &str = ".token_adapter.trainable_tokens_delta";
const INDICES: &str = "trainable_token_indices";
const TIED: &str = "ensure_weight_tying";

/// Whether a tensor of an adapter's file is read here, whatever the method; the copy of a tied head is the embedding's.
pub fn is_read_here(name: &str, config: &Map<String, Json>, model: &Model) -> bool {
    let tied = config.get(TIED).and_then(Json::as_bool) == Some(true);
    let head = || tied_head(model).is_some_and(|(_, head)| name == format!("{}{head}.weight", peft::PREFIX));
    name.ends_with(ROWS) || tied && head()
}

/// The matrix that embedding and head share, and the head's name.
fn tied_head(model: &Model) -> Option<(ParamId, String)> {
    let mut heads = model.sites.iter().filter(|site| site.role == Role::Head);
    let head = heads.next().filter(|_| model.info.tied_head)?;
    Some((head.weight, head.path.clone()))
}

/// An adapter with rows for new tokens. Everything else is the inner one's, whose parameters the rows are among.
struct Extended {
    inner: Box<dyn Adapter>,
    declared: Declared,
    /// None for an adapter of PEFT that trains tokens its base has already.
    growth: Option<Arc<Growth>>,
    /// Where embedding and head of the model are one matrix: that, and the head's name.
    tied: Option<(ParamId, String)>,
}

/// By base parameter.
#[derive(Clone, Default)]
struct Declared {
    rows: BTreeMap<ParamId, NewRows>,
    /// Copies trained whole.
    whole: BTreeMap<ParamId, ParamId>,
}

/// Puts rows for the model's new tokens beside an adapter, with the values that they begin with. Without an adapter
/// the model's own rows begin with them.
pub fn attach(model: &mut Model, adapter: Option<Box<dyn Adapter>>) -> Option<Box<dyn Adapter>> {
    let Some(growth) = model.growth.clone() else { return adapter };
    let Some(mut inner) = adapter else {
        begin_own(model, &growth);
        return None;
    };
    let taken = |id: ParamId| inner.replacement(id).is_some();
    let names = matrices(model, &taken);
    let declared = declare(inner.params_mut(), model, &growth, &names);
    for (base, rows) in &declared.rows {
        let value = growth.initial(&model.params.get(*base).value);
        inner.params_mut().get_mut(rows.param).value = value;
    }
    for (base, copy) in &declared.whole {
        let value = growth.with_initial_rows(&model.params.get(*base).value);
        inner.params_mut().get_mut(*copy).value = value;
    }
    let tied = tied_head(model);
    Some(Box::new(Extended { inner, declared, growth: Some(growth), tied }))
}

fn begin_own(model: &mut Model, growth: &Growth) {
    for id in model.vocabulary_params() {
        let param = model.params.get_mut(id);
        let dtype = match &param.value {
            Value::Matrix(matrix) => matrix.dtype(),
            Value::Vector(vector) => vector.dtype(),
            Value::Packed(_) | Value::Elsewhere(_) | Value::Absent => continue,
        };
        param.value = growth.with_initial_rows(&param.value).cast(crate::nn::float_dtype(dtype));
    }
}

/// # Errors
/// When a method's files have no place for rows of new tokens, or it would not train them.
pub fn refuse(method: &Method, model: &Model) -> Result<()> {
    if model.growth.is_none() || method.id == "full" || method.peft_type == Some("LORA") {
        return Ok(());
    }
    let id = method.id;
    Err(UserError::bad_input(text!(
        "Method `{id}` does not train rows for new tokens",
        "方法 `{id}` 不训练新词元的行"
    ))
    .at_item("method.kind, vocabulary")
    .mend(Text::fixed("use lora or full", "请使用 lora 或 full")))
}

/// What [`attach`] would add to a method's parameters.
pub fn weigh(mut footprint: Footprint, model: &Model) -> Footprint {
    let Some(growth) = &model.growth else { return footprint };
    if footprint.is_adapter() {
        let saved = whole_modules(&footprint.adapter_config);
        let taken = |id: ParamId| saved.iter().any(|word| is_module(&model.params.get(id).name, word));
        let names = matrices(model, &taken);
        let declared = declare(&mut footprint.added, model, growth, &names);
        if let Some(stored) = &mut footprint.stored {
            declare(stored, model, growth, &names);
        }
        tell(&mut footprint.adapter_config, &declared, &footprint.added, model.info.tied_head);
        let again =
            |(embedding, _)| declared.whole.get(&embedding).map(|copy| footprint.added.get(*copy).elements());
        let head = tied_head(model).and_then(again).unwrap_or(0) as u64 * 4;
        footprint.extra_bytes =
            head + growth.extension.files().iter().map(|(_, content)| content.len() as u64).sum::<u64>();
    }
    footprint
}

/// Names of the matrices with a row for every token that no one else has copied.
fn matrices(model: &Model, taken: &dyn Fn(ParamId) -> bool) -> Vec<ParamId> {
    let params = model.vocabulary_params().into_iter();
    params.filter(|id| model.params.get(*id).shape.len() == 2 && !taken(*id)).collect()
}

fn declare(store: &mut ParamStore, model: &Model, growth: &Growth, bases: &[ParamId]) -> Declared {
    let mut declared = Declared::default();
    let new = growth.new_rows();
    for base in bases {
        let source = model.params.get(*base);
        if growth.train == RowsTrained::All {
            let mut copy = Param::new(source.name.clone(), &source.shape, source.decay);
            copy.trainable = true;
            declared.whole.insert(*base, store.declare(copy));
        } else {
            let rows = declare_rows(store, source, new.start, new.len(), growth.train == RowsTrained::New);
            declared.rows.insert(*base, rows);
        }
    }
    declared
}

fn declare_rows(store: &mut ParamStore, base: &Param, first: usize, count: usize, learns: bool) -> NewRows {
    let path = base.name.strip_suffix(".weight").unwrap_or(&base.name);
    let mut rows = Param::new(format!("{path}{ROWS}"), &[count, base.shape[1]], Decay::Yes);
    rows.trainable = learns;
    NewRows { param: store.declare(rows), first, count }
}

/// Notes the rows in `adapter_config.json`.
fn tell(config: &mut Map<String, Json>, declared: &Declared, params: &ParamStore, tied: bool) {
    // The parameters are named after the modules that they belong to.
    let path = |id: ParamId| {
        let name = &params.get(id).name;
        name.strip_suffix(ROWS).or_else(|| name.strip_suffix(".weight")).unwrap_or(name).to_owned()
    };
    if !declared.rows.is_empty() {
        let indices = |rows: &NewRows| (rows.first..rows.first + rows.count).collect::<Vec<_>>();
        let layers: Map<String, Json> =
            declared.rows.values().map(|rows| (path(rows.param), json!(indices(rows)))).collect();
        config.insert(INDICES.into(), layers.into());
    }
    if !declared.whole.is_empty() {
        let mut saved = whole_modules(config);
        saved.extend(declared.whole.values().map(|copy| path(*copy)));
        config.insert("modules_to_save".into(), json!(saved));
    }
    if tied && !whole_modules(config).is_empty() {
        config.insert(TIED.into(), true.into());
    }
}

fn whole_modules(config: &Map<String, Json>) -> Vec<String> {
    let list = config.get("modules_to_save").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Json::as_str).map(str::to_owned).collect()
}

fn is_module(name: &str, word: &str) -> bool {
    let path = name.strip_suffix(".weight").unwrap_or(name);
    path == word || path.ends_with(&format!(".{word}"))
}

/// Reads the rows that an adapter folder has besides what its method reads.
///
/// # Errors
/// When they do not fit the model, or it lacks the tokens that they are for.
pub fn load(mut inner: Box<dyn Adapter>, dir: &Path, model: &Model) -> Result<Box<dyn Adapter>> {
    let Some((declared, growth)) = read(inner.params_mut(), dir, model)? else { return Ok(inner) };
    let weights = peft::open_weights(dir)?;
    for rows in declared.rows.values() {
        let param = inner.params_mut().get_mut(rows.param);
        let name = format!("{}{}", peft::PREFIX, param.name);
        param.value = peft::read_value(&weights, &name, &param.shape, &model.device)?;
    }
    Ok(Box::new(Extended { inner, declared, growth, tied: tied_head(model) }))
}

/// Declares the rows of an adapter folder, by its headers.
///
/// # Errors
/// As [`load`].
pub fn shapes(mut store: ParamStore, dir: &Path, model: &Model) -> Result<ParamStore> {
    read(&mut store, dir, model)?;
    Ok(store)
}

fn read(
    store: &mut ParamStore,
    dir: &Path,
    model: &Model,
) -> Result<Option<(Declared, Option<Arc<Growth>>)>> {
    // A checkpoint of another program has no such rows.
    if !dir.join(peft::CONFIG).exists() {
        return Ok(None);
    }
    let growth = growth_of(dir, model)?;
    let weights = peft::open_weights(dir)?;
    let mut declared = Declared::default();
    let mut names: Vec<&str> = weights.names().filter(|name| name.ends_with(ROWS)).collect();
    names.sort_unstable();
    for name in names {
        let (base, rows) = read_rows(store, name, &weights, dir, model)?;
        declared.rows.insert(base, rows);
    }
    let nothing = declared.rows.is_empty() && growth.is_none();
    Ok((!nothing).then_some((declared, growth)))
}

/// The tokens that an adapter brings; the model must have been resized for them.
fn growth_of(dir: &Path, model: &Model) -> Result<Option<Arc<Growth>>> {
    let Some(extension) = Extension::open(dir)? else { return Ok(None) };
    match &model.growth {
        Some(growth) if growth.extension.record == extension.record => Ok(Some(growth.clone())),
        _ => Err(UserError::bad_input(Text::fixed(
            "The adapter was made with other tokens than the model has",
            "适配器所用的词元与模型的不同",
        ))
        .in_file(dir)
        .mend(Text::fixed(
            "set vocabulary.extended to the adapter's folder",
            "请将 vocabulary.extended 设为该适配器的文件夹",
        ))),
    }
}

fn read_rows(
    store: &mut ParamStore,
    name: &str,
    weights: &Checkpoint,
    dir: &Path,
    model: &Model,
) -> Result<(ParamId, NewRows)> {
    let refuse = |why: Text| UserError::bad_input(why).at_item(name).in_file(dir);
    let path = name.strip_prefix(peft::PREFIX).unwrap_or(name).trim_end_matches(ROWS);
    let base =
        model.params.find(&format!("{path}.weight")).filter(|id| model.vocabulary_params().contains(id));
    let Some(base) = base else {
        return Err(refuse(text!(
            "This model has no embedding or head `{path}`",
            "该模型没有名为 `{path}` 的词嵌入或输出层"
        )));
    };
    let param = model.params.get(base);
    let count = weights.info(name).and_then(|info| info.shape.first().copied()).unwrap_or(0);
    let first = first_of(&peft::read_config(dir)?, path, count).ok_or_else(|| {
        refuse(Text::fixed(
            "Only rows of tokens that follow each other are read, as many as adapter_config.json lists",
            "只支持编号连续的词元行，且数量须与 adapter_config.json 所列一致",
        ))
    })?;
    let all = param.shape[0];
    if first.checked_add(count).is_none_or(|end| end > all) {
        return Err(refuse(text!(
            "The rows reach beyond the model's {all}: the adapter was made on a model with more tokens",
            "这些行超出了模型的 {all} 行：适配器所用的模型词元更多"
        ))
        .mend(Text::fixed("use the model that it was made on", "请使用制作它时所用的模型")));
    }
    let learns = model.growth.as_ref().is_none_or(|growth| growth.train == RowsTrained::New);
    let rows = declare_rows(store, param, first, count, learns);
    let wanted = store.get(rows.param).shape.clone();
    match weights.info(name) {
        Some(info) if info.shape == wanted.as_slice() => Ok((base, rows)),
        _ => Err(refuse(text!(
            "The rows have not the model's width, {wanted:?}",
            "行宽与模型不符，应为 {wanted:?}"
        ))),
    }
}

/// The first of the ids that a folder lists for a layer, if `count` follow each other.
fn first_of(config: &Map<String, Json>, path: &str, count: usize) -> Option<usize> {
    let listed = config.get(INDICES)?;
    let ids = match listed {
        Json::Object(layers) => {
            let of_path = |(word, _): &(&String, &Json)| path == *word || path.ends_with(&format!(".{word}"));
            layers.iter().find(of_path)?.1
        }
        list => list,
    };
    let ids: Vec<usize> =
        ids.as_array()?.iter().map(|id| usize::try_from(id.as_u64()?).ok()).collect::<Option<_>>()?;
    let first = *ids.first()?;
    let follow = ids.iter().enumerate().all(|(at, id)| first.checked_add(at) == Some(*id));
    (follow && ids.len() == count).then_some(first)
}

/// The tensors of an adapter folder, in the order of their names.
fn written(dir: &Path) -> Result<Vec<(String, Param)>> {
    let weights = peft::open_weights(dir)?;
    let mut names: Vec<&str> = weights.names().collect();
    names.sort_unstable();
    let read = |name: &str| {
        let shape = weights.info(name).map(|info| info.shape.to_vec()).unwrap_or_default();
        let mut param = Param::new(name, &shape, Decay::No);
        param.value = peft::read_value(&weights, name, &shape, &Device::flex())?;
        Ok((name.to_owned(), param))
    };
    names.into_iter().map(read).collect()
}

impl Extended {
    /// PEFT reads a copy of a tied embedding under the head's name, too.
    fn save_tied_head(&self, dir: &Path) -> Result<()> {
        let Some((embedding, head)) = &self.tied else { return Ok(()) };
        let Some(copy) = self.replacement(*embedding) else { return Ok(()) };
        let embedding = format!("{}{}", peft::PREFIX, self.params().get(copy).name);
        let mut tensors = written(dir)?;
        if let Some((_, copy)) = tensors.iter().find(|(name, _)| *name == embedding).cloned() {
            tensors.push((format!("{}{head}.weight", peft::PREFIX), copy));
        }
        let file = dir.join(peft::WEIGHTS);
        std::fs::remove_file(&file)
            .map_err(|err| UserError::io(Text::fixed("write the adapter", "写入适配器"), &file, &err))?;
        let tensors: Vec<(String, &Param)> =
            tensors.iter().map(|(name, param)| (name.clone(), param)).collect();
        write_params(dir, peft::WEIGHTS.trim_end_matches(".safetensors"), &tensors)
    }

    fn value(&self, id: ParamId) -> &Value {
        &self.inner.params().get(id).value
    }
}

impl AdapterView for Extended {
    fn params(&self) -> &ParamStore {
        self.inner.params()
    }

    fn site(&self, site: SiteId) -> Option<&dyn SiteAdapter> {
        self.inner.site(site)
    }

    fn replacement(&self, base: ParamId) -> Option<ParamId> {
        self.declared.whole.get(&base).copied().or_else(|| self.inner.replacement(base))
    }

    fn block(&self, layer: usize) -> Option<&dyn BlockAdapter> {
        self.inner.block(layer)
    }

    fn prefix(&self) -> Option<&dyn PrefixAdapter> {
        self.inner.prefix()
    }

    fn prompt(&self) -> Option<&dyn PromptAdapter> {
        self.inner.prompt()
    }

    fn rows(&self, base: ParamId) -> Option<NewRows> {
        self.declared.rows.get(&base).copied().filter(|_| base.space == Space::Base)
    }
}

impl Adapter for Extended {
    fn params_mut(&mut self) -> &mut ParamStore {
        self.inner.params_mut()
    }

    fn apart(&self) -> Box<dyn Adapter> {
        Box::new(Self {
            inner: self.inner.apart(),
            declared: self.declared.clone(),
            growth: self.growth.clone(),
            tied: self.tied.clone(),
        })
    }

    fn view(&self) -> &dyn AdapterView {
        self
    }

    fn copy_from(&mut self, other: &dyn Adapter) -> Result<()> {
        self.inner.copy_from(other)
    }

    fn not_mergeable(&self) -> Option<&Text> {
        self.inner.not_mergeable()
    }

    fn save(&self, dir: &Path, base: &str) -> Result<()> {
        self.inner.save(dir, base)?;
        let mut config = peft::read_config(dir)?;
        tell(&mut config, &self.declared, self.params(), self.tied.is_some());
        AtomicFile::write(&dir.join(peft::CONFIG), &peft::config_json(&config))?;
        self.save_tied_head(dir)?;
        let files = self.growth.iter().flat_map(|growth| growth.extension.files());
        for (name, content) in files {
            AtomicFile::write(&dir.join(name), &content)?;
        }
        Ok(())
    }

    fn merged(&self, base: ParamId, value: &Value) -> Option<Value> {
        let own = match (self.declared.whole.get(&base), self.declared.rows.get(&base)) {
            (Some(copy), _) => Some(self.value(*copy).clone()),
            (None, Some(rows)) => value.matrix().zip(self.value(rows.param).matrix()).map(|(matrix, new)| {
                let new = new.to_device(&matrix.device());
                Value::Matrix(put_rows(matrix, 0, rows.first, new))
            }),
            (None, None) => None,
        };
        self.inner.merged(base, own.as_ref().unwrap_or(value)).or(own)
    }
}
