//! Frozen matrices that are not on the device: brought there when their block works, and gone when it has. So a model
//! needs the memory of two blocks, the one at work and the one that is read meanwhile, whatever its size.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;

use burn::tensor::{Device, Tensor, TensorData};
use crossbeam_channel::{Receiver, Sender, unbounded};
use protocol::Result;

/// Where the numbers of a matrix come from, each time they are wanted.
pub trait Source: Send + Sync {
    /// `[rows, columns]`, as the device is to hold it.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self) -> Result<TensorData>;
}

/// A matrix that stays with its source.
pub struct Elsewhere {
    source: Box<dyn Source>,
    device: Device,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Its block works: what is brought stays until that is over.
    at_work: bool,
    /// Read ahead, not yet on the device.
    ahead: Option<TensorData>,
    here: Option<Tensor<2>>,
}

impl Elsewhere {
    pub fn new(source: Box<dyn Source>, device: &Device) -> Self {
        Self { source, device: device.clone(), state: Mutex::default() }
    }

    /// On the device. Outside its block's work it is brought for this use alone.
    ///
    /// # Panics
    /// When the source cannot be read any more: the file was changed meanwhile.
    pub fn matrix(&self) -> Tensor<2> {
        let mut state = self.state();
        if let Some(here) = &state.here {
            return here.clone();
        }
        let data = state.ahead.take().unwrap_or_else(|| {
            self.source.read().unwrap_or_else(|err| panic!("weights cannot be read any more: {err}"))
        });
        let dtype = data.dtype();
        let matrix = Tensor::from_data(data, (&self.device, dtype));
        if state.at_work {
            state.here = Some(matrix.clone());
        }
        matrix
    }

    /// Reads it, if that is still wanted when its turn has come.
    fn read_ahead(&self, wanted: impl Fn() -> bool) {
        let mut state = self.state();
        if wanted() && state.here.is_none() && state.ahead.is_none() {
            // Whoever needs it reads it again, and tells what went wrong.
            state.ahead = self.source.read().ok();
        }
    }

    fn enter(&self) {
        self.state().at_work = true;
    }

    fn leave(&self) {
        *self.state() = State::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic leaves it as it was before or after: nothing is half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Elsewhere").finish_non_exhaustive()
    }
}

/// The blocks of a model with the matrices of each that are elsewhere, and the thread that reads the next block's.
pub struct Stream {
    blocks: Arc<Blocks>,
    next: Option<Sender<usize>>,
    thread: Option<JoinHandle<()>>,
}

struct Blocks {
    /// A matrix that is trained is taken out of the model, and lives here no longer.
    matrices: Vec<Vec<Weak<Elsewhere>>>,
    /// The block that is to be read; a number beyond them for none.
    wanted: AtomicUsize,
}

/// Not a block.
const NONE: usize = usize::MAX;

impl Stream {
    /// `blocks` in the model's order. Without a thread to spare nothing is read ahead.
    pub fn new(blocks: Vec<Vec<Weak<Elsewhere>>>) -> Self {
        let blocks = Arc::new(Blocks { matrices: blocks, wanted: AtomicUsize::new(NONE) });
        let (next, orders) = unbounded();
        let reader = Arc::clone(&blocks);
        let thread = std::thread::Builder::new()
            .name("weights".into())
            .spawn(move || read_ahead(&reader, &orders))
            .map_err(|err| tracing::warn!("no thread reads weights ahead: {err}"));
        Self { blocks, next: Some(next), thread: thread.ok() }
    }

    /// Block `index` begins to work, and `next` will come after it.
    pub fn enter(&self, index: usize, next: Option<usize>) -> AtWork<'_> {
        let block = AtWork { blocks: &self.blocks, index };
        block.each(Elsewhere::enter);
        self.blocks.wanted.store(next.unwrap_or(NONE), Ordering::Release);
        if let (Some(orders), Some(next)) = (&self.next, next) {
            orders.send(next).unwrap_or_else(|err| tracing::debug!("nothing reads ahead: {err}"));
        }
        block
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // The thread ends when nobody can order any more.
        self.next = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that reads weights panicked");
        }
    }
}

/// A block at work; its matrices go when this does.
#[must_use = "the block works as long as this lives"]
pub struct AtWork<'a> {
    blocks: &'a Blocks,
    index: usize,
}

impl AtWork<'_> {
    fn each(&self, action: impl Fn(&Elsewhere)) {
        self.blocks.each(self.index, action);
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.each(Elsewhere::leave);
    }
}

impl Blocks {
    fn each(&self, index: usize, action: impl Fn(&Elsewhere)) {
        let matrices = self.matrices.get(index).into_iter().flatten();
        matrices.filter_map(Weak::upgrade).for_each(|matrix| action(&matrix));
    }
}

fn read_ahead(blocks: &Blocks, orders: &Receiver<usize>) {
    while let Ok(index) = orders.recv() {
        // Looked at with each matrix locked: once the block has left it, nothing is read into it any more.
        blocks.each(index, |matrix| matrix.read_ahead(|| blocks.wanted.load(Ordering::Acquire) == index));
    }
}
