//! The run file that was handed over, as it lies here: it knows where data and template are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use protocol::{Result, RunConfig, RunOrigin, Text, UserError};
use serde_json::Value;

use super::super::folder::told;
use crate::plan::absolute;
use crate::train::PlanFile;

/// What depends on the machine, and changes nothing of what is learned.
const OF_THE_MACHINE: [&str; 3] = ["train.devices", "train.parallel", "train.memory_budget"];

/// The plan that came back with the places of this machine, so that the run can go on here.
///
/// # Errors
/// When the run file is not the one that was handed over: names the settings that differ.
pub fn joined(plan: PlanFile, origin: &RunOrigin) -> Result<PlanFile> {
    let mut config = absolute((*origin.config).clone(), &origin.base);
    let mine = told(config.clone(), &origin.base, &plan.config.model.path.to_string_lossy());
    let differ = differences(&mine, &plan.config)?;
    if !differ.is_empty() {
        return Err(UserError::bad_input(Text::fixed(
            "This is not the run file that was handed over: settings differ",
            "这不是移交时的运行文件：设置不同",
        ))
        .at_item("--run")
        .details(differ)
        .mend(Text::fixed(
            "name the run file as it was then; or leave --run away: the run comes back, but cannot go on here",
            "请指定移交时的运行文件；或去掉 --run：训练可以取回，但无法在本机继续",
        )));
    }
    // The adapter's first weights came with what was handed over.
    config.method.init_from = PathBuf::new();
    Ok(PlanFile { config, base: origin.base.clone(), ..plan })
}

/// Names of the settings that are not the same.
fn differences(one: &RunConfig, other: &RunConfig) -> Result<Vec<String>> {
    let (one, other) = (settings(one)?, settings(other)?);
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let differ =
        |name: &&String| one.get(*name) != other.get(*name) && !OF_THE_MACHINE.contains(&name.as_str());
    Ok(names.into_iter().filter(differ).cloned().collect())
}

/// The settings by `section.key`, numbers as they are after a way through JSON, which the plan has gone.
fn settings(config: &RunConfig) -> Result<BTreeMap<String, Value>> {
    let sections = || -> serde_json::Result<Value> {
        let text = serde_json::to_string(config)?;
        let config: RunConfig = serde_json::from_str(&text)?;
        serde_json::to_value(config)
    };
    let sections =
        sections().map_err(|err| UserError::failure(Text::new(err.to_string(), err.to_string())))?;
    let mut found = BTreeMap::new();
    for (section, keys) in sections.as_object().into_iter().flatten() {
        for (key, value) in keys.as_object().into_iter().flatten() {
            found.insert(format!("{section}.{key}"), value.clone());
        }
    }
    Ok(found)
}
