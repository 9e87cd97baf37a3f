//! Several adapters at work together on one model, each with a factor on what it changes: tasks added up, and with a
//! negative factor taken away again (Ilharco et al. 2023, arXiv:2212.04089).

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{FloatDType, Tensor};
use protocol::{Result, Text, UserError};

use super::Adapter;
use crate::models::Model;
use crate::nn::{
    AdapterView, BlockAdapter, NewRows, Param, ParamId, ParamStore, Pass, Prefix, PrefixAdapter,
    PromptAdapter, SiteAdapter, SiteId, SiteInput, Space, Value,
};

/// An adapter and the factor on what it changes.
#[derive(Clone)]
pub struct Member {
    pub adapter: Arc<dyn Adapter>,
    pub weight: f64,
}

impl Member {
    /// The pass as this adapter's own parts know it.
    fn pass<'a>(&'a self, pass: &Pass<'a>) -> Pass<'a> {
        Pass { adapter: Some(self.adapter.view()), ..*pass }
    }

    /// The base parameter with this adapter merged in at its weight, from its f32 value; None where it changes nothing.
    pub fn merged(&self, base: ParamId, value: &Value) -> Option<Value> {
        let merged = self.adapter.merged(base, value)?;
        Some(blend(value.clone(), merged, self.weight))
    }
}

/// from + weight · (to − from).
fn blend(from: Value, to: Value, weight: f64) -> Value {
    match (from, to) {
        (_, to) if weight == 1.0 => to,
        (Value::Matrix(from), Value::Matrix(to)) => Value::Matrix(mixed(from, to, weight)),
        (Value::Vector(from), Value::Vector(to)) => Value::Vector(mixed(from, to, weight)),
        (from, _) => from,
    }
}

fn mixed<const D: usize>(from: Tensor<D>, to: Tensor<D>, weight: f64) -> Tensor<D> {
    if weight == 1.0 {
        return to;
    }
    from.clone() + (to - from).mul_scalar(weight)
}

/// Adapters that act together.
pub struct Stack {
    members: Vec<Member>,
    sites: BTreeMap<SiteId, Layered<SiteId>>,
    blocks: BTreeMap<usize, Layered<usize>>,
    /// Base parameters that members replace, blended.
    params: ParamStore,
    replacements: BTreeMap<ParamId, ParamId>,
    /// Rows for new tokens, blended.
    rows: BTreeMap<ParamId, NewRows>,
}

/// The parts of all members at one place.
struct Layered<Place> {
    place: Place,
    members: Vec<Member>,
}

impl Stack {
    /// # Errors
    /// When a prefix or prompt gets another factor than 1, which has no meaning there.
    pub fn new(model: &Model, members: Vec<Member>) -> Result<Self> {
        if members
            .iter()
            .any(|it| it.weight != 1.0 && (it.adapter.prefix().is_some() || it.adapter.prompt().is_some()))
        {
            return Err(UserError::bad_input(Text::fixed(
                "A prefix or prompt stands in front of the text or does not: it cannot be weighed",
                "前缀或提示只有使用与不使用之分，无法加权",
            ))
            .at_item("--weights")
            .mend(Text::fixed("give it the weight 1", "请将其权重设为 1")));
        }
        let with =
            |has: &dyn Fn(&Member) -> bool| members.iter().filter(|it| has(it)).cloned().collect::<Vec<_>>();
        let sites = model.sites.iter().map(|site| {
            let members = with(&|member| member.adapter.site(site.id).is_some());
            (site.id, Layered { place: site.id, members })
        });
        let blocks = (0..model.info.num_layers).map(|layer| {
            let members = with(&|member| member.adapter.block(layer).is_some());
            (layer, Layered { place: layer, members })
        });
        let mut stack = Self {
            sites: sites.filter(|(_, layered)| !layered.members.is_empty()).collect(),
            blocks: blocks.filter(|(_, layered)| !layered.members.is_empty()).collect(),
            params: ParamStore::new(Space::Adapter),
            replacements: BTreeMap::new(),
            rows: BTreeMap::new(),
            members,
        };
        stack.blend_replacements(model);
        stack.blend_rows(model)?;
        Ok(stack)
    }

    /// Rows of several members differ from the base's by the sum of what each changes.
    fn blend_rows(&mut self, model: &Model) -> Result<()> {
        for (id, param) in model.params.iter() {
            let with_rows = |it: &Member| Some((it.adapter.rows(id)?, it.clone()));
            let all: Vec<(NewRows, Member)> = self.members.iter().filter_map(with_rows).collect();
            let (Some((place, _)), Value::Matrix(matrix)) = (all.first(), &param.value) else { continue };
            let (first, count) = (place.first, place.count);
            if all.iter().any(|(rows, _)| (rows.first, rows.count) != (first, count)) {
                return Err(different_tokens());
            }
            let base = Value::Matrix(matrix.clone().narrow(0, first, count).cast(FloatDType::F32));
            let copy = |(rows, it): &(NewRows, Member)| {
                (it.adapter.params().get(rows.param).value.clone(), it.weight)
            };
            let value = match all.as_slice() {
                [only] => {
                    let (rows, weight) = copy(only);
                    blend(base, rows, weight)
                }
                _ => {
                    let sum = |sum, (rows, weight)| plus_difference(sum, &base, rows, weight);
                    all.iter().map(copy).fold(base.clone(), sum)
                }
            };
            let mut blended =
                Param::new(format!("{}.rows", param.name), &[count, param.shape[1]], param.decay);
            blended.value = value;
            let rows = NewRows { param: self.params.declare(blended), first, count };
            self.rows.insert(id, rows);
        }
        Ok(())
    }

    /// What several members replace differs from the base by the sum of what each changes.
    fn blend_replacements(&mut self, model: &Model) {
        for (id, param) in model.params.iter() {
            let copies: Vec<(Value, f64)> = self
                .members
                .iter()
                .filter_map(|it| {
                    let copy = it.adapter.replacement(id)?;
                    Some((it.adapter.params().get(copy).value.clone(), it.weight))
                })
                .collect();
            if copies.is_empty() {
                continue;
            }
            let base = param.value.clone().cast(FloatDType::F32);
            let sum = |sum: Value, (copy, weight): (Value, f64)| plus_difference(sum, &base, copy, weight);
            let value = match copies.as_slice() {
                [(only, weight)] => blend(base.clone(), only.clone(), *weight),
                _ => copies.into_iter().fold(base.clone(), sum),
            };
            let mut blended = Param::new(param.name.clone(), &param.shape, param.decay);
            blended.value = value;
            let copy = self.params.declare(blended);
            self.replacements.insert(id, copy);
        }
    }
}

/// sum + weight · (copy − base).
fn plus_difference(sum: Value, base: &Value, copy: Value, weight: f64) -> Value {
    match (sum, base.clone(), copy) {
        (Value::Matrix(sum), Value::Matrix(base), Value::Matrix(copy)) => {
            Value::Matrix(sum + (copy - base).mul_scalar(weight))
        }
        (Value::Vector(sum), Value::Vector(base), Value::Vector(copy)) => {
            Value::Vector(sum + (copy - base).mul_scalar(weight))
        }
        (sum, _, _) => sum,
    }
}

impl SiteAdapter for Layered<SiteId> {
    fn input(&self, pass: &Pass<'_>, x: Tensor<3>) -> Tensor<3> {
        self.members.iter().fold(x, |x, member| match member.adapter.site(self.place) {
            Some(part) => mixed(x.clone(), part.input(&member.pass(pass), x), member.weight),
            None => x,
        })
    }

    fn apply(&self, pass: &Pass<'_>, input: SiteInput<'_>, base: Tensor<3>) -> Tensor<3> {
        self.members.iter().fold(base, |y, member| match member.adapter.site(self.place) {
            Some(part) => mixed(y.clone(), part.apply(&member.pass(pass), input, y), member.weight),
            None => y,
        })
    }

    fn weight(&self, pass: &Pass<'_>, weight: Tensor<2>) -> Tensor<2> {
        self.members.iter().fold(weight, |matrix, member| match member.adapter.site(self.place) {
            Some(part) => mixed(matrix.clone(), part.weight(&member.pass(pass), matrix), member.weight),
            None => matrix,
        })
    }
}

impl BlockAdapter for Layered<usize> {
    fn mlp(&self, pass: &Pass<'_>, input: &Tensor<3>, output: Tensor<3>) -> Tensor<3> {
        self.members.iter().fold(output, |y, member| match member.adapter.block(self.place) {
            Some(part) => mixed(y.clone(), part.mlp(&member.pass(pass), input, y), member.weight),
            None => y,
        })
    }

    fn output(&self, pass: &Pass<'_>, output: Tensor<3>) -> Tensor<3> {
        self.members.iter().fold(output, |y, member| match member.adapter.block(self.place) {
            Some(part) => mixed(y.clone(), part.output(&member.pass(pass), y), member.weight),
            None => y,
        })
    }
}

impl PrefixAdapter for Stack {
    fn tokens(&self) -> usize {
        self.members.iter().filter_map(|it| it.adapter.prefix()).map(PrefixAdapter::tokens).sum()
    }

    /// One behind the other.
    fn states(&self, pass: &Pass<'_>) -> Prefix {
        let states = |member: &Member| Some(member.adapter.prefix()?.states(&member.pass(pass)));
        let joined = |front: Prefix, behind: Prefix| {
            let pairs = front.into_iter().zip(behind);
            pairs.map(|(front, behind)| front.joined(behind)).collect()
        };
        self.members.iter().filter_map(states).reduce(joined).unwrap_or_default()
    }
}

impl PromptAdapter for Stack {
    fn tokens(&self) -> usize {
        self.members.iter().filter_map(|it| it.adapter.prompt()).map(PromptAdapter::tokens).sum()
    }

    fn states(&self, pass: &Pass<'_>) -> Tensor<2> {
        let states = |member: &Member| Some(member.adapter.prompt()?.states(&member.pass(pass)));
        Tensor::cat(self.members.iter().filter_map(states).collect(), 0)
    }
}

impl AdapterView for Stack {
    fn params(&self) -> &ParamStore {
        &self.params
    }

    fn site(&self, site: SiteId) -> Option<&dyn SiteAdapter> {
        self.sites.get(&site).map(|layered| layered as &dyn SiteAdapter)
    }

    fn replacement(&self, base: ParamId) -> Option<ParamId> {
        self.replacements.get(&base).copied()
    }

    fn rows(&self, base: ParamId) -> Option<NewRows> {
        self.rows.get(&base).copied()
    }

    fn block(&self, layer: usize) -> Option<&dyn BlockAdapter> {
        self.blocks.get(&layer).map(|layered| layered as &dyn BlockAdapter)
    }

    fn prefix(&self) -> Option<&dyn PrefixAdapter> {
        self.members.iter().any(|it| it.adapter.prefix().is_some()).then_some(self)
    }

    fn prompt(&self) -> Option<&dyn PromptAdapter> {
        self.members.iter().any(|it| it.adapter.prompt().is_some()).then_some(self)
    }
}

fn different_tokens() -> UserError {
    UserError::bad_input(Text::fixed(
        "The adapters train different tokens and cannot act together",
        "这些适配器训练的词元不同，不能一起使用",
    ))
    .at_item("--adapter")
    .mend(Text::fixed("use one of them", "请只用其中一个"))
}

/// What merging into a loaded model changed: the values from before, to be put back as they were.
pub struct Merged {
    before: Vec<(ParamId, Value)>,
}

impl Merged {
    /// Works adapters into the model's own matrices, one after the other.
    ///
    /// # Errors
    /// When one of them cannot be merged; nothing is changed then.
    pub fn into(model: &mut Model, members: &[Member]) -> Result<Self> {
        if let Some(why) = members.iter().find_map(|it| it.adapter.not_mergeable()) {
            return Err(not_mergeable(why));
        }
        let mut before = Vec::new();
        let ids: Vec<ParamId> = model.params.iter().map(|(id, _)| id).collect();
        let dtype = crate::nn::float_dtype(model.dtype);
        for id in ids {
            let kept = model.params.get(id).value.clone();
            let mut now: Option<Value> = None;
            for member in members {
                let start = now.clone().unwrap_or_else(|| kept.clone().cast(FloatDType::F32));
                now = member.merged(id, &start).or(now);
            }
            if let Some(now) = now {
                model.params.get_mut(id).value = now.cast(dtype);
                before.push((id, kept));
            }
        }
        Ok(Self { before })
    }

    /// Puts the model back as it was, bit for bit.
    pub fn undo(self, model: &mut Model) {
        for (id, value) in self.before {
            model.params.get_mut(id).value = value;
        }
    }
}

/// The refusal of a merge.
pub fn not_mergeable(why: &Text) -> UserError {
    let (en, zh) = (&why.en, &why.zh);
    UserError::bad_input(Text::new(
        format!("This adapter cannot be merged: {en}"),
        format!("该适配器无法合并：{zh}"),
    ))
    .mend(Text::fixed(
        "keep it as an adapter, and load it beside the model",
        "请保留为适配器，与模型一起加载",
    ))
}
