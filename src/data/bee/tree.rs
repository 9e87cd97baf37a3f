//! How the segments of a dict lie to each other.

/// Steps up or down the tree beyond this many count as this many less one.
const MAX_DEPTH: u32 = 8;

/// The segments of a row in depth-first order; the first is the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentTree {
    nodes: Vec<Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    /// The root is its own.
    parent: u32,
    depth: u32,
}

impl SegmentTree {
    /// Relations are numbers below this.
    pub const RELATIONS: usize = (MAX_DEPTH * MAX_DEPTH) as usize + 1;

    pub fn root() -> Self {
        Self { nodes: vec![Node { parent: 0, depth: 0 }] }
    }

    /// Adds a segment below an earlier one; gives its number.
    pub(super) fn add(&mut self, parent: u32) -> u32 {
        // A segment comes with tokens, whose number is limited by memory.
        let number = self.nodes.len() as u32;
        let depth = self.depth(parent) + 1;
        self.nodes.push(Node { parent, depth });
        number
    }

    /// Number of segments.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Steps to the root.
    pub fn depth(&self, segment: u32) -> u32 {
        self.node(segment).depth
    }

    fn node(&self, segment: u32) -> Node {
        self.nodes.get(segment as usize).copied().unwrap_or(Node { parent: 0, depth: 0 })
    }

    /// 0 for a segment and itself; else 1 + 8·(steps up from `from`) + (steps down to `to`), by way of
    /// their lowest common ancestor, steps being cut at 7. (1 alone means "of another row" and is not given.)
    pub fn relation(&self, from: u32, to: u32) -> u32 {
        let (mut a, mut b) = (from, to);
        let (mut up, mut down) = (0u32, 0u32);
        while a != b {
            let (left, right) = (self.node(a), self.node(b));
            if left.depth >= right.depth {
                (a, up) = (left.parent, up + 1);
            }
            if right.depth >= left.depth {
                (b, down) = (right.parent, down + 1);
            }
        }
        match up.min(MAX_DEPTH - 1) * MAX_DEPTH + down.min(MAX_DEPTH - 1) {
            0 => 0,
            steps => steps + 1,
        }
    }

    /// All relations, `[from, to]` row-major.
    pub fn relations(&self) -> Vec<u32> {
        let segments = || 0..self.nodes.len() as u32;
        segments().flat_map(|from| segments().map(move |to| self.relation(from, to))).collect()
    }
}
