//! Which matrices a `targets` value means, and the shortest value that means given matrices.
//!
//! The rules are the engine's (`engine::methods::targets`): a role, a word for many, a glob over the whole path if there
//! is a `*` or `?`, else the end of a path. What is on in the end is what the engine's estimate says.

use std::collections::BTreeMap;

use protocol::{LinearReport, ModelReport};
use serde_json::Value;

/// A word and the matrices it means.
#[derive(Clone, Debug)]
struct Unit {
    word: String,
    members: Vec<u32>,
}

/// What can be said about the matrices of one model; made once for it.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    paths: Vec<String>,
    /// In the model's order.
    roles: Vec<Unit>,
    /// Roles of parts of fused matrices, with the matrices that have them.
    parts: Vec<Unit>,
    /// Paths of parts: the matrix's with the role behind it.
    part_paths: Vec<(String, u32)>,
    auto: Vec<bool>,
    all_linear: Vec<bool>,
    /// `model.layers.*.mlp.*`
    modules: Vec<Unit>,
    /// `model.layers.3.*`
    layers: Vec<Unit>,
    /// `model.layers.3.mlp.*`
    layer_modules: Vec<Unit>,
}

impl Vocabulary {
    pub fn new(report: &ModelReport) -> Self {
        let linears = &report.linears;
        let mut made = Self {
            paths: linears.iter().map(|linear| linear.path.clone()).collect(),
            auto: linears.iter().map(|linear| report.default_targets.contains(&linear.role)).collect(),
            all_linear: linears
                .iter()
                .map(|linear| linear.layer.is_some() && linear.role != "embed" && linear.role != "head")
                .collect(),
            ..Self::default()
        };
        for (index, linear) in linears.iter().enumerate() {
            push(&mut made.roles, &linear.role, index);
            for role in &linear.slices {
                push(&mut made.parts, role, index);
                made.part_paths.push((format!("{}.{role}", linear.path), index as u32));
            }
        }
        made.add_globs(linears);
        made
    }

    fn add_globs(&mut self, linears: &[LinearReport]) {
        let mut layers: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        let mut layer_modules: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        let mut modules: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for (index, linear) in linears.iter().enumerate() {
            let Some((stack, number, rest)) = parts(linear) else { continue };
            layers.entry(format!("{stack}.{number}.*")).or_default().push(index as u32);
            if let Some((module, _)) = rest.rsplit_once('.') {
                let within = format!("{stack}.{number}.{module}.*");
                layer_modules.entry(within).or_default().push(index as u32);
                modules.entry(format!("{stack}.*.{module}.*")).or_default().push(index as u32);
            }
        }
        let units = |map: BTreeMap<String, Vec<u32>>| -> Vec<Unit> {
            let mut units: Vec<Unit> =
                map.into_iter().map(|(word, members)| Unit { word, members }).collect();
            units.sort_by_key(|unit| unit.members.first().copied());
            units
        };
        // A path before the number could be the beginning of another, and `*` spans points: only what is exact counts.
        let exact = |units: Vec<Unit>, paths: &[String]| -> Vec<Unit> {
            units.into_iter().filter(|unit| glob_members(&unit.word, paths) == unit.members).collect()
        };
        self.layers = units(layers);
        self.layer_modules = units(layer_modules);
        self.modules = exact(units(modules), &self.paths);
    }

    /// Roles of the model with the matrices of each, in the model's order.
    pub fn roles(&self) -> impl Iterator<Item = (&str, &[u32])> {
        self.roles.iter().map(|unit| (unit.word.as_str(), unit.members.as_slice()))
    }

    /// Roles of parts of fused matrices, with the matrices that have them.
    pub fn parts(&self) -> impl Iterator<Item = (&str, &[u32])> {
        self.parts.iter().map(|unit| (unit.word.as_str(), unit.members.as_slice()))
    }

    /// What one word means: matrices, or those of which it means a part.
    pub fn matching(&self, word: &str) -> Vec<u32> {
        let whole = self.whole(word);
        if whole.is_empty() { self.with_part(word) } else { whole }
    }

    /// Matrices of which a word means a part.
    fn with_part(&self, word: &str) -> Vec<u32> {
        if let Some(unit) = self.parts.iter().find(|unit| unit.word == word) {
            return unit.members.clone();
        }
        let paths: Vec<String> = self.part_paths.iter().map(|(path, _)| path.clone()).collect();
        let mut members: Vec<u32> =
            glob_members(word, &paths).into_iter().map(|at| self.part_paths[at as usize].1).collect();
        members.dedup();
        members
    }

    /// The words of a value that mean parts only.
    pub fn part_words<'a>(&self, targets: &'a Value) -> Vec<&'a str> {
        let part = |word: &&str| self.whole(word).is_empty() && !self.with_part(word).is_empty();
        target_words(targets).into_iter().filter(part).collect()
    }

    /// The shortest value that means parts by these words, and the chosen matrices that have none of them whole.
    pub fn with_parts(&self, chosen: &[bool], parts: &[&str]) -> Value {
        if parts.is_empty() {
            return self.shortest(chosen);
        }
        let mut rest = chosen.to_vec();
        for member in parts.iter().flat_map(|word| self.matching(word)) {
            rest[member as usize] = false;
        }
        let mut words: Vec<String> = parts.iter().map(|word| (*word).to_owned()).collect();
        words.extend(self.words_for(&rest));
        words.into()
    }

    /// Matrices that a word means as a whole.
    fn whole(&self, word: &str) -> Vec<u32> {
        let indices =
            |mask: &[bool]| (0u32..).zip(mask).filter(|(_, on)| **on).map(|(index, _)| index).collect();
        if word == "auto" {
            return indices(&self.auto);
        }
        if word == "all-linear" {
            return indices(&self.all_linear);
        }
        match self.roles.iter().find(|unit| unit.word == word) {
            Some(unit) => unit.members.clone(),
            None => glob_members(word, &self.paths),
        }
    }

    /// What a `targets` value means, a flag for each matrix.
    pub fn chosen(&self, targets: &Value) -> Vec<bool> {
        let mut mask = vec![false; self.paths.len()];
        for word in target_words(targets) {
            for member in self.matching(word) {
                mask[member as usize] = true;
            }
        }
        mask
    }

    /// The shortest value that means exactly these matrices.
    pub fn shortest(&self, chosen: &[bool]) -> Value {
        if chosen.contains(&true) {
            if chosen == self.auto {
                return "auto".into();
            }
            if chosen == self.all_linear {
                return "all-linear".into();
            }
        }
        self.words_for(chosen).into()
    }

    /// Roles, globs and paths that mean exactly these matrices, as few letters as several orders of trying give.
    pub fn words_for(&self, chosen: &[bool]) -> Vec<String> {
        let orders: [&[&[Unit]]; 4] = [
            &[&self.roles, &self.modules, &self.layers, &self.layer_modules],
            &[&self.modules, &self.roles, &self.layers, &self.layer_modules],
            &[&self.layers, &self.layer_modules],
            &[&self.layers, &self.modules, &self.roles, &self.layer_modules],
        ];
        let letters = |words: &Vec<String>| words.iter().map(|word| word.len() + 4).sum::<usize>();
        orders.iter().map(|order| self.cover(chosen, order)).min_by_key(letters).unwrap_or_default()
    }

    /// Takes every unit that lies wholly in the chosen ones and adds something; paths for the rest.
    fn cover(&self, chosen: &[bool], order: &[&[Unit]]) -> Vec<String> {
        let mut missing = chosen.to_vec();
        let mut words = Vec::new();
        for unit in order.iter().copied().flatten() {
            let within = unit.members.iter().all(|member| chosen[*member as usize]);
            if within && unit.members.iter().any(|member| missing[*member as usize]) {
                words.push(unit.word.clone());
                unit.members.iter().for_each(|member| missing[*member as usize] = false);
            }
        }
        let rest = self.paths.iter().zip(&missing).filter(|(_, missing)| **missing);
        words.extend(rest.map(|(path, _)| path.clone()));
        words
    }

    pub fn len(&self) -> usize {
        self.paths.len()
    }

    pub fn path(&self, index: u32) -> &str {
        self.paths.get(index as usize).map_or("", String::as_str)
    }
}

fn push(units: &mut Vec<Unit>, word: &str, index: usize) {
    match units.iter_mut().find(|unit| unit.word == word) {
        Some(unit) => unit.members.push(index as u32),
        None => units.push(Unit { word: word.to_owned(), members: vec![index as u32] }),
    }
}

/// `model.layers`, 3, `mlp.up_proj`
fn parts(linear: &LinearReport) -> Option<(&str, u64, &str)> {
    let layer = linear.layer?;
    let middle = format!(".{layer}.");
    let at = linear.path.find(&middle)?;
    Some((&linear.path[..at], layer, &linear.path[at + middle.len()..]))
}

/// The words of a `targets` value.
pub fn target_words(targets: &Value) -> Vec<&str> {
    match targets {
        Value::String(word) => vec![word.as_str()],
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn glob_members(word: &str, paths: &[String]) -> Vec<u32> {
    let is_glob = word.contains(['*', '?']);
    let hit = |path: &str| match is_glob {
        true => glob(word.as_bytes(), path.as_bytes()),
        false => {
            path == word
                || path.strip_suffix(word).is_some_and(|before| before.ends_with('.') && !word.is_empty())
        }
    };
    (0u32..).zip(paths).filter(|(_, path)| hit(path)).map(|(index, _)| index).collect()
}

/// Whether a pattern with `*` (any bytes) and `?` (one character) is the whole of a text. In linear space and without
/// recursion: both come from the user.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match back {
                Some((star, from)) => {
                    back = Some((star, from + 1));
                    p = star + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A Llama of 12 layers with four matrices each, an embedding and a head.
    pub fn report() -> ModelReport {
        let linear = |path: String, role: &str, layer| LinearReport {
            path,
            shape: [8, 8],
            role: role.into(),
            layer,
            slices: Vec::new(),
        };
        let mut linears = vec![linear("model.embed_tokens".into(), "embed", None)];
        for layer in 0..12 {
            for (name, role) in [
                ("self_attn.q_proj", "q"),
                ("self_attn.v_proj", "v"),
                ("mlp.up_proj", "up"),
                ("mlp.down_proj", "down"),
            ] {
                linears.push(linear(format!("model.layers.{layer}.{name}"), role, Some(layer)));
            }
        }
        linears.push(linear("lm_head".into(), "head", None));
        ModelReport {
            path: "m".into(),
            family: "llama".into(),
            class: "LlamaForCausalLM".into(),
            variant: None,
            parameters: 1,
            file_bytes: 1,
            dtypes: BTreeMap::new(),
            layers: 12,
            hidden_size: 8,
            vocab_size: 8,
            context_length: 8,
            tied_head: false,
            linears,
            default_targets: vec!["q".into(), "v".into()],
            tokenizer: None,
            template: None,
            template_reason: None,
            licence_files: Vec::new(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn words_mean_what_the_engine_means() {
        let vocabulary = Vocabulary::new(&report());
        let count = |word: &str| vocabulary.matching(word).len();
        assert_eq!((count("auto"), count("all-linear"), count("q")), (24, 48, 12));
        assert_eq!((count("q_proj"), count("model.layers.1.*"), count("*.mlp.*")), (12, 4, 24));
        assert_eq!((count("model.layers.?.mlp.up_proj"), count("proj"), count("")), (10, 0, 0));
        assert_eq!((count("*"), count("lm_head"), count("head")), (50, 1, 1));
    }

    #[test]
    fn the_shortest_value_means_the_same_matrices() {
        let vocabulary = Vocabulary::new(&report());
        for (given, wanted) in [
            (serde_json::json!(["q", "v"]), serde_json::json!("auto")),
            (serde_json::json!(["*.q_proj", "v", "*.mlp.*"]), serde_json::json!("all-linear")),
            (serde_json::json!(["q_proj"]), serde_json::json!(["q"])),
            (serde_json::json!(["*layers.3.*"]), serde_json::json!(["model.layers.3.*"])),
            (serde_json::json!(["model.layers.3.mlp.*"]), serde_json::json!(["model.layers.3.mlp.*"])),
            (serde_json::json!(["q", "model.layers.10.*"]), serde_json::json!(["q", "model.layers.10.*"])),
            (serde_json::json!([]), serde_json::json!([])),
        ] {
            assert_eq!(vocabulary.shortest(&vocabulary.chosen(&given)), wanted, "{given}");
        }
    }

    /// Parts of a fused matrix are words of their own, kept while other matrices are turned on and off.
    #[test]
    fn parts_of_a_fused_matrix_stay_parts() {
        let mut fused = report();
        for linear in fused.linears.iter_mut().filter(|linear| linear.role == "q") {
            linear.role = "qkv".into();
            linear.path = linear.path.replace("q_proj", "W_pack");
            linear.slices = ["q", "k", "v"].map(String::from).into();
        }
        let vocabulary = Vocabulary::new(&fused);
        let count = |word: &str| vocabulary.matching(word).len();
        assert_eq!((count("q"), count("k"), count("W_pack"), count("W_pack.k")), (12, 12, 12, 12));
        assert_eq!(vocabulary.parts().map(|(role, _)| role).collect::<Vec<_>>(), ["q", "k", "v"]);
        let value = serde_json::json!(["q", "W_pack.k", "up"]);
        let parts = vocabulary.part_words(&value);
        assert_eq!(parts, ["q", "W_pack.k"]);
        let mut mask = vocabulary.chosen(&value);
        for member in vocabulary.matching("up") {
            mask[member as usize] = false;
        }
        assert_eq!(vocabulary.with_parts(&mask, &parts), serde_json::json!(["q", "W_pack.k"]));
        for member in vocabulary.matching("down") {
            mask[member as usize] = true;
        }
        assert_eq!(vocabulary.with_parts(&mask, &parts), serde_json::json!(["q", "W_pack.k", "down"]));
    }

    #[test]
    fn any_selection_comes_back_as_it_was() {
        let vocabulary = Vocabulary::new(&report());
        let mut state = 7u64;
        for _ in 0..200 {
            let mask: Vec<bool> = (0..vocabulary.len())
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    state >> 62 != 0
                })
                .collect();
            assert_eq!(vocabulary.chosen(&vocabulary.shortest(&mask)), mask);
        }
    }
}
