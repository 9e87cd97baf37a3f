//! The matrices of a checkpoint as a tree: layers that are alike folded into one, each layer below it.
//!
//! `model.layers.0–23` has first the modules that its layers share (a row there stands for all layers), then each layer.

mod build;
mod view;

pub use view::{ROW, TreeView, cell, cell_centred, header, row_name, search_field};

/// Index into [`ModuleTree::nodes`].
pub type NodeId = usize;

/// Built once for a model; rows are drawn from it.
#[derive(Clone, Debug, Default)]
pub struct ModuleTree {
    pub nodes: Vec<Node>,
    pub roots: Vec<NodeId>,
}

#[derive(Clone, Debug)]
pub struct Node {
    /// What the row shows: `self_attn`.
    pub label: String,
    /// Unique in the tree: a module path, with `*` for the number of the layer where several are meant.
    pub path: String,
    pub kind: NodeKind,
    /// Indices into the model's list of matrices.
    pub members: Vec<u32>,
    pub children: Vec<NodeId>,
    /// Of all members.
    pub parameters: u64,
    /// Unfolded until somebody folds it.
    pub open: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// Layers that are alike.
    Layers,
    /// Below [`NodeKind::Layers`]: the layers one by one.
    EachLayer,
    Layer,
    Module,
    /// A matrix, or the same one in several layers.
    Matrix,
}

impl Node {
    /// How many layers a row stands for where its members are the same matrix in each.
    pub fn is_matrix(&self) -> bool {
        self.kind == NodeKind::Matrix
    }
}
