//! Rotary embedding from config.json, in all its spellings.
//! Rules and defaults: transformers, `modeling_rope_utils.py`.

use serde_json::{Map, Value};

use super::ConfigJson;
use crate::nn::{LongRopeParts, Rope, RopeScaling, YarnParts};

const ORIGINAL: &str = "original_max_position_embeddings";

impl ConfigJson {
    /// Rotary embedding in the spelling of transformers 4 (`rope_theta`, `rope_scaling`) or 5
    /// (`rope_parameters`).
    pub fn rope(&self, head_dim: usize, default_theta: f64) -> Rope {
        let section = ["rope_parameters", "rope_scaling"].iter().find_map(|key| self.object(key));
        self.rope_in(section, "rope_theta", head_dim, default_theta)
    }

    /// Rotary embedding of one kind of attention layer (`full_attention`, `sliding_attention`), where each has its own
    /// in `rope_parameters`. In the older spelling its base is under `theta_key`, and its scaling under `scaling_key`.
    pub fn rope_of(
        &self,
        kind: &str,
        [theta_key, scaling_key]: [&str; 2],
        head_dim: usize,
        default_theta: f64,
    ) -> Rope {
        let own = self.object("rope_parameters").and_then(|kinds| kinds.get(kind)).and_then(Value::as_object);
        let section = own.or_else(|| self.object(scaling_key));
        self.rope_in(section, theta_key, head_dim, default_theta)
    }

    fn object(&self, key: &str) -> Option<&Map<String, Value>> {
        self.raw().get(key).and_then(Value::as_object)
    }

    fn rope_in(
        &self,
        section: Option<&Map<String, Value>>,
        theta_key: &str,
        head_dim: usize,
        default_theta: f64,
    ) -> Rope {
        let empty = Map::new();
        let section = section.unwrap_or(&empty);
        let theta =
            self.number_in(section, "rope_theta").unwrap_or_else(|| self.number_or(theta_key, default_theta));
        let partial = self
            .number_in(section, "partial_rotary_factor")
            .unwrap_or_else(|| self.number_or("partial_rotary_factor", 1.0));
        let dim = (head_dim as f64 * partial) as usize;
        if dim == 0 || dim % 2 == 1 || dim > head_dim {
            self.problem(format!("{dim} rotary dimensions of a head of {head_dim}: wanted an even number"));
        }
        let max_position = self.size_or("max_position_embeddings", 2048);
        let scaling = self.rope_scaling(section, theta, dim, max_position);
        Rope { theta, dim, max_position, scaling, interleaved: false }
    }

    fn rope_scaling(&self, section: &Map<String, Value>, theta: f64, dim: usize, max: usize) -> RopeScaling {
        let kind = ["rope_type", "type"].iter().find_map(|key| section.get(*key).and_then(Value::as_str));
        let number = |key: &str, default: f64| self.number_in(section, key).unwrap_or(default);
        let factor = number("factor", 1.0);
        // Phi-3 writes the original length at the top level, which then counts.
        let original = self.number_or(ORIGINAL, number(ORIGINAL, max as f64));
        if !(theta > 1.0 && factor > 0.0 && original >= 1.0) {
            self.problem(format!("rotary embedding with base {theta}, factor {factor}, length {original}"));
        }
        match kind.unwrap_or("default") {
            "default" => RopeScaling::None,
            "linear" => RopeScaling::Linear { factor },
            "dynamic" => RopeScaling::Dynamic { factor },
            "llama3" => RopeScaling::Llama3 {
                factor,
                low: number("low_freq_factor", 1.0),
                high: number("high_freq_factor", 4.0),
                original,
            },
            // Phi-3 once called it so.
            "yarn" if section.contains_key("long_factor") => self.long_rope(section, original, max, dim),
            "yarn" => RopeScaling::Yarn(YarnParts {
                factor,
                beta_fast: number("beta_fast", 32.0),
                beta_slow: number("beta_slow", 1.0),
                original,
                truncate: section.get("truncate").and_then(Value::as_bool).unwrap_or(true),
                attention_factor: self.yarn_attention_factor(section, factor),
            }),
            "longrope" | "su" => self.long_rope(section, original, max, dim),
            other => {
                self.problem(format!("rotary scaling `{other}` is not known"));
                RopeScaling::None
            }
        }
    }

    fn yarn_attention_factor(&self, section: &Map<String, Value>, factor: f64) -> f64 {
        let scale = |factor: f64, m: f64| if factor <= 1.0 { 1.0 } else { 0.1 * m * factor.ln() + 1.0 };
        let number = |key: &str| self.number_in(section, key).filter(|number| *number != 0.0);
        match (number("attention_factor"), number("mscale"), number("mscale_all_dim")) {
            (Some(given), ..) => given,
            (None, Some(m), Some(all)) => scale(factor, m) / scale(factor, all),
            _ => scale(factor, 1.0),
        }
    }

    fn long_rope(&self, section: &Map<String, Value>, original: f64, max: usize, dim: usize) -> RopeScaling {
        let list = |key: &str| -> Vec<f64> {
            let values = section.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let numbers: Vec<f64> = values.iter().filter_map(Value::as_f64).filter(|n| *n > 0.0).collect();
            if numbers.len() != dim / 2 {
                self.problem(format!("`{key}` has {} positive numbers, wanted {}", numbers.len(), dim / 2));
            }
            numbers
        };
        let factor = self.number_in(section, "factor").unwrap_or(max as f64 / original);
        if factor > 1.0 && original <= 1.0 {
            self.problem(format!("`{ORIGINAL}` is {original}, wanted more than 1"));
        }
        let attention_factor = self.number_in(section, "attention_factor").unwrap_or(if factor <= 1.0 {
            1.0
        } else {
            (1.0 + factor.ln() / original.ln()).sqrt()
        });
        RopeScaling::LongRope(LongRopeParts {
            short: list("short_factor"),
            long: list("long_factor"),
            original: original as usize,
            attention_factor,
        })
    }
}
