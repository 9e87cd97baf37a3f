//! `estimate`.

use std::path::Path;
use std::sync::Arc;

use data::{Extension, SamplerOptions};
use protocol::{Estimate, Event, RequestId, Result, RunConfig, UserError};

use crate::batches::{check_packing, longest_row};
use crate::costs::Costs;
use crate::device::{self, Chosen};
use crate::export::{StoredAs, model_bytes};
use crate::methods::{self, Footprint};
use crate::models::{Growth, ModelFolder};
use crate::optim::Schedule;
use crate::plan::{absolute, check_length, check_numbers, open_model};
use crate::remedies::Standing;
use crate::sink::Sink;
use crate::weights::DEFAULT_SHARD_BYTES;

/// Points of a learning-rate curve.
const CURVE: u64 = 256;

/// What the settings cost, from the model's headers alone. What speaks against them is in the answer.
pub fn estimate(
    request: RequestId,
    (config, base): (RunConfig, &Path),
    (steps, longest): (Option<u64>, Option<u64>),
    chosen: &Chosen,
    sink: &mut Sink,
) -> Result<()> {
    let config = absolute(config, base);
    let mut estimate = Estimate::default();
    let time = longest_row(&config, longest.unwrap_or(u64::MAX));
    let devices = device::for_run(chosen, &config.train.devices);
    let chosen = devices.as_ref().unwrap_or(chosen);
    let mut weigher = Weigher { config: &config, time, chosen, estimate: &mut estimate };
    weigher.keep(devices.as_ref().map_err(UserError::clone));
    weigher.schedule(steps.or(Some(config.train.max_steps)).unwrap_or(0));
    if let Some(mut folder) = weigher.keep(open_model(&config)) {
        let grown = grow(&mut folder, &config);
        weigher.keep(grown);
        weigher.model(&folder);
    }
    sink.emit(Event::Estimated { request, estimate: Box::new(estimate) });
    Ok(())
}

/// Rows for as many new tokens as there can be: they are not made for an estimate.
fn grow(folder: &mut ModelFolder, config: &RunConfig) -> Result<()> {
    let rows = folder.info.vocabulary;
    let most = Extension::at_most(&config.vocabulary, rows)?.map(Arc::new);
    let growth =
        most.map(|most| Growth::new(most, rows, config.vocabulary.train).map(Arc::new)).transpose()?;
    folder.resize(growth)
}

struct Weigher<'a> {
    config: &'a RunConfig,
    /// Tokens of the longest row.
    time: u64,
    chosen: &'a Chosen,
    estimate: &'a mut Estimate,
}

impl Weigher<'_> {
    /// What could be found out; a problem is noted.
    fn keep<T>(&mut self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(problem) => {
                self.note(problem);
                None
            }
        }
    }

    fn note(&mut self, problem: UserError) {
        self.estimate.problems.push(problem);
    }

    fn schedule(&mut self, steps: u64) {
        let sound = self.keep(check_numbers(self.config)).is_some();
        self.keep(SamplerOptions::new(&self.config.train));
        let schedule = self.keep(Schedule::new(&self.config.train, steps));
        if let Some(schedule) = schedule.filter(|_| sound && steps > 0) {
            self.estimate.steps = steps;
            self.estimate.learning_rates = curve(&schedule, steps);
        }
    }

    fn model(&mut self, folder: &ModelFolder) {
        let config = self.config;
        self.estimate.parameters = folder.model().params.elements();
        let footprint = self.keep(methods::footprint(folder.model(), &config.method, &config.model.path));
        let front = footprint.as_ref().map(|footprint| footprint.front).unwrap_or_default();
        self.keep(check_length(config, &folder.info, front));
        self.keep(check_packing(config, folder.model()));
        let costs = self.keep(Costs::new(folder, config, self.chosen));
        let Some(footprint) = footprint else { return };
        self.estimate.trainable = footprint.trainable(folder.model());
        let bytes = self.keep(result_bytes(folder, &footprint));
        self.estimate.adapter_bytes = bytes.unwrap_or(0);
        self.estimate.targets.clone_from(&footprint.targets);
        if let Some(costs) = costs {
            self.keep(costs.optimizer.suits(footprint.is_own()));
            self.memory(&costs, &footprint);
        }
    }

    fn memory(&mut self, costs: &Costs<'_>, footprint: &Footprint) {
        let (rows, time) = (self.config.train.batch_size, self.time);
        let forecast = costs.told(footprint, rows, time).forecast;
        if !forecast.fits {
            let standing =
                Standing { config: self.config, costs, footprint, rows, time, forecast: &forecast };
            self.note(standing.refusal());
        }
        self.estimate.forecast = forecast;
    }
}

/// The adapter's files; for a full fine-tune, the model's.
fn result_bytes(folder: &ModelFolder, footprint: &Footprint) -> Result<u64> {
    if footprint.is_adapter() {
        return Ok(footprint.adapter_bytes());
    }
    model_bytes(folder, StoredAs::Keep, DEFAULT_SHARD_BYTES)
}

/// Rates at evenly spaced updates, the first and the last included.
fn curve(schedule: &Schedule, steps: u64) -> Vec<f64> {
    let points = steps.min(CURVE);
    let last = u128::from(steps - 1);
    let update = |point: u64| (u128::from(point) * last / u128::from((points - 1).max(1))) as u64;
    (0..points).map(|point| schedule.rate(update(point))).collect()
}
