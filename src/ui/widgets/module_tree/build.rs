//! From the list of matrices to the tree.

use std::collections::HashMap;

use protocol::LinearReport;

use super::{ModuleTree, Node, NodeId, NodeKind};

/// Deeper paths are cut: the names come from files.
const DEEPEST: usize = 12;

/// A node with more children is folded at first.
const MOST_UNFOLDED: usize = 12;

/// One layer: where it stands and what it holds.
struct Layer<'a> {
    /// The path before the number: `model.layers`.
    stack: &'a str,
    number: u64,
    members: Vec<u32>,
}

/// The part of a path before the layer's number, and the part after it.
fn split(linear: &LinearReport) -> Option<(&str, &str)> {
    let number = linear.layer?.to_string();
    let mut start = 0;
    for segment in linear.path.split('.') {
        let end = start + segment.len();
        if segment == number && start > 0 {
            return Some((&linear.path[..start - 1], linear.path.get(end + 1..).unwrap_or("")));
        }
        start = end + 1;
    }
    None
}

impl ModuleTree {
    pub fn new(linears: &[LinearReport]) -> Self {
        let mut tree = Self::default();
        let (layers, before, after) = layers(linears);
        let add_outside = |tree: &mut Self, members: &[u32]| {
            for member in members {
                let path = linears[*member as usize].path.clone();
                let node = tree.add(linears, path.clone(), path, NodeKind::Matrix, vec![*member], Vec::new());
                tree.roots.push(node);
            }
        };
        add_outside(&mut tree, &before);
        for alike in alike(linears, &layers) {
            let node = tree.add_layers(linears, &alike);
            tree.unfold(node);
            tree.roots.push(node);
        }
        add_outside(&mut tree, &after);
        tree
    }

    fn add(
        &mut self,
        linears: &[LinearReport],
        label: String,
        path: String,
        kind: NodeKind,
        members: Vec<u32>,
        children: Vec<NodeId>,
    ) -> NodeId {
        let parameters = members.iter().map(|member| elements(&linears[*member as usize])).sum();
        self.nodes.push(Node { label, path, kind, members, children, parameters, open: false });
        self.nodes.len() - 1
    }

    /// The layers that are alike and their modules are seen at once; experts by the dozen are not.
    fn unfold(&mut self, id: NodeId) {
        let small = self.nodes[id].children.len() <= MOST_UNFOLDED;
        self.nodes[id].open = small && self.nodes[id].kind != NodeKind::EachLayer;
        if self.nodes[id].open {
            for child in self.nodes[id].children.clone() {
                self.unfold(child);
            }
        }
    }

    fn add_layers(&mut self, linears: &[LinearReport], layers: &[&Layer<'_>]) -> NodeId {
        let stack = layers[0].stack;
        if let [layer] = layers {
            let label = format!("{stack}.{}", layer.number);
            return self.add_layer(linears, layer, label);
        }
        let numbers: Vec<u64> = layers.iter().map(|layer| layer.number).collect();
        let named = format!("{stack}.{}", ranges(&numbers));
        let members: Vec<u32> = layers.iter().flat_map(|layer| layer.members.iter().copied()).collect();
        // The same matrix of each layer stands in the same place.
        let width = layers[0].members.len();
        let items = (0..width).map(|place| {
            let rest = split(&linears[layers[0].members[place] as usize]).map_or("", |(_, rest)| rest);
            (rest, layers.iter().filter_map(|layer| layer.members.get(place).copied()).collect())
        });
        let mut children = self.add_modules(linears, items.collect(), &named, 0);
        let each = layers.iter().map(|layer| self.add_layer(linears, layer, layer.number.to_string()));
        let each: Vec<NodeId> = each.collect();
        let path = format!("{named}.…");
        children.push(self.add(linears, String::new(), path, NodeKind::EachLayer, members.clone(), each));
        self.add(linears, named.clone(), named, NodeKind::Layers, members, children)
    }

    fn add_layer(&mut self, linears: &[LinearReport], layer: &Layer<'_>, label: String) -> NodeId {
        let path = format!("{}.{}", layer.stack, layer.number);
        let items = layer
            .members
            .iter()
            .map(|member| (split(&linears[*member as usize]).map_or("", |(_, rest)| rest), vec![*member]));
        let children = self.add_modules(linears, items.collect(), &path, 0);
        self.add(linears, label, path, NodeKind::Layer, layer.members.clone(), children)
    }

    /// Modules and matrices below `prefix`, in the model's order.
    fn add_modules(
        &mut self,
        linears: &[LinearReport],
        items: Vec<(&str, Vec<u32>)>,
        prefix: &str,
        depth: usize,
    ) -> Vec<NodeId> {
        let mut order: Vec<&str> = Vec::new();
        let mut groups: HashMap<&str, Vec<(&str, Vec<u32>)>> = HashMap::new();
        let mut leaves: HashMap<&str, Vec<u32>> = HashMap::new();
        for (rest, members) in items {
            let (head, tail) = match rest.split_once('.') {
                Some((head, tail)) if depth < DEEPEST => (head, Some(tail)),
                _ => (rest, None),
            };
            if !groups.contains_key(head) && !leaves.contains_key(head) {
                order.push(head);
            }
            match tail {
                Some(tail) => groups.entry(head).or_default().push((tail, members)),
                None => leaves.entry(head).or_default().extend(members),
            }
        }
        let mut nodes = Vec::new();
        for name in order {
            let path = format!("{prefix}.{name}");
            if let Some(members) = leaves.remove(name) {
                nodes.push(self.add(
                    linears,
                    name.to_owned(),
                    path.clone(),
                    NodeKind::Matrix,
                    members,
                    Vec::new(),
                ));
            }
            if let Some(items) = groups.remove(name) {
                let members = items.iter().flat_map(|(_, members)| members.iter().copied()).collect();
                let children = self.add_modules(linears, items, &path, depth + 1);
                nodes.push(self.add(linears, name.to_owned(), path, NodeKind::Module, members, children));
            }
        }
        nodes
    }
}

pub(super) fn elements(linear: &LinearReport) -> u64 {
    linear.shape[0].saturating_mul(linear.shape[1])
}

/// Layers in the order of their first matrix, and what lies outside them: before the first layer, and after.
fn layers(linears: &[LinearReport]) -> (Vec<Layer<'_>>, Vec<u32>, Vec<u32>) {
    let mut layers: Vec<Layer<'_>> = Vec::new();
    let mut places: HashMap<(&str, u64), usize> = HashMap::new();
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for (index, linear) in linears.iter().enumerate() {
        match (split(linear), linear.layer) {
            (Some((stack, _)), Some(number)) => {
                let place = *places.entry((stack, number)).or_insert_with(|| {
                    layers.push(Layer { stack, number, members: Vec::new() });
                    layers.len() - 1
                });
                layers[place].members.push(index as u32);
            }
            _ if layers.is_empty() => before.push(index as u32),
            _ => after.push(index as u32),
        }
    }
    (layers, before, after)
}

/// Layers of one stack whose matrices have the same names, shapes and roles, together.
fn alike<'l, 'a>(linears: &'a [LinearReport], layers: &'l [Layer<'a>]) -> Vec<Vec<&'l Layer<'a>>> {
    type Signature<'a> = (&'a str, Vec<(&'a str, [u64; 2], &'a str)>);
    let mut groups: Vec<Vec<&'l Layer<'a>>> = Vec::new();
    let mut places: HashMap<Signature<'a>, usize> = HashMap::new();
    for layer in layers {
        let held = layer.members.iter().map(|member| {
            let linear = &linears[*member as usize];
            (split(linear).map_or("", |(_, rest)| rest), linear.shape, linear.role.as_str())
        });
        let place = *places.entry((layer.stack, held.collect())).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[place].push(layer);
    }
    groups
}

/// `0–5, 7`
fn ranges(numbers: &[u64]) -> String {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    let mut parts: Vec<(u64, u64)> = Vec::new();
    for number in sorted {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => parts.push((number, number)),
        }
    }
    let text = |(first, last): &(u64, u64)| match first == last {
        true => first.to_string(),
        false => format!("{first}–{last}"),
    };
    let shown: Vec<String> = parts.iter().take(6).map(text).collect();
    let more = if parts.len() > 6 { ", …" } else { "" };
    shown.join(", ") + more
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linear(path: &str, role: &str, layer: Option<u64>) -> LinearReport {
        LinearReport { path: path.into(), shape: [4, 8], role: role.into(), layer, slices: Vec::new() }
    }

    #[test]
    fn layers_that_are_alike_are_folded_and_each_is_below() {
        let mut linears = vec![linear("model.embed_tokens", "embed", None)];
        for layer in 0..3 {
            for (name, role) in [("self_attn.q_proj", "q"), ("mlp.up_proj", "up")] {
                linears.push(linear(&format!("model.layers.{layer}.{name}"), role, Some(layer)));
            }
        }
        linears.push(linear("model.layers.3.self_attn.q_proj", "q", Some(3)));
        linears.push(linear("lm_head", "head", None));
        let tree = ModuleTree::new(&linears);
        let labels: Vec<_> = tree.roots.iter().map(|node| tree.nodes[*node].label.as_str()).collect();
        assert_eq!(labels, ["model.embed_tokens", "model.layers.0–2", "model.layers.3", "lm_head"]);
        let folded = &tree.nodes[tree.roots[1]];
        assert_eq!((folded.members.len(), folded.parameters), (6, 6 * 32));
        let kinds: Vec<_> = folded.children.iter().map(|node| tree.nodes[*node].kind).collect();
        assert_eq!(kinds, [NodeKind::Module, NodeKind::Module, NodeKind::EachLayer]);
        let attention = &tree.nodes[folded.children[0]];
        assert_eq!(tree.nodes[attention.children[0]].members, [1, 3, 5]);
        let each = &tree.nodes[folded.children[2]];
        assert_eq!(each.children.len(), 3);
    }

    #[test]
    fn odd_paths_do_no_harm() {
        let deep = format!("a.7.{}", vec!["x"; 5000].join("."));
        for path in ["7", "7.q", "a.7", "", "...", &deep] {
            let tree = ModuleTree::new(&[linear(path, "q", Some(7)), linear(path, "q", None)]);
            assert!(!tree.roots.is_empty(), "{path}");
        }
        assert_eq!(ranges(&[0, 1, 2, 5, 7, 8]), "0–2, 5, 7–8");
    }
}
