//! Data parallel: every device has the model and computes its share of each step; the first one sums the gradients,
//! updates, and hands the new values out. So all have the same values to the last bit, whatever their kernels round, and
//! a checkpoint is the first one's. Losses and gradients are sums over labelled tokens with the weight of the whole
//! step, so a share's size changes nothing but the order of a sum. Dropout draws by the row of the micro-batch: the same
//! masks as on one device.

mod carry;
mod mate;
mod shares;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use burn::tensor::{Device, Tensor};
use data::Batch;
use protocol::{Control, Result, Text, UserError, text};
use rayon::ThreadPool;

pub use carry::Exchange;
pub use mate::{Build, Post};
pub use shares::{Piece, shares};

use self::carry::{add, joined, parcel, parted, summed};
use self::mate::{Common, Mate, Order, Portion, Reply, Sum};
use super::clock::Clock;
use super::evaluate::loss_of;
use super::step::{Found, Learner, Share, StepResult, StepSettings, weight_of};
use crate::methods::Adapter;
use crate::nn::ParamId;
use crate::worker::panic_message;

/// A run's folder, a device's name and a step: may fail instead of the device.
pub type Trial = fn(&Path, &str, u64) -> Result<()>;

/// Called by every worker before its share of a step, with the model's folder, the device's name and the step: for
/// tests, which make it fail.
pub static TRIAL: OnceLock<Trial> = OnceLock::new();

fn trial(model: &Path, name: &str, step: u64) -> Result<()> {
    TRIAL.get().map_or(Ok(()), |trial| trial(model, name, step))
}

/// All workers of a run, as the first of them sees them. Its learner is the run's own.
pub struct Workers {
    /// The first one's device.
    name: String,
    mates: Vec<Mate>,
    exchange: Exchange,
    wishes: Arc<Control>,
    /// The first one's own threads, where all share the cores.
    pool: Option<ThreadPool>,
}

impl Workers {
    /// The first worker, and nobody else.
    pub fn alone() -> Self {
        Self {
            name: String::new(),
            mates: Vec::new(),
            exchange: Exchange::Host,
            wishes: Arc::default(),
            pool: None,
        }
    }

    /// Starts others beside the first, whose device is called `name`, and gives them the learner's values. Workers of
    /// the CPU get an equal part of the threads of the caller's pool, at least one each.
    ///
    /// # Errors
    /// When one of them cannot be made: names its device.
    pub fn start(name: &str, learner: &Learner, posts: Vec<Post>, exchange: Exchange) -> Result<Self> {
        if posts.is_empty() {
            return Ok(Self::alone());
        }
        let home = learner.model.device.clone();
        let each = (rayon::current_num_threads() / (posts.len() + 1)).max(1);
        let threads = (home == Device::flex()).then_some(each);
        let pool = threads.map(|threads| mate::pool(name, threads)).transpose()?;
        let wishes = Arc::new(Control::default());
        let common = Common { home, exchange: exchange.clone(), wishes: wishes.clone(), threads };
        let mates = posts.into_iter().map(|post| Mate::start(post, common.clone())).collect::<Result<_>>()?;
        let workers = Self { name: name.to_owned(), mates, exchange, wishes, pool };
        for mate in &workers.mates {
            mate.reply(|| {}).map_err(|error| not_started(&mate.name, error))?;
        }
        workers.send_values(learner.every_value())?;
        Ok(workers)
    }

    pub fn count(&self) -> usize {
        self.mates.len() + 1
    }

    /// As [`Learner::timed_step`], shared by all.
    ///
    /// # Errors
    /// As there; names the device that failed.
    pub fn step(
        &self,
        learner: &mut Learner,
        batches: &[Batch],
        (step, lr): (u64, f64),
        settings: &StepSettings,
        control: &Control,
        clock: &Clock,
    ) -> Result<Option<StepResult>> {
        if self.mates.is_empty() {
            return learner.timed_step(batches, step, lr, settings, control, clock);
        }
        let weight = weight_of(batches);
        let mut shares = shares(batches, self.count()).into_iter();
        let own = shares.next().unwrap_or_default();
        self.wishes.reset();
        for (mate, share) in self.mates.iter().zip(shares) {
            let pieces = share.into_iter().map(|(micro, batch)| (micro, batch.clone())).collect();
            mate.order(Order::Share(Portion { pieces, step, weight, settings: *settings }));
        }
        let share = Share { weight, ..learner.share(step, settings, control, clock) };
        let found = self.own(share, own);
        let Some((found, sums)) = self.gathered(found, step, control)? else { return Ok(None) };
        clock.lap(|phases| &mut phases.backward);
        let found = self.total(learner, found, sums);
        let result = learner.conclude(found, weight, lr, settings)?;
        if result.applied {
            self.hand_out(learner)?;
        }
        clock.lap(|phases| &mut phases.optimizer);
        Ok(Some(result))
    }

    /// Summed loss of each batch, in their order; there are at most as many as workers.
    ///
    /// # Errors
    /// As [`batch_loss`](super::batch_loss); names the device that failed.
    pub fn losses(&self, learner: &Learner, batches: &[Batch], chunk: usize) -> Result<Vec<f64>> {
        let Some((own, others)) = batches.split_first() else { return Ok(Vec::new()) };
        for (mate, batch) in self.mates.iter().zip(others) {
            mate.order(Order::Evaluate(batch.clone(), chunk));
        }
        let step = u64::from(learner.updates).saturating_sub(1);
        let (model, view) = (&learner.model, learner.adapter.as_deref().map(Adapter::view));
        let own = self.first(|| loss_of(model, view, own, chunk));
        let own = own.map_err(|error| failed(&self.name, step, error));
        let theirs = self.mates.iter().zip(others).map(|(mate, _)| match mate.reply(|| {}) {
            Ok(Reply::Loss(loss)) => Ok(loss),
            Ok(_) => Err(mate::fault("another reply than a loss")),
            Err(error) => Err(failed(&mate.name, step, error)),
        });
        // Everybody is waited for, whatever came of the first one's batch.
        let theirs: Vec<_> = theirs.collect();
        std::iter::once(own).chain(theirs).collect()
    }

    /// The first worker's share.
    fn own(&self, share: Share<'_>, pieces: Vec<Piece<'_>>) -> Result<Option<Found>> {
        self.first(|| {
            trial(&share.model.dir, &self.name, share.step)?;
            share.compute(pieces)
        })
    }

    /// Work of the first worker, on its own threads.
    fn first<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let caught = || catch_unwind(AssertUnwindSafe(work));
        let done = match &self.pool {
            Some(pool) => pool.install(caught),
            None => caught(),
        };
        done.unwrap_or_else(|panic| Err(mate::fault(&panic_message(panic.as_ref()))))
    }

    /// Waits for everybody, whatever came of the first worker's share: nobody computes behind a step's back. None if the
    /// user stopped.
    fn gathered(
        &self,
        own: Result<Option<Found>>,
        step: u64,
        control: &Control,
    ) -> Result<Option<(Found, Vec<Sum>)>> {
        if !matches!(own, Ok(Some(_))) {
            self.wishes.stop();
        }
        let own = own.map_err(|error| failed(&self.name, step, error));
        let look = || {
            if control.stop_wanted() {
                self.wishes.stop();
            }
        };
        let mut sums = Vec::with_capacity(self.mates.len());
        let mut first_error = None;
        for mate in &self.mates {
            match mate.reply(look) {
                Ok(Reply::Done(sum)) => sums.push(sum),
                Ok(Reply::Ready | Reply::Stopped | Reply::Loss(_) | Reply::Failed(_)) => {}
                Err(error) => {
                    // The others need not go on.
                    self.wishes.stop();
                    first_error.get_or_insert(failed(&mate.name, step, error));
                }
            }
        }
        match (own?, first_error) {
            (_, Some(error)) => Err(error),
            (Some(found), None) if sums.len() == self.mates.len() => Ok(Some((found, sums))),
            _ => Ok(None),
        }
    }

    /// What all found together, in the order of the devices.
    fn total(&self, learner: &Learner, found: Found, sums: Vec<Sum>) -> Found {
        let Found { mut gradients, loss } = found;
        let add_loss = |sum: Tensor<1>, other: &Sum| sum.add_scalar(other.loss);
        let loss = sums.iter().fold(loss, add_loss);
        match &self.exchange {
            Exchange::Host => {
                for sum in sums {
                    add(&mut gradients, sum.gradients, &learner.model.device);
                }
            }
            Exchange::Collective(devices) => {
                self.order_all(|| Order::Sum);
                let all = summed(joined(learner, |id| gradients.get(&id).cloned()), devices);
                let touched = |id: &ParamId| {
                    gradients.contains_key(id) || sums.iter().any(|sum| sum.touched.contains(id))
                };
                let mut all = parted(learner, &all);
                all.retain(|(id, _)| touched(id));
                gradients = all.into_iter().collect();
            }
        }
        Found { gradients, loss }
    }

    /// The new values, to everybody.
    fn hand_out(&self, learner: &Learner) -> Result<()> {
        match &self.exchange {
            Exchange::Host => {
                self.send_values(learner.trained_params().map(|(id, param)| (id, param.value.flat())))
            }
            Exchange::Collective(devices) => {
                self.order_all(|| Order::Receive);
                let value = |id| learner.trained_param(id).map(|param| param.value.flat());
                // The others add nothing to them.
                drop(summed(joined(learner, value), devices));
                Ok(())
            }
        }
    }

    fn send_values(&self, values: impl Iterator<Item = (ParamId, Tensor<1>)>) -> Result<()> {
        let values: Vec<_> = values.collect();
        // Brought to the host once where that is their way; devices of one run are of one kind.
        let Some(mate) = self.mates.first() else { return Ok(()) };
        let values = Arc::new(parcel(values, &mate.device)?);
        self.order_all(|| Order::Values(values.clone()));
        Ok(())
    }

    fn order_all(&self, order: impl Fn() -> Order) {
        self.mates.iter().for_each(|mate| mate.order(order()));
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.wishes.stop();
    }
}

/// Whatever went wrong, with the device where it did.
fn failed(name: &str, step: u64, error: UserError) -> UserError {
    let (step, (en, zh)) = (step + 1, (error.what.en.clone(), error.what.zh.clone()));
    on_device(
        name,
        UserError {
            what: text!("{name} failed in step {step}: {en}", "{name} 在第 {step} 步出错：{zh}"),
            ..error
        },
    )
}

fn not_started(name: &str, error: UserError) -> UserError {
    let (en, zh) = (error.what.en.clone(), error.what.zh.clone());
    on_device(
        name,
        UserError { what: text!("{name} could not begin: {en}", "{name} 无法开始：{zh}"), ..error },
    )
}

fn on_device(name: &str, mut error: UserError) -> UserError {
    error.place.item.get_or_insert_with(|| name.to_owned());
    let mend = || {
        Text::fixed(
            "go on from the last checkpoint with `--resume`; without this device, name the others with `--device`",
            "可用 `--resume` 从最近的检查点继续；若不再使用该设备，请用 `--device` 写出其余设备",
        )
    };
    error.mend.get_or_insert_with(mend);
    error
}
