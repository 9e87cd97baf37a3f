//! A worker beside the first: a thread with a model of its own, on a device of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use burn::tensor::Device;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use data::Batch;
use protocol::{Control, Result, Text, UserError, text};
use rayon::ThreadPoolBuilder;

use super::carry::{Exchange, Parcel, joined, parcel, parted, summed};
use super::trial;
use crate::methods::Adapter;
use crate::nn::ParamId;
use crate::train::clock::Clock;
use crate::train::evaluate::loss_of;
use crate::train::step::{Found, Learner, Share, StepSettings};
use crate::worker::panic_message;

/// How often somebody who waits for a worker looks whether the user wants to stop.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Makes the worker's learner, on its own thread: a device's tensors belong to the thread that made them.
pub type Build = Box<dyn FnOnce() -> Result<Learner> + Send>;

/// A worker that is to be.
pub struct Post {
    /// Its device, as the run file names it.
    pub name: String,
    pub device: Device,
    pub build: Build,
}

/// Some of a step.
pub struct Portion {
    pub pieces: Vec<(u64, Batch)>,
    pub step: u64,
    pub weight: f32,
    pub settings: StepSettings,
}

/// What a worker is told.
pub enum Order {
    Values(Arc<Parcel>),
    Share(Portion),
    /// The loss of a batch; chunks of its logits have at most so many bytes.
    Evaluate(Batch, usize),
    /// Take part in the sum of the gradients of the last share.
    Sum,
    /// Take part in the handing out of new values.
    Receive,
}

/// What it answers to its making and to each share.
pub enum Reply {
    Ready,
    Done(Sum),
    /// Of a batch.
    Loss(f64),
    /// The user stopped.
    Stopped,
    /// It has ended.
    Failed(UserError),
}

/// What came of a share.
pub struct Sum {
    pub loss: f32,
    /// Parameters that have a gradient.
    pub touched: Vec<ParamId>,
    /// Empty where all sum up together.
    pub gradients: Parcel,
}

/// The first worker's end of another.
pub struct Mate {
    pub name: String,
    pub device: Device,
    orders: Option<Sender<Order>>,
    replies: Receiver<Reply>,
    thread: Option<JoinHandle<()>>,
}

/// What all workers know of the run.
#[derive(Clone)]
pub struct Common {
    /// The first worker's device.
    pub home: Device,
    pub exchange: Exchange,
    /// Stops them in the middle of a share.
    pub wishes: Arc<Control>,
    /// Threads that each computes on, where they share the cores.
    pub threads: Option<usize>,
}

impl Mate {
    /// # Errors
    /// When the system gives no thread.
    pub fn start(post: Post, common: Common) -> Result<Self> {
        let (orders, received) = unbounded();
        let (answers, replies) = unbounded();
        let Post { name, device, build } = post;
        let desk = Desk { name: name.clone(), common, orders: received, replies: answers };
        let thread = std::thread::Builder::new().name(name.clone()).spawn(move || desk.open(build));
        let thread = thread.map_err(|err| no_threads(&err))?;
        Ok(Self { name, device, orders: Some(orders), replies, thread: Some(thread) })
    }

    /// One that has ended hears nothing: its last reply says why.
    pub fn order(&self, order: Order) {
        if let Some(orders) = &self.orders
            && orders.send(order).is_err()
        {
            tracing::debug!("{} has ended already", self.name);
        }
    }

    /// The next reply; `look` is called while there is none.
    ///
    /// # Errors
    /// When the worker has ended.
    pub fn reply(&self, look: impl Fn()) -> Result<Reply> {
        loop {
            match self.replies.recv_timeout(LOOK_EVERY) {
                Ok(Reply::Failed(error)) => return Err(error),
                Ok(reply) => return Ok(reply),
                Err(RecvTimeoutError::Timeout) => look(),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(UserError::failure(Text::fixed("The worker has ended", "工作线程已结束")));
                }
            }
        }
    }
}

impl Drop for Mate {
    fn drop(&mut self) {
        // The thread ends when nobody can order any more.
        self.orders = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("{} panicked outside its work", self.name);
        }
    }
}

/// The worker's own end.
struct Desk {
    name: String,
    common: Common,
    orders: Receiver<Order>,
    replies: Sender<Reply>,
}

impl Desk {
    fn open(self, build: Build) {
        let work = || {
            let worked = catch_unwind(AssertUnwindSafe(|| self.work(build)));
            let worked = worked.unwrap_or_else(|panic| Err(fault(&panic_message(panic.as_ref()))));
            if let Err(error) = worked {
                self.answer(Reply::Failed(error));
            }
        };
        match self.common.threads {
            None => work(),
            Some(threads) => match pool(&self.name, threads) {
                Ok(pool) => pool.install(work),
                Err(error) => self.answer(Reply::Failed(error)),
            },
        }
    }

    fn work(&self, build: Build) -> Result<()> {
        let mut learner = build()?;
        self.answer(Reply::Ready);
        let mut waiting = None;
        while let Ok(order) = self.orders.recv() {
            match order {
                Order::Values(values) => {
                    let device = learner.model.device.clone();
                    let arrived = values.iter().map(|(id, value)| (*id, value.clone().arrived(&device)));
                    learner.put_values(arrived);
                }
                Order::Share(portion) => waiting = self.share(&learner, &portion)?,
                Order::Evaluate(batch, chunk) => {
                    let view = learner.adapter.as_deref().map(Adapter::view);
                    self.answer(Reply::Loss(loss_of(&learner.model, view, &batch, chunk)?));
                }
                Order::Sum => self.sum(&learner, waiting.take()),
                Order::Receive => self.receive(&mut learner),
            }
        }
        Ok(())
    }

    /// What came of it, where it waits for a sum of all.
    fn share(&self, learner: &Learner, portion: &Portion) -> Result<Option<Found>> {
        let Portion { pieces, step, weight, settings } = portion;
        trial(&learner.model.dir, &self.name, *step)?;
        let clock = Clock::off();
        let share = Share { weight: *weight, ..learner.share(*step, settings, &self.common.wishes, &clock) };
        let pieces = pieces.iter().map(|(micro, batch)| (*micro, batch));
        let Some(mut found) = share.compute(pieces)? else {
            self.answer(Reply::Stopped);
            return Ok(None);
        };
        let loss = found.loss.clone().try_into_data().map_err(|err| crate::device_failure(&err))?;
        let loss = loss.iter::<f32>().next().unwrap_or(f32::NAN);
        let touched = found.gradients.keys().copied().collect();
        let gradients = match self.common.exchange {
            Exchange::Host => parcel(std::mem::take(&mut found.gradients), &self.common.home)?,
            Exchange::Collective(_) => Vec::new(),
        };
        self.answer(Reply::Done(Sum { loss, touched, gradients }));
        Ok(matches!(self.common.exchange, Exchange::Collective(_)).then_some(found))
    }

    fn sum(&self, learner: &Learner, found: Option<Found>) {
        let Exchange::Collective(devices) = &self.common.exchange else { return };
        let gradients = found.map(|found| found.gradients).unwrap_or_default();
        // Only the first worker needs the result.
        drop(summed(joined(learner, |id| gradients.get(&id).cloned()), devices));
    }

    fn receive(&self, learner: &mut Learner) {
        let Exchange::Collective(devices) = &self.common.exchange else { return };
        let values = summed(joined(learner, |_| None), devices);
        let values = parted(learner, &values);
        learner.put_values(values);
    }

    fn answer(&self, reply: Reply) {
        if self.replies.send(reply).is_err() {
            tracing::debug!("nobody waits for {} any more", self.name);
        }
    }
}

/// Threads of a worker's own.
///
/// # Errors
/// When the system gives none.
pub fn pool(name: &str, threads: usize) -> Result<rayon::ThreadPool> {
    let prefix = name.to_owned();
    let named = ThreadPoolBuilder::new().thread_name(move |index| format!("{prefix}-{index}"));
    named.num_threads(threads).build().map_err(|err| no_threads(&err))
}

fn no_threads(err: &dyn std::fmt::Display) -> UserError {
    UserError::failure(text!("No threads to compute on: {err}", "无法创建计算线程：{err}"))
}

/// A panic, as an error.
pub fn fault(message: &str) -> UserError {
    tracing::error!("panic in a worker: {message}");
    UserError::failure(text!("A fault in the program: {message}", "程序内部错误：{message}"))
}
