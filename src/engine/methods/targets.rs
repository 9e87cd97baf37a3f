//! Which matrices a method adapts: roles, module names, globs, or a word for many.

use std::collections::BTreeSet;

use protocol::{Result, Text, UserError, text};
use regex::Regex;
use serde_json::Value;

use super::layers::layer_mask;
use crate::models::Model;
use crate::nn::{Fused, Role, Site, SiteKind};

/// Where a run file wants a method to attach.
#[derive(Clone, Copy, Debug)]
pub struct Where<'a> {
    pub targets: &'a Value,
    /// What is left out again, by the same words; the empty word leaves out nothing.
    pub exclude: &'a Value,
    /// Which blocks; what lies outside of the blocks is not asked.
    pub layers: &'a str,
}

/// A matrix that is adapted.
#[derive(Clone, Debug)]
pub struct Chosen {
    pub site: Site,
    /// Which parts of a fused matrix, ascending; none means the whole matrix.
    pub parts: Vec<usize>,
}

/// Matrices and parts of fused ones (`q` where q, k and v are one matrix) that a run file names. A matrix that is also
/// named itself is adapted whole.
///
/// # Errors
/// When a word matches nothing, or no layer has that number.
pub fn select_parts(model: &Model, wanted: Where<'_>) -> Result<Vec<Chosen>> {
    let mut picked = vec![Picked::default(); model.sites.len()];
    pick(model, wanted.targets, "method.targets", &mut picked)?;
    let mut left_out = vec![Picked::default(); model.sites.len()];
    if !words(wanted.exclude).iter().all(|word| word.is_empty()) {
        pick(model, wanted.exclude, "method.exclude", &mut left_out)?;
    }
    let blocks = layer_mask(wanted.layers, model.info.num_layers)?;
    let inside = |site: &Site| site.layer.is_none_or(|layer| blocks.get(layer).copied().unwrap_or(false));
    let sites = model.sites.iter().zip(picked.iter().zip(&left_out)).filter(|(site, _)| inside(site));
    let chosen: Vec<Chosen> = sites.filter_map(|(site, (on, off))| on.without(off, site)).collect();
    if chosen.is_empty() {
        return Err(UserError::bad_input(Text::fixed(
            "Nothing is left of the targets after `layers` and `exclude`",
            "经过 `layers` 和 `exclude` 之后没有剩下任何目标",
        ))
        .at_item("method.targets"));
    }
    Ok(chosen)
}

/// What was named of one matrix.
#[derive(Clone, Debug, Default)]
struct Picked {
    whole: bool,
    parts: BTreeSet<usize>,
}

impl Picked {
    /// What is adapted once `off` is left out: of a matrix named whole, the parts that remain.
    fn without(&self, off: &Self, site: &Site) -> Option<Chosen> {
        if off.whole || (!self.whole && self.parts.is_empty()) {
            return None;
        }
        let whole = self.whole && off.parts.is_empty();
        let all = || (0..site.fused.as_ref().map_or(0, |fused| fused.parts.len())).collect();
        let from: BTreeSet<usize> = if self.whole { all() } else { self.parts.clone() };
        let parts: Vec<usize> = from.difference(&off.parts).copied().collect();
        let parts = if whole { Vec::new() } else { parts };
        (whole || !parts.is_empty()).then(|| Chosen { site: site.clone(), parts })
    }
}

fn pick(model: &Model, targets: &Value, item: &str, picked: &mut [Picked]) -> Result<()> {
    let words = words(targets);
    let mut useless = Vec::new();
    for word in &words {
        let (whole, parts) = (matching(model, word)?, matching_parts(model, word)?);
        if whole.is_empty() && parts.is_empty() {
            useless.push(*word);
        }
        whole.into_iter().for_each(|site| picked[site].whole = true);
        for (site, part) in parts {
            picked[site].parts.insert(part);
        }
    }
    if useless.is_empty() && !words.is_empty() {
        return Ok(());
    }
    Err(nothing_matches(model, &useless, true).at_item(item))
}

/// Parts of fused matrices that a word means: a role, or a name or glob of the matrix with the role behind it
/// (`W_pack.q`). A name that the matrix has itself means the matrix.
fn matching_parts(model: &Model, word: &str) -> Result<Vec<(usize, usize)>> {
    if matches!(word, "auto" | "all-linear") {
        return Ok(Vec::new());
    }
    let pattern =
        if Role::ALL.iter().any(|role| role.word() == word) { None } else { Some(name_pattern(word)?) };
    let hits = |site: &Site, role: Role| match &pattern {
        None => role.word() == word,
        Some(pattern) => {
            !pattern.is_match(&site.path) && pattern.is_match(&format!("{}.{}", site.path, role.word()))
        }
    };
    let fused = model.sites.iter().filter_map(|site| Some((site, site.fused.as_ref()?)));
    let parts = fused.flat_map(|(site, fused)| (0..fused.parts.len()).map(move |part| (site, fused, part)));
    Ok(parts
        .filter(|(site, fused, part)| hits(site, fused.parts[*part].0))
        .map(|(site, _, part)| (site.id.0, part))
        .collect())
}

/// The number that a table of patterns gives what is adapted of a matrix, by the rules of
/// [`select_parts`]; the longest matching pattern wins.
///
/// # Errors
/// When the parts would get different ones: they share one scale. A line for the user.
pub fn chosen_value(model: &Model, patterns: &Value, chosen: &Chosen) -> Result<Option<f64>, String> {
    let of = |hits: &dyn Fn(&str) -> Result<bool>| best(patterns, hits).map_err(|err| err.to_string());
    let site = chosen.site.id.0;
    let whole = |word: &str| Ok(matching(model, word)?.contains(&site));
    if chosen.parts.is_empty() {
        return of(&whole);
    }
    let part =
        |part: &usize| of(&|word| Ok(whole(word)? || matching_parts(model, word)?.contains(&(site, *part))));
    let values = chosen.parts.iter().map(part).collect::<Result<Vec<_>, String>>()?;
    match values.iter().all(|value| *value == values[0]) {
        true => Ok(values[0]),
        false => Err(format!("{}: the parts of one matrix share rank and alpha", chosen.site.path)),
    }
}

fn best(patterns: &Value, hits: &dyn Fn(&str) -> Result<bool>) -> Result<Option<f64>> {
    let mut best: Option<(usize, f64)> = None;
    for (pattern, value) in patterns.as_object().into_iter().flatten() {
        if best.is_none_or(|(length, _)| pattern.len() > length) && hits(pattern)? {
            best = value.as_f64().map(|number| (pattern.len(), number));
        }
    }
    Ok(best.map(|(_, number)| number))
}

fn words(value: &Value) -> Vec<&str> {
    match value {
        Value::String(word) => vec![word.as_str()],
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Sites named by `targets` of a run file: `"auto"`, `"all-linear"`, or a list of roles (`q`), module
/// names (`q_proj`) and globs (`model.layers.*.mlp.*`).
///
/// # Errors
/// When an entry matches nothing; names what there is.
pub fn select_sites(model: &Model, targets: &Value) -> Result<Vec<Site>> {
    let words = words(targets);
    let mut chosen = vec![false; model.sites.len()];
    let mut useless = Vec::new();
    for word in &words {
        let matching: Vec<usize> = matching(model, word)?;
        if matching.is_empty() {
            useless.push(*word);
        }
        matching.into_iter().for_each(|index| chosen[index] = true);
    }
    if !useless.is_empty() || words.is_empty() {
        return Err(nothing_matches(model, &useless, false));
    }
    Ok(model.sites.iter().filter(|site| chosen[site.id.0]).cloned().collect())
}

fn matching(model: &Model, word: &str) -> Result<Vec<usize>> {
    let roles = |words: &[&str]| -> Vec<usize> {
        let sites = model.sites.iter().filter(|site| words.contains(&site.role.word()));
        sites.map(|site| site.id.0).collect()
    };
    Ok(match word {
        "auto" => roles(model.family.default_targets),
        "all-linear" => model.block_linears().map(|site| site.id.0).collect(),
        _ if Role::ALL.iter().any(|role| role.word() == word) => roles(&[word]),
        _ => {
            let pattern = name_pattern(word)?;
            let sites = model.sites.iter().filter(|site| pattern.is_match(&site.path));
            sites.map(|site| site.id.0).collect()
        }
    })
}

/// A glob over the whole path if there is a `*` or `?`, else the end of the path, as PEFT matches.
fn name_pattern(word: &str) -> Result<Regex> {
    let escaped = regex::escape(word);
    let source = if word.contains(['*', '?']) {
        format!("^{}$", escaped.replace(r"\*", ".*").replace(r"\?", "."))
    } else {
        format!(r"^(.*\.)?{escaped}$")
    };
    Regex::new(&source).map_err(|err| {
        UserError::bad_input(text!(
            "`{word}` is not a usable pattern: {err}",
            "`{word}` 不是可用的模式：{err}"
        ))
        .at_item("method.targets")
    })
}

/// `parts`: whether roles of parts of fused matrices can be said, too.
fn nothing_matches(model: &Model, useless: &[&str], parts: bool) -> UserError {
    let words = useless.join(", ");
    let mut roles: Vec<_> = model.sites.iter().map(|site| site.role.word()).collect();
    let fused: Vec<&Fused> =
        model.sites.iter().filter(|_| parts).filter_map(|site| site.fused.as_ref()).collect();
    roles.extend(fused.iter().flat_map(|fused| fused.parts.iter().map(|(role, _)| role.word())));
    roles.sort_unstable();
    roles.dedup();
    let roles = roles.join(", ");
    let mut names: Vec<_> = model.block_linears().filter_map(|site| site.path.rsplit('.').next()).collect();
    names.sort_unstable();
    names.dedup();
    let names = names.join(", ");
    UserError::bad_input(text!(
        "No matrix of this model matches: {words}",
        "该模型中没有与此匹配的矩阵：{words}"
    ))
    .at_item("method.targets")
    .mend(text!(
        "use \"auto\", \"all-linear\", roles ({roles}), module names ({names}) or globs",
        "请使用 \"auto\"、\"all-linear\"、角色（{roles}）、模块名（{names}）或通配符"
    ))
}

/// `target_modules` for PEFT: short names where they hit exactly the chosen sites, else whole paths.
pub fn peft_target_modules(model_sites: &[Site], chosen: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = chosen
        .iter()
        .map(|path| {
            let short = path.rsplit('.').next().unwrap_or(path);
            let ends_so = |site: &&Site| site.path == short || site.path.ends_with(&format!(".{short}"));
            let all_chosen =
                model_sites.iter().filter(ends_so).all(|site| chosen.contains(&site.path.as_str()));
            if all_chosen { short.to_owned() } else { (*path).to_owned() }
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Refuses what could not be merged later: one of two tied matrices cannot change alone.
pub fn refuse_tied(model: &Model, sites: &[Site]) -> Result<()> {
    let tied = sites
        .iter()
        .find(|site| model.info.tied_head && (site.kind == SiteKind::Embedding || site.role == Role::Head));
    match tied {
        None => Ok(()),
        Some(site) => Err(UserError::bad_input(Text::fixed(
            "This model's embedding and head are one matrix: an adapter on one of them cannot be merged",
            "该模型的词嵌入与输出头是同一个矩阵：只在其中之一上加适配器无法合并",
        ))
        .at_item(site.path.clone())
        .mend(Text::fixed(
            "leave `embed` and `head` out of the targets",
            "请从目标中去掉 `embed` 和 `head`",
        ))),
    }
}
