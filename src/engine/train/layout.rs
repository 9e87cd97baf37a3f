//! Where a step keeps what it does not work on at the moment, and in which pieces it works: what a planner chooses.

use super::head::CHUNK_BYTES;

/// The side of memory on which something waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    #[default]
    Device,
    Host,
}

/// Choices that change a step's memory and time, and at most the rounding of its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// How many of the last blocks keep their graph from the forward pass; the others are computed twice.
    pub kept_graphs: usize,
    /// Where the inputs of those others wait for the backward pass.
    pub inputs: Place,
    /// How many of the first blocks leave their frozen matrices with the checkpoint.
    pub streamed: usize,
    /// Where the optimizer's states lie between two updates.
    pub optimizer: Place,
    /// Bytes that the f32 logits of one chunk of rows may have.
    pub head_chunk: usize,
    /// How many pieces a micro-batch is cut into, at least 1. The loss is one over all of them.
    pub pieces: usize,
}

impl Layout {
    /// Everything on the device and in one piece.
    pub fn keeping(kept_graphs: usize) -> Self {
        Self {
            kept_graphs,
            inputs: Place::Device,
            streamed: 0,
            optimizer: Place::Device,
            head_chunk: CHUNK_BYTES,
            pieces: 1,
        }
    }
}
