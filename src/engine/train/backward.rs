//! Block-wise backward pass.
//!
//! Forward without a graph, keeping each block's input; then, from the last block to the first, the
//! block's graph is rebuilt from its input, the vector-Jacobian product with the incoming gradient is
//! taken, and the graph dies. Memory is that of one block; where there is room,
//! the last blocks keep their graph from the forward pass and need no second one.

use burn::tensor::{Int, Tensor};
use data::Batch;
use protocol::{Control, Result};

use super::clock::Clock;
use super::head::{self, Labels};
use crate::models::{Model, PassOptions, Rows};
use crate::nn::{AdapterView, DropoutKey, Gradients, Positions, Tape, ops};

/// One micro-batch's way through the model.
pub struct Backward<'a> {
    pub model: &'a Model,
    pub adapter: Option<&'a dyn AdapterView>,
    pub dropout: Option<DropoutKey>,
    /// How many of the last blocks keep their graph.
    pub kept_graphs: usize,
    pub control: &'a Control,
    pub clock: &'a Clock,
}

/// A block between its two passes.
#[expect(clippy::large_enum_variant, reason = "there are only as many as the model has blocks")]
enum Saved {
    Input(Tensor<3>),
    Graph(Graph),
}

/// A block's forward pass, recorded.
struct Graph {
    input: Tensor<3>,
    output: Tensor<3>,
    tape: Tape,
}

impl Backward<'_> {
    /// Adds to `gradients` those of the micro-batch's summed loss times `weight` (1 / labelled tokens
    /// of the whole step). Returns the summed loss `[1]`, still on the device; None if the user stopped.
    ///
    /// # Errors
    /// When an id or a position lies outside the model.
    pub fn run(&self, batch: &Batch, weight: f32, gradients: &mut Gradients) -> Result<Option<Tensor<1>>> {
        self.clock.start();
        let ids = self.model.ids(&batch.ids, batch.rows)?;
        let labels = Labels::of(batch, self.model);
        let positions = self.model.positions(&Rows::of_batch(batch))?;
        let embedding = Tape::default();
        let embedded = self.embed(&positions, &embedding, ids);
        let embedding_learns = embedded.is_tracked();
        let Some((saved, last)) = self.forward(&positions, embedded.clone().inner(), embedding_learns) else {
            return Ok(None);
        };
        self.clock.lap(|phases| &mut phases.forward);
        let options = PassOptions { adapter: self.adapter, dropout: self.dropout, ..PassOptions::default() };
        let (loss, gradient) =
            head::backward(self.model, &positions, options, last, &labels, weight, gradients);
        self.clock.lap(|phases| &mut phases.head);
        let Some(gradient) = self.backward(&positions, saved, gradient, embedding_learns, gradients) else {
            return Ok(None);
        };
        if let (true, Some(gradient)) = (embedding_learns, gradient) {
            let mut all = ops::backward_from(embedded, gradient);
            embedding.collect(&mut all, gradients);
        }
        self.clock.lap(|phases| &mut phases.backward);
        Ok(Some(loss))
    }

    fn embed(&self, positions: &Positions, tape: &Tape, ids: Tensor<2, Int>) -> Tensor<3> {
        let options = PassOptions { adapter: self.adapter, tape: Some(tape), ..PassOptions::default() };
        self.model.decoder.embed(&self.model.pass(positions, options), ids)
    }

    fn forward(
        &self,
        positions: &Positions,
        mut x: Tensor<3>,
        input_learns: bool,
    ) -> Option<(Vec<Saved>, Tensor<3>)> {
        let count = self.model.info.num_layers;
        let mut saved = Vec::with_capacity(count);
        for index in 0..count {
            if self.control.stop_wanted() {
                return None;
            }
            if index + self.kept_graphs >= count {
                let graph = self.record(positions, index, x, input_learns || index > 0);
                x = graph.output.clone().inner();
                saved.push(Saved::Graph(graph));
                continue;
            }
            let options =
                PassOptions { adapter: self.adapter, dropout: self.dropout, ..PassOptions::default() };
            let y = self.model.decoder.block(index, &self.model.pass(positions, options), x.clone());
            saved.push(Saved::Input(x));
            x = y;
        }
        Some((saved, x))
    }

    /// The block's forward pass with a graph.
    fn record(&self, positions: &Positions, index: usize, input: Tensor<3>, input_learns: bool) -> Graph {
        let tape = Tape::default();
        let input = if input_learns { input.autodiff().require_grad() } else { input };
        let options = PassOptions {
            adapter: self.adapter,
            dropout: self.dropout,
            tape: Some(&tape),
            ..PassOptions::default()
        };
        let output = self.model.decoder.block(index, &self.model.pass(positions, options), input.clone());
        Graph { input, output, tape }
    }

    /// The gradient for the embedding's output; the outer None means the user stopped.
    fn backward(
        &self,
        positions: &Positions,
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
            let Graph { input, output, tape } = match block {
                Saved::Input(input) => self.record(positions, index, input, learns),
                Saved::Graph(graph) => graph,
            };
            if !output.is_tracked() {
                break;
            }
            let mut all = ops::backward_from(output, outgoing);
            tape.collect(&mut all, gradients);
            gradient = if learns { input.grad_remove(&mut all) } else { None };
        }
        Some(gradient)
    }
}
