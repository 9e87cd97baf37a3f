//! Probabilities of attention in place of its scores, and backwards the gradient of the scores in place of that of the
//! probabilities: neither copies in `f32` nor a mask in memory. The products before and behind stay matrix products.

use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor};

use super::super::{Causal, Scores, Starts, formula};
use super::{MOST, Own, Path, Scale, Work, cube, flat, pattern};

/// How scores `[batch, key heads, query heads of a group · queries, keys]` become probabilities.
#[derive(Clone, Debug)]
pub struct Sight {
    pub heads: usize,
    pub queries: usize,
    pub keys: usize,
    pub rule: Scores,
    /// Keys before the first query.
    pub before: usize,
    pub window: Option<usize>,
    /// One for each query head.
    pub slopes: Option<Arc<[f32]>>,
    /// Keys in front of all texts, and the first key of each query's text.
    pub starts: Option<(usize, Arc<[u32]>)>,
}

impl Sight {
    /// The mask that says the same: its query `i` sees keys up to `i + before`.
    pub fn causal(&self) -> Causal {
        let starts = self.starts.as_ref();
        let starts = starts.map(|(front, first)| Starts {
            front: *front,
            queries: self.queries,
            first: first.clone(),
        });
        Causal { offset: self.before, window: self.window, slopes: self.slopes.clone(), starts }
    }
}

/// Whether the kernel, where it serves, can make the probabilities of these scores: it counts in 32 bits.
pub fn fits(scores: &Tensor<4>, sight: &Sight) -> bool {
    let elements: usize = scores.dims().iter().product();
    let small = sight.before < MOST && sight.window.is_none_or(|window| window < MOST);
    elements > 0 && elements <= MOST && small
}

/// The probabilities, in the scores' element type, of scores that [`fits`] has accepted. They take the scores' memory if
/// nobody else holds it.
pub fn probabilities(scores: Tensor<4>, sight: Sight) -> Tensor<4> {
    cube::probabilities(scores, sight)
}

/// Probabilities and the scores' gradient, from scores that [`fits`] has accepted and the gradient of the probabilities.
/// Both take the memory of what they are made from.
pub fn score_gradients(scores: Tensor<4>, gradient: Tensor<4>, sight: Sight) -> [Tensor<4>; 2] {
    cube::score_gradients(scores, gradient, sight)
}

pub struct Softmax;

pub const KERNEL: Softmax = Softmax;

impl Own for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn work(&self, scale: Scale, device: &Device, dtype: DType) -> Work {
        let cases: Vec<_> = cases(scale).into_iter().map(|case| Input::new(case, device, dtype)).collect();
        Box::new(move |path| cases.iter().flat_map(|case| case.results(path, scale)).collect())
    }
}

/// Batch, key heads, and what the scores are seen by.
type Case = (usize, usize, Sight);

fn cases(scale: Scale) -> Vec<Case> {
    let plain = |heads, queries, keys| Sight {
        heads,
        queries,
        keys,
        rule: Scores::scaled(0.25),
        before: keys - queries,
        window: None,
        slopes: None,
        starts: None,
    };
    if scale == Scale::Real {
        return vec![(1, 8, plain(32, 2048, 2048))];
    }
    // Texts of seven behind two keys, in two rows.
    let first: Arc<[u32]> = (0..2 * 48).map(|at| (at % 48 / 7 * 7 + 2) as u32).collect();
    let texts = Sight { before: 2, starts: Some((2, first)), ..plain(2, 48, 50) };
    let slopes: Arc<[f32]> = Arc::new([0.5, 0.25, 0.125, 0.0625]);
    let capped = Scores { scale: 0.5, softcap: Some(3.0) };
    vec![
        (1, 1, plain(1, 1, 1)),
        (2, 2, plain(4, 9, 640)),
        (2, 1, Sight { window: Some(5), ..texts.clone() }),
        (2, 2, texts),
        (1, 2, Sight { slopes: Some(slopes), rule: capped, window: Some(11), ..plain(4, 32, 36) }),
    ]
}

struct Input {
    scores: Tensor<4>,
    gradient: Tensor<4>,
    sight: Sight,
}

impl Input {
    fn new((batch, groups, sight): Case, device: &Device, dtype: DType) -> Self {
        let shape = [batch, groups, sight.heads / groups * sight.queries, sight.keys];
        let scores = pattern(shape, 0.3, device, dtype) * 16.0;
        Self { scores, gradient: pattern(shape, 0.7, device, dtype), sight }
    }

    fn results(&self, path: Path, scale: Scale) -> Vec<Tensor<1>> {
        let Self { scores, gradient, sight } = self;
        let backwards = |scores: Tensor<4>, gradient: Tensor<4>| match path {
            Path::Kernel => cube::score_gradients(scores, gradient, sight.clone()),
            Path::Twin => formula::composed_gradients(scores, gradient, sight),
        };
        let p = match path {
            Path::Kernel => cube::probabilities(scores.clone(), sight.clone()),
            Path::Twin => formula::composed_probabilities(scores.clone(), sight),
        };
        let mut results = vec![p];
        results.extend(backwards(scores.clone(), gradient.clone()));
        if scale == Scale::Trial {
            // Memory that nobody else holds is overwritten, that of others is not.
            results.extend(backwards(scores.clone() * 0.5, gradient.clone() * 2.0));
            results.extend([scores.clone(), gradient.clone()]);
        }
        results.into_iter().map(flat).collect()
    }
}
