//! Pieces by their first bytes.

/// A trie whose nodes lie level by level, children side by side in the order of their bytes.
#[derive(Debug, Default)]
pub(super) struct Trie {
    nodes: Vec<Node>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    /// The byte that leads here.
    byte: u8,
    /// Its children are `first..first + count`.
    count: u16,
    first: u32,
    /// What ends here, `NONE` for nothing.
    value: u32,
}

const NONE: u32 = u32::MAX;

impl Trie {
    /// Keys are not empty and differ. A model's file has fewer bytes than there are nodes to count.
    pub fn new<'a>(keys: impl IntoIterator<Item = (&'a str, u32)>) -> Self {
        let mut keys: Vec<(&[u8], u32)> =
            keys.into_iter().map(|(key, value)| (key.as_bytes(), value)).collect();
        keys.sort_unstable();
        let mut nodes = vec![Node { byte: 0, count: 0, first: 0, value: NONE }];
        // Nodes whose children are to be made: the node, its keys, its depth.
        let mut open = std::collections::VecDeque::from([(0, 0..keys.len(), 0)]);
        while let Some((node, range, depth)) = open.pop_front() {
            nodes[node].first = nodes.len() as u32;
            let mut at = range.start;
            while at < range.end {
                let byte = keys[at].0[depth];
                let end = at + keys[at..range.end].partition_point(|(key, _)| key[depth] == byte);
                let ends_here = keys[at].0.len() == depth + 1;
                let value = if ends_here { keys[at].1 } else { NONE };
                let longer = at + usize::from(ends_here)..end;
                if !longer.is_empty() {
                    open.push_back((nodes.len(), longer, depth + 1));
                }
                nodes.push(Node { byte, count: 0, first: 0, value });
                nodes[node].count += 1;
                at = end;
            }
        }
        Self { nodes }
    }

    /// Values of all keys that the text begins with, the shortest first, each with its length in bytes.
    pub fn prefixes<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (usize, u32)> + 'a {
        let mut node = self.nodes.first();
        let steps = text.iter().enumerate().map_while(move |(at, byte)| {
            let parent = node.take()?;
            let children = self.nodes.get(parent.first as usize..)?.get(..usize::from(parent.count))?;
            let child = match children {
                [only] => (only.byte == *byte).then_some(only)?,
                _ => &children[children.binary_search_by_key(byte, |child| child.byte).ok()?],
            };
            node = Some(child);
            Some((at + 1, child.value))
        });
        steps.filter(|(_, value)| *value != NONE)
    }

    /// The longest key that the text begins with.
    pub fn longest(&self, text: &[u8]) -> Option<(usize, u32)> {
        self.prefixes(text).last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_found_in_order() {
        let trie = Trie::new([("a", 0), ("abc", 1), ("ab", 2), ("b", 3), ("▁x", 4), ("abd", 5)]);
        let found = |text: &str| trie.prefixes(text.as_bytes()).collect::<Vec<_>>();
        assert_eq!(found("abcd"), [(1, 0), (2, 2), (3, 1)]);
        assert_eq!(found("abe"), [(1, 0), (2, 2)]);
        assert_eq!(found("▁xy"), [(4, 4)]);
        assert_eq!(found("▁"), []);
        assert_eq!(trie.longest(b"abd"), Some((3, 5)));
        assert_eq!(Trie::new([]).longest(b"abd"), None);
    }
}
