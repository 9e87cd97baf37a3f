//! Block-wise backward pass.
//!
//! Forward without a graph, keeping each block's input; then, from the last block to the first, the
//! block's graph is rebuilt from its input, the vector-Jacobian product with the incoming gradient is
//! taken, and the graph dies. Memory is that of one block; where there is room,
//! the last blocks keep their graph from the forward pass and need no second one. Only the block at work needs its
//! weights, which may be elsewhere in between ([`Model::block`]).

use std::cell::RefCell;

use burn::tensor::{Int, Tensor, TensorData};
use data::Batch;
use protocol::{Control, Result};

use super::clock::Clock;
use super::head::{Head, Labels};
use super::layout::{self, Layout};
use crate::models::{Model, PassOptions, Rows};
use crate::nn::{
    AdapterView, DropoutKey, Gradients, KeysValues, Positions, Prefix, Tape, backward_prefix, on, ops,
};

/// One micro-batch's way through the model.
pub struct Backward<'a> {
    pub model: &'a Model,
    pub adapter: Option<&'a dyn AdapterView>,
    pub dropout: Option<DropoutKey>,
    /// Where things lie between their uses.
    pub layout: Layout,
    pub control: &'a Control,
    pub clock: &'a Clock,
}

/// A block between its two passes.
#[expect(clippy::large_enum_variant, reason = "there are only as many as the model has blocks")]
enum Saved {
    Input(Tensor<3>),
    /// An input that waits on the host.
    Moved(TensorData),
    Graph(Graph),
}

/// A block's forward pass, recorded.
struct Graph {
    input: Tensor<3>,
    /// The block's keys and values of the adapter, as leaves.
    prefix: Option<KeysValues>,
    output: Tensor<3>,
    tape: Tape,
}

/// What stands in front of every row, recorded: its graph is one for all blocks.
struct Front {
    made: Prefix,
    tape: Tape,
    /// The same outside of it, for the blocks.
    plain: Prefix,
    /// One a block, as far as the backward pass has come.
    gradients: RefCell<Vec<Option<KeysValues>>>,
}

/// Where the tokens stand, and what stands in front of them.
struct Place {
    positions: Positions,
    front: Front,
}

impl Front {
    fn record(backward: &Backward<'_>, positions: &Positions) -> Self {
        let tape = Tape::default();
        let made = backward.model.prefix(positions, backward.options(Some(&tape)));
        let place = |(layer, front): (usize, &KeysValues)| front.inner().on(backward.model.device_of(layer));
        let plain: Prefix = made.iter().enumerate().map(place).collect();
        let gradients = RefCell::new(plain.iter().map(|_| None).collect());
        Self { made, tape, plain, gradients }
    }

    /// The prefix with that of block `index` as leaves, and these.
    fn leaves(&self, index: usize) -> (Prefix, Option<KeysValues>) {
        let mut prefix = self.plain.clone();
        let leaves = prefix.get(index).map(KeysValues::leaves);
        if let (Some(place), Some(leaves)) = (prefix.get_mut(index), &leaves) {
            *place = leaves.clone();
        }
        (prefix, leaves)
    }

    fn keep(&self, index: usize, gradient: Option<KeysValues>) {
        let home = self.made.get(index).map(|made| made.keys.device());
        if let (Some(place), Some(home)) = (self.gradients.borrow_mut().get_mut(index), home) {
            *place = gradient.map(|gradient| gradient.on(&home));
        }
    }

    fn backward(self, gradients: &mut Gradients) {
        if let Some(mut all) = backward_prefix(&self.made, self.gradients.into_inner()) {
            self.tape.collect(&mut all, gradients);
        }
    }
}

impl Backward<'_> {
    /// Adds to `gradients` those of the micro-batch's summed loss times `weight` (1 / labelled tokens
    /// of the whole step). Returns the summed loss `[1]`, still on the device; None if the user stopped.
    ///
    /// # Errors
    /// When an id or a position lies outside the model, or the device fails.
    pub fn run(&self, batch: &Batch, weight: f32, gradients: &mut Gradients) -> Result<Option<Tensor<1>>> {
        self.clock.start();
        let ids = self.model.ids(&batch.ids, batch.rows)?;
        let labels = Labels::of(batch, self.model, self.model.lead(self.adapter));
        let positions = self.model.positions(&Rows::of_batch(batch), self.adapter)?;
        let place = Place { front: Front::record(self, &positions), positions };
        let embedding = Tape::default();
        let embedded = self.embed(&place, &embedding, ids);
        let embedding_learns = embedded.is_tracked();
        let Some((saved, last)) = self.forward(&place, embedded.clone().inner(), embedding_learns)? else {
            return Ok(None);
        };
        self.clock.lap(|phases| &mut phases.forward);
        let options = self.options(None);
        let (loss, gradient) =
            Head { model: self.model, positions: &place.positions, options, chunk: self.layout.head_chunk }
                .backward(last, &labels, weight, gradients);
        self.clock.lap(|phases| &mut phases.head);
        let Some(gradient) = self.backward(&place, saved, gradient, embedding_learns, gradients) else {
            return Ok(None);
        };
        place.front.backward(gradients);
        if let (true, Some(gradient)) = (embedding_learns, gradient) {
            let mut all = ops::backward_from(embedded, gradient);
            embedding.collect(&mut all, gradients);
        }
        self.clock.lap(|phases| &mut phases.backward);
        Ok(Some(loss))
    }

    fn options<'t>(&'t self, tape: Option<&'t Tape>) -> PassOptions<'t> {
        PassOptions { adapter: self.adapter, dropout: self.dropout, tape, ..PassOptions::default() }
    }

    fn embed(&self, place: &Place, tape: &Tape, ids: Tensor<2, Int>) -> Tensor<3> {
        let options = PassOptions { dropout: None, ..self.options(Some(tape)) };
        self.model.decoder.embed(&self.model.pass(&place.positions, options), ids)
    }

    fn forward(
        &self,
        place: &Place,
        mut x: Tensor<3>,
        input_learns: bool,
    ) -> Result<Option<(Vec<Saved>, Tensor<3>)>> {
        let count = self.model.info.num_layers;
        let mut saved = Vec::with_capacity(count);
        for index in 0..count {
            if self.control.stop_wanted() {
                return Ok(None);
            }
            // Behind the last block comes the last one whose graph has to be made anew.
            let next = if index + 1 < count { Some(index + 1) } else { self.last_without_graph(count) };
            x = on(x, self.model.device_of(index));
            if index + self.layout.kept_graphs >= count {
                let graph = self.record(place, (index, next), x, input_learns || index > 0);
                x = graph.output.clone().inner();
                saved.push(Saved::Graph(graph));
                continue;
            }
            let options = PassOptions { prefix: Some(&place.front.plain), ..self.options(None) };
            let y = self.model.block(index, next, &self.model.pass(&place.positions, options), x.clone());
            saved.push(self.saved(x)?);
            x = y;
        }
        Ok(Some((saved, on(x, &self.model.device))))
    }

    fn last_without_graph(&self, count: usize) -> Option<usize> {
        count.checked_sub(self.layout.kept_graphs + 1)
    }

    fn saved(&self, input: Tensor<3>) -> Result<Saved> {
        Ok(match self.layout.inputs {
            layout::Place::Device => Saved::Input(input),
            layout::Place::Host => {
                Saved::Moved(input.try_into_data().map_err(|err| crate::device_failure(&err))?)
            }
        })
    }

    /// The forward pass of block `index` with a graph, before that of `next`.
    fn record(
        &self,
        place: &Place,
        (index, next): (usize, Option<usize>),
        input: Tensor<3>,
        input_learns: bool,
    ) -> Graph {
        let tape = Tape::default();
        let input = if input_learns { input.autodiff().require_grad() } else { input };
        let (all, prefix) = place.front.leaves(index);
        let options = PassOptions { prefix: Some(&all), ..self.options(Some(&tape)) };
        let pass = self.model.pass(&place.positions, options);
        let output = self.model.block(index, next, &pass, input.clone());
        Graph { input, prefix, output, tape }
    }

    /// The gradient for the embedding's output; the outer None means the user stopped.
    fn backward(
        &self,
        place: &Place,
        saved: Vec<Saved>,
        gradient: Tensor<3>,
        input_learns: bool,
        gradients: &mut Gradients,
    ) -> Option<Option<Tensor<3>>> {
        let mut gradient = Some(gradient);
        for (index, block) in saved.into_iter().enumerate().rev() {
            if self.control.stop_wanted() {
                return None;
            }
            let Some(outgoing) = gradient.take() else { break };
            let learns = input_learns || index > 0;
            let around = (index, index.checked_sub(1));
            let Graph { input, prefix, output, tape } = match block {
                Saved::Input(input) => self.record(place, around, input, learns),
                Saved::Moved(data) => {
                    let dtype = data.dtype();
                    let input = Tensor::from_data(data, (self.model.device_of(index), dtype));
                    self.record(place, around, input, learns)
                }
                Saved::Graph(graph) => graph,
            };
            if !output.is_tracked() {
                break;
            }
            let mut all = ops::backward_from(output, on(outgoing, self.model.device_of(index)));
            tape.collect(&mut all, gradients);
            place.front.keep(index, prefix.and_then(|leaves| leaves.gradients(&mut all)));
            gradient = if learns { input.grad_remove(&mut all) } else { None };
        }
        Some(gradient.map(|gradient| on(gradient, &self.model.device)))
    }
}
