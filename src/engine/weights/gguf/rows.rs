//! Orders of rows: llama.cpp stores some matrices with their rows in another order than Hugging Face.

/// How the rows of a matrix (or the elements of its bias) are ordered in GGUF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowOrder {
    Same,
    /// Per head, pairs that are rotated together lie side by side; in Hugging Face they are half a head apart.
    Rotary {
        heads: usize,
    },
    /// All queries, all keys, all values; in Hugging Face query, key and value of each head lie together.
    ByPart {
        heads: usize,
    },
    /// All queries, all keys, all values; in Hugging Face each group has its queries, one key and one value.
    ByGroup {
        groups: usize,
        queries: usize,
    },
}

impl RowOrder {
    /// Whether a matrix of so many rows can be ordered so.
    pub fn fits(self, rows: usize) -> bool {
        let unit = match self {
            Self::Same => return true,
            Self::Rotary { heads } => heads.checked_mul(2),
            Self::ByPart { heads } => heads.checked_mul(3),
            Self::ByGroup { groups, queries } => queries.checked_add(2).and_then(|n| n.checked_mul(groups)),
        };
        unit.is_some_and(|unit| unit > 0 && rows.is_multiple_of(unit))
    }

    /// The row of the Hugging Face matrix that is row `row` of the GGUF one. `rows` fits.
    pub fn source(self, row: usize, rows: usize) -> usize {
        match self {
            Self::Same => row,
            Self::Rotary { heads } => {
                let head = rows / heads;
                let (index, within) = (row / head, row % head);
                index * head + within % 2 * (head / 2) + within / 2
            }
            Self::ByPart { heads } => {
                let width = rows / (3 * heads);
                let (part, head, within) = (row / (heads * width), row / width % heads, row % width);
                (head * 3 + part) * width + within
            }
            Self::ByGroup { groups, queries } => {
                let width = rows / (groups * (queries + 2));
                let (block, within) = (row / width, row % width);
                let (group, member) = match block.checked_sub(groups * queries) {
                    None => (block / queries, block % queries),
                    Some(rest) => (rest % groups, queries + rest / groups),
                };
                (group * (queries + 2) + member) * width + within
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(order: RowOrder, rows: usize) -> Vec<usize> {
        assert!(order.fits(rows));
        (0..rows).map(|row| order.source(row, rows)).collect()
    }

    #[test]
    fn orders_are_those_of_the_converter() {
        // reshape(2, 2, 2).swapaxes(1, 2), the shape of two heads of four.
        assert_eq!(order(RowOrder::Rotary { heads: 2 }, 8), [0, 2, 1, 3, 4, 6, 5, 7]);
        // Two heads of width one: q0 k0 v0 q1 k1 v1 becomes q0 q1 k0 k1 v0 v1.
        assert_eq!(order(RowOrder::ByPart { heads: 2 }, 6), [0, 3, 1, 4, 2, 5]);
        // Two groups of two queries: q q k v q q k v.
        let grouped = RowOrder::ByGroup { groups: 2, queries: 2 };
        assert_eq!(order(grouped, 8), [0, 1, 4, 5, 2, 6, 3, 7]);
    }

    #[test]
    fn every_order_is_one_to_one() {
        for (kind, rows) in [
            (RowOrder::Rotary { heads: 3 }, 24),
            (RowOrder::ByPart { heads: 5 }, 60),
            (RowOrder::ByGroup { groups: 3, queries: 4 }, 90),
        ] {
            let mut all = order(kind, rows);
            all.sort_unstable();
            assert!(all.into_iter().eq(0..rows));
        }
    }

    #[test]
    fn sizes_that_do_not_fit_are_seen() {
        assert!(!RowOrder::Rotary { heads: 3 }.fits(8));
        assert!(!RowOrder::Rotary { heads: 0 }.fits(8));
        assert!(!RowOrder::ByGroup { groups: 1, queries: usize::MAX }.fits(8));
    }
}
