//! Which matrices a method adapts: roles, module names, globs, or a word for many.

use protocol::{Result, Text, UserError, text};
use regex::Regex;
use serde_json::Value;

use crate::models::Model;
use crate::nn::{Role, Site, SiteKind};

/// Sites named by `targets` of a run file: `"auto"`, `"all-linear"`, or a list of roles (`q`), module
/// names (`q_proj`) and globs (`model.layers.*.mlp.*`).
///
/// # Errors
/// When an entry matches nothing; names what there is.
pub fn select_sites(model: &Model, targets: &Value) -> Result<Vec<Site>> {
    let words: Vec<&str> = match targets {
        Value::String(word) => vec![word.as_str()],
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
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
        return Err(nothing_matches(model, &useless));
    }
    Ok(model.sites.iter().filter(|site| chosen[site.id.0]).cloned().collect())
}

/// The number that a table of patterns gives a site, by the rules of [`select_sites`]; the longest
/// matching pattern wins.
pub fn pattern_value(model: &Model, patterns: &Value, site: &Site) -> Result<Option<f64>> {
    let mut best: Option<(usize, f64)> = None;
    for (pattern, value) in patterns.as_object().into_iter().flatten() {
        let hits = matching(model, pattern)?.contains(&site.id.0);
        if hits && best.is_none_or(|(length, _)| pattern.len() > length) {
            best = value.as_f64().map(|number| (pattern.len(), number));
        }
    }
    Ok(best.map(|(_, number)| number))
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

fn nothing_matches(model: &Model, useless: &[&str]) -> UserError {
    let words = useless.join(", ");
    let mut roles: Vec<_> = model.sites.iter().map(|site| site.role.word()).collect();
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
