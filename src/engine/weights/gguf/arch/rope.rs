//! Rotary embedding, both ways. llama.cpp keeps frequency factors as a tensor, one a pair of dimensions.

use std::f64::consts::PI;

use protocol::Text;
use serde_json::{Value as Json, json};

use super::{Config, Reading, Writing};
use crate::nn::{LongRopeParts as LongRope, Rope, RopeScaling, YarnParts as Yarn};

/// Lengths that the frequency factors of Llama 3 were made with: low factor, high factor, original context.
const LLAMA3: (f64, f64, f64) = (1.0, 4.0, 8192.0);

impl Reading<'_> {
    /// `rope_theta` and `rope_scaling`, and how much of a head is rotated where that is not all of it.
    pub fn rope(&self, config: &mut Config) {
        let theta = self.number("rope.freq_base").unwrap_or(10_000.0);
        config.insert("rope_theta".into(), theta.into());
        let head = self.head_dim();
        let rotated = self.whole("rope.dimension_count").unwrap_or(head);
        if rotated != head {
            config.insert("partial_rotary_factor".into(), fraction(rotated, head).into());
        }
        if let Some(scaling) = self.scaling(theta, rotated) {
            config.insert("rope_scaling".into(), scaling);
        }
        if let Some(original) = self.whole("rope.scaling.original_context_length")
            && self.has("rope_factors_long.weight")
        {
            config.insert("original_max_position_embeddings".into(), original.into());
        }
    }

    fn scaling(&self, theta: f64, rotated: u64) -> Option<Json> {
        if let Some(factors) = (self.numbers)("rope_freqs.weight") {
            return Some(of_factors(&factors, theta, rotated));
        }
        if let (Some(long), Some(short)) =
            ((self.numbers)("rope_factors_long.weight"), (self.numbers)("rope_factors_short.weight"))
        {
            return Some(json!({"rope_type": "longrope", "long_factor": long, "short_factor": short}));
        }
        let factor = self.number("rope.scaling.factor")?;
        match self.text("rope.scaling.type")? {
            "linear" => Some(json!({"rope_type": "linear", "factor": factor})),
            "yarn" => {
                let original = self.whole("rope.scaling.original_context_length");
                let original = original.unwrap_or_else(|| self.size("context_length"));
                let mut yarn = json!({
                    "rope_type": "yarn", "factor": factor, "original_max_position_embeddings": original,
                });
                for (key, name) in [
                    ("beta_fast", "yarn_beta_fast"),
                    ("beta_slow", "yarn_beta_slow"),
                    ("attention_factor", "yarn_attn_factor"),
                ] {
                    if let Some(number) = self.number(&format!("rope.scaling.{name}")) {
                        yarn[key] = number.into();
                    }
                }
                Some(yarn)
            }
            "none" => None,
            other => {
                self.problem(format!("rotary scaling `{other}` is not known"));
                None
            }
        }
    }
}

/// Llama 3's scaling where these factors are the ones it has, else the factors themselves: a longrope that is as long
/// as it is short says the same for any length.
fn of_factors(factors: &[f32], theta: f64, rotated: u64) -> Json {
    let factor = factors.iter().fold(1f32, |largest, factor| largest.max(*factor));
    let (low, high, original) = LLAMA3;
    let expected = llama3_factors(theta, rotated as usize, f64::from(factor), LLAMA3);
    let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-4 * b.abs();
    if factors.len() == expected.len() && factors.iter().zip(&expected).all(close) {
        return json!({
            "rope_type": "llama3", "factor": factor, "low_freq_factor": low, "high_freq_factor": high,
            "original_max_position_embeddings": original as u64,
        });
    }
    json!({"rope_type": "longrope", "long_factor": factors, "short_factor": factors, "attention_factor": 1.0})
}

/// What the base frequencies are divided by; formula: transformers, `_compute_llama3_parameters`.
fn llama3_factors(theta: f64, dim: usize, factor: f64, (low, high, original): (f64, f64, f64)) -> Vec<f32> {
    let of = |pair: usize| {
        let wavelength = 2.0 * PI * theta.powf(2.0 * pair as f64 / dim as f64);
        if wavelength < original / high {
            return 1.0;
        }
        if wavelength > original / low {
            return factor;
        }
        let smooth = (original / wavelength - low) / (high - low);
        1.0 / ((1.0 - smooth) / factor + smooth)
    };
    (0..dim / 2).map(|pair| of(pair) as f32).collect()
}

/// `part / whole`, so that multiplying and cutting gives `part` again.
fn fraction(part: u64, whole: u64) -> f64 {
    let fraction = part as f64 / whole.max(1) as f64;
    if (whole as f64 * fraction) as u64 == part { fraction } else { fraction.next_up() }
}

impl Writing<'_> {
    /// The rotary embedding of the layers that see everything, or of all of them.
    fn full_rope(&self) -> Option<&Rope> {
        let views = &self.info.views;
        let full = views.iter().filter(|view| view.window.is_none()).find_map(|view| view.rope.as_ref());
        full.or_else(|| views.iter().find_map(|view| view.rope.as_ref()))
    }

    /// The base frequency of the layers that see a window, where they have one of their own.
    pub fn local_theta(&self) -> Option<f64> {
        let mut local = self.info.views.iter().filter(|view| view.window.is_some());
        local.find_map(|view| view.rope.as_ref()).map(|rope| rope.theta)
    }

    pub fn theta(&self) -> Option<f64> {
        self.full_rope().map(|rope| rope.theta)
    }

    /// Elements of a head that are rotated.
    pub fn rotated(&self) -> u64 {
        self.full_rope().map_or(self.info.head_dim, |rope| rope.dim) as u64
    }

    /// Scaling and base frequency, as `TextModel` of the converter writes them.
    pub fn rope(&mut self) {
        let Some(rope) = self.full_rope().cloned() else { return };
        match &rope.scaling {
            // The frequencies of some files are rounded; llama.cpp computes with exact ones.
            RopeScaling::None | RopeScaling::Rounded => {}
            RopeScaling::Linear { factor } => {
                self.text("rope.scaling.type", "linear");
                self.number("rope.scaling.factor", *factor);
            }
            RopeScaling::Yarn(yarn) => self.yarn(yarn),
            RopeScaling::Llama3 { factor, low, high, original } => {
                let factors = llama3_factors(rope.theta, rope.dim, *factor, (*low, *high, *original));
                self.extra.push(("rope_freqs.weight".into(), factors));
            }
            RopeScaling::LongRope(long) => self.long_factors(long),
            RopeScaling::Dynamic { .. } => self.notes.push(Text::fixed(
                "llama.cpp does not know this model's scaling of positions beyond its length (dynamic): longer texts differ",
                "llama.cpp 不支持该模型超出长度后的位置缩放（dynamic）：更长的文本会有差异",
            )),
        }
        self.number("rope.freq_base", rope.theta);
    }

    /// What follows from the factor is left to llama.cpp, as the converter does; what the config says goes along.
    fn yarn(&mut self, yarn: &Yarn) {
        self.text("rope.scaling.type", "yarn");
        self.number("rope.scaling.factor", yarn.factor);
        self.whole("rope.scaling.original_context_length", yarn.original as u64);
        let section =
            ["rope_parameters", "rope_scaling"].into_iter().find_map(|key| self.config.get(key)?.as_object());
        let said: Vec<(&str, f64)> = [
            ("attention_factor", "yarn_attn_factor"),
            ("beta_fast", "yarn_beta_fast"),
            ("beta_slow", "yarn_beta_slow"),
        ]
        .into_iter()
        .filter_map(|(key, name)| Some((name, section?.get(key)?.as_f64()?)))
        .collect();
        for (name, number) in said {
            self.number(&format!("rope.scaling.{name}"), number);
        }
    }

    /// Frequency factors for short and for long sequences.
    pub fn long_factors(&mut self, rope: &LongRope) {
        let list = |factors: &[f64]| factors.iter().map(|factor| *factor as f32).collect();
        let (long, short) = (list(&rope.long), list(&rope.short));
        if long == short && rope.attention_factor == 1.0 {
            // The same at any length: what llama.cpp calls frequency factors.
            return self.extra.push(("rope_freqs.weight".into(), long));
        }
        self.text("rope.scaling.type", "longrope");
        self.extra.push(("rope_factors_long.weight".into(), long));
        self.extra.push(("rope_factors_short.weight".into(), short));
    }

    /// The longrope of a model that has one.
    pub fn long_rope(&self) -> Option<LongRope> {
        match &self.full_rope()?.scaling {
            RopeScaling::LongRope(long) => Some(long.clone()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llama3_is_recognised_by_its_factors() {
        let factors = llama3_factors(500_000.0, 64, 32.0, LLAMA3);
        assert_eq!(of_factors(&factors, 500_000.0, 64)["rope_type"], "llama3");
        assert_eq!(of_factors(&factors, 500_000.0, 64)["factor"], 32.0);
        let other = llama3_factors(500_000.0, 64, 8.0, (1.0, 2.0, 64.0));
        assert_eq!(of_factors(&other, 500_000.0, 64)["rope_type"], "longrope");
    }

    #[test]
    fn fractions_come_back_whole() {
        for whole in 1..300u64 {
            for part in 1..=whole {
                assert_eq!((whole as f64 * fraction(part, whole)) as u64, part);
            }
        }
    }
}
