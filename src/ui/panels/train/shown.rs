//! The runs in the plots: the one under way, and those it is compared with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use egui::Color32;

use super::figures::{Axis, RunCurves};
use crate::panels::PanelCtx;
use crate::state::history::History;
use crate::theme::Tokens;

/// A run in the plots.
pub struct Shown<'a> {
    /// The run under way, or the last one.
    pub main: bool,
    pub name: String,
    pub dir: Option<PathBuf>,
    pub colour: Color32,
    pub hidden: bool,
    pub history: &'a History,
    pub curves: &'a mut RunCurves,
}

/// Curves by folder; the run under way has none of its own until it is planned.
pub type Kept = BTreeMap<PathBuf, RunCurves>;

/// The runs to draw, the one under way first, with their curves up to date. What is no longer shown is dropped.
pub fn collect<'a>(
    ctx: &PanelCtx<'a>,
    tokens: &Tokens,
    kept: &'a mut Kept,
    hidden: &[PathBuf],
    axis: Axis,
    weight: f64,
) -> Vec<Shown<'a>> {
    let state = ctx.state;
    let main = main_key(ctx);
    let compared: Vec<&PathBuf> = compared(ctx).collect();
    kept.retain(|dir, _| *dir == main || compared.contains(&dir));
    for dir in std::iter::once(&main).chain(compared) {
        kept.entry(dir.clone()).or_default();
    }
    let mut runs: Vec<Shown<'a>> = Vec::new();
    for (dir, curves) in kept.iter_mut() {
        let is_main = *dir == main;
        let history = match state.runs.recorded.get(dir) {
            _ if is_main => &state.train.history,
            Some(recorded) => &recorded.history,
            None => continue,
        };
        curves.sync(history, axis, weight);
        runs.push(Shown {
            main: is_main,
            name: name(ctx, dir, is_main),
            dir: (!is_main).then(|| dir.clone()),
            colour: colour(ctx, tokens, dir, is_main),
            hidden: hidden.contains(dir),
            history,
            curves,
        });
    }
    let place = |shown: &Shown<'_>| {
        let compared = |dir: &PathBuf| state.runs.compared.iter().position(|known| known == dir);
        shown.dir.as_ref().and_then(compared).map_or(0, |place| place + 1)
    };
    runs.sort_by_key(place);
    runs
}

/// Compared runs other than the one under way.
pub fn compared<'a>(ctx: &PanelCtx<'a>) -> impl Iterator<Item = &'a PathBuf> + use<'a> {
    let state = ctx.state;
    state.runs.compared.iter().filter(|dir| state.train.dir.as_ref() != Some(dir))
}

pub fn main_key(ctx: &PanelCtx<'_>) -> PathBuf {
    ctx.state.train.dir.clone().unwrap_or_default()
}

/// The colour of a run: the first for the one under way, then by place in the comparison.
pub fn colour(ctx: &PanelCtx<'_>, tokens: &Tokens, dir: &Path, main: bool) -> Color32 {
    if main {
        return tokens.series[0];
    }
    let place = ctx.state.runs.compared.iter().position(|known| known == dir).unwrap_or(0);
    tokens.series[1 + place % (tokens.series.len() - 1)]
}

fn name(ctx: &PanelCtx<'_>, dir: &Path, main: bool) -> String {
    if main && let Some(run) = &ctx.state.train.run {
        return run.0.clone();
    }
    match ctx.state.runs.find(dir) {
        Some(run) => run.name.clone(),
        None => dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
    }
}
