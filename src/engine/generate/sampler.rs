//! Drawing the next token. Order and rules: transformers, `generation/logits_process.py`:
//! repetition penalty, temperature, top-k, top-p.

use protocol::Sampling;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// Draws tokens for one answer.
pub struct Sampler {
    settings: Sampling,
    rng: ChaCha8Rng,
}

impl Sampler {
    pub fn new(settings: &Sampling) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(settings.seed), settings: settings.clone() }
    }

    /// The next token, given the logits of the last position and all ids so far.
    pub fn draw(&mut self, logits: &mut [f32], so_far: &[u32]) -> u32 {
        self.penalise(logits, so_far);
        if self.settings.temperature <= 0.0 {
            return argmax(logits);
        }
        let scaled = logits
            .iter()
            .enumerate()
            .map(|(id, logit)| (id as u32, f64::from(*logit) / self.settings.temperature));
        let mut ranking = Ranking::new(scaled.collect());
        if self.settings.top_k > 0 {
            ranking.keep(self.settings.top_k as usize);
        }
        self.pick(&mut ranking)
    }

    /// CTRL's rule (Keskar et al. 2019, arXiv:1909.05858), once for each distinct token.
    fn penalise(&self, logits: &mut [f32], so_far: &[u32]) {
        let penalty = self.settings.repetition_penalty as f32;
        if penalty == 1.0 {
            return;
        }
        let mut seen: Vec<u32> = so_far.to_vec();
        seen.sort_unstable();
        seen.dedup();
        for id in seen {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit = if *logit < 0.0 { *logit * penalty } else { *logit / penalty };
            }
        }
    }

    /// Draws from the smallest set of most probable tokens that reaches `top_p`.
    fn pick(&mut self, ranking: &mut Ranking) -> u32 {
        let total = ranking.total();
        let mut mass = 0.0;
        let mut kept = 0;
        while mass < self.settings.top_p * total {
            let Some((_, weight)) = ranking.at(kept) else { break };
            mass += weight;
            kept += 1;
        }
        let unit = (self.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let mut left = unit * mass;
        for place in 0..kept {
            let Some((id, weight)) = ranking.at(place) else { break };
            left -= weight;
            if left < 0.0 {
                return id;
            }
        }
        ranking.at(kept.saturating_sub(1)).map_or(0, |(id, _)| id)
    }
}

/// Tokens from the likeliest down, put in order as far as anybody looks: of a vocabulary few are ever looked at.
struct Ranking {
    /// Ids and logits, the largest first up to `ordered`, then the others.
    candidates: Vec<(u32, f64)>,
    ordered: usize,
    largest: f64,
}

impl Ranking {
    /// Put in order at once.
    const STEP: usize = 256;

    fn new(candidates: Vec<(u32, f64)>) -> Self {
        let largest = candidates.iter().map(|(_, logit)| *logit).fold(f64::NEG_INFINITY, f64::max);
        Self { candidates, ordered: 0, largest }
    }

    /// Leaves the likeliest.
    fn keep(&mut self, count: usize) {
        self.order(count.min(self.candidates.len()));
        self.candidates.truncate(count);
    }

    /// The sum of all weights.
    fn total(&self) -> f64 {
        self.candidates.iter().map(|(_, logit)| (logit - self.largest).exp()).sum()
    }

    /// The token of a place, and its probability times what is the same for all.
    fn at(&mut self, place: usize) -> Option<(u32, f64)> {
        if place >= self.ordered {
            self.order((place + 1).max(4 * self.ordered).max(Self::STEP).min(self.candidates.len()));
        }
        self.candidates.get(place).map(|(id, logit)| (*id, (logit - self.largest).exp()))
    }

    fn order(&mut self, until: usize) {
        let by_rank = |a: &(u32, f64), b: &(u32, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if until <= self.ordered {
            return;
        }
        let rest = &mut self.candidates[self.ordered..];
        let wanted = until - self.ordered;
        if wanted < rest.len() {
            rest.select_nth_unstable_by(wanted, by_rank);
        }
        rest[..wanted].sort_unstable_by(by_rank);
        self.ordered = until;
    }
}

/// The first of the largest, as torch's argmax.
pub fn argmax(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (id, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = id;
        }
    }
    best as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampling(change: impl FnOnce(&mut Sampling)) -> Sampling {
        let mut settings = Sampling { temperature: 1.0, top_p: 1.0, ..Sampling::default() };
        change(&mut settings);
        settings
    }

    fn draws(settings: &Sampling, logits: &[f32], count: usize) -> Vec<u32> {
        let mut sampler = Sampler::new(settings);
        (0..count).map(|_| sampler.draw(&mut logits.to_vec(), &[])).collect()
    }

    #[test]
    fn frequencies_are_the_softmax() {
        let logits = [0.0, 1.0, 2.0];
        let all = draws(&sampling(|_| {}), &logits, 20_000);
        let share = |id| all.iter().filter(|drawn| **drawn == id).count() as f64 / all.len() as f64;
        let total: f64 = logits.iter().map(|logit| f64::from(*logit).exp()).sum();
        for (id, logit) in logits.iter().enumerate() {
            assert!((share(id as u32) - f64::from(*logit).exp() / total).abs() < 0.02);
        }
    }

    #[test]
    fn top_p_keeps_the_token_that_crosses() {
        // Probabilities 0.66, 0.24, 0.09: 0.7 is crossed by the second.
        let all = draws(&sampling(|s| s.top_p = 0.7), &[2.0, 1.0, 0.0], 2000);
        assert!(all.contains(&0) && all.contains(&1) && !all.contains(&2));
    }

    #[test]
    fn top_k_keeps_k() {
        let all = draws(&sampling(|s| s.top_k = 1), &[0.0, 0.1, 0.05], 50);
        assert!(all.iter().all(|id| *id == 1));
    }

    #[test]
    fn the_penalty_divides_positive_and_multiplies_negative_logits() {
        let mut sampler = Sampler::new(&sampling(|s| {
            s.temperature = 0.0;
            s.repetition_penalty = 2.0;
        }));
        assert_eq!(sampler.draw(&mut [3.0, 2.0, -1.0], &[0, 0]), 1);
        assert_eq!(sampler.draw(&mut [-1.0, -1.5], &[0]), 1);
    }

    #[test]
    fn a_ranking_is_the_order_of_all() {
        let logit = |id: u32| f64::from(id.wrapping_mul(2_654_435_761) % 997);
        let candidates: Vec<(u32, f64)> = (0..5000).map(|id| (id, logit(id))).collect();
        let mut sorted = candidates.clone();
        sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut ranking = Ranking::new(candidates);
        for (place, (id, _)) in sorted.iter().enumerate() {
            assert_eq!(ranking.at(place).map(|(id, _)| id), Some(*id));
        }
        assert!(ranking.at(5000).is_none());
    }

    #[test]
    fn equal_seeds_draw_equal_tokens() {
        let settings = sampling(|s| s.seed = 7);
        assert_eq!(draws(&settings, &[0.0; 50], 30), draws(&settings, &[0.0; 50], 30));
    }
}
