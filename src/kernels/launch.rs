//! What all launches share: buffers, element types, and how much of the device is asked for.

use cubecl::calculate_cube_count_elemwise;
use cubecl::ir::{ElemType, FloatKind};
use cubecl::prelude::*;
use cubecl::server::Handle;

/// The element type of a tensor that a kernel reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    F32,
    Bf16,
    F16,
}

impl Element {
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }

    pub(crate) fn kind(self) -> ElemType {
        ElemType::Float(match self {
            Self::F32 => FloatKind::F32,
            Self::Bf16 => FloatKind::BF16,
            Self::F16 => FloatKind::F16,
        })
    }
}

/// Contiguous memory of a device.
#[derive(Clone, Debug)]
pub struct Buffer {
    handle: Handle,
    elements: usize,
}

impl Buffer {
    /// # Panics
    /// If the memory is shorter than so many elements of so many bytes.
    pub fn new(handle: Handle, elements: usize, bytes: usize) -> Self {
        let there = handle.size_in_used();
        assert!(there >= (elements * bytes) as u64, "{elements} elements of {bytes} bytes in {there} bytes");
        Self { handle, elements }
    }

    pub fn len(&self) -> usize {
        self.elements
    }

    pub fn is_empty(&self) -> bool {
        self.elements == 0
    }

    #[expect(unsafe_code, reason = "the length was held against the memory's")]
    pub(crate) fn arg(self) -> BufferArg {
        // SAFETY: `new` has compared the length with that of the memory.
        unsafe { BufferArg::from_raw_parts(self.handle, self.elements) }
    }
}

/// Where a kernel goes.
pub enum Target<'a> {
    /// To a device, to run behind what was launched there before.
    Device(&'a Client),
    /// Nowhere: what would be compiled is kept.
    Text(&'a mut Definitions),
}

/// Kernels as a compiler gets them, for a device that need not be there.
pub struct Definitions {
    pub device: std::sync::Arc<DeviceProperties>,
    pub target: std::sync::Arc<TargetProperties>,
    pub kernels: Vec<KernelDefinition>,
}

/// Elements that a unit reads at once, where rows of so many allow it. Two kernels for each element type, and no more:
/// what a device checks is what it runs.
pub(crate) fn lanes(columns: usize) -> usize {
    if columns.is_multiple_of(4) { 4 } else { 1 }
}

/// At least one cube of so many units for each row; those above have nothing to do.
pub(crate) fn cube_a_row(target: &Target<'_>, rows: usize, units: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new_1d(units as u32);
    (cubes(target, rows * units, dim), dim)
}

/// Cubes for so many units of work.
pub(crate) fn cubes(target: &Target<'_>, units: usize, dim: CubeDim) -> CubeCount {
    match target {
        Target::Device(client) => calculate_cube_count_elemwise(client, units, dim),
        Target::Text(_) => CubeCount::Static(1, 1, 1),
    }
}

/// Launches a kernel, or keeps its definition.
macro_rules! start {
    ($kernel:ident, $target:expr, $count:expr, $dim:expr, $($argument:expr),* $(,)?) => {
        match $target {
            $crate::launch::Target::Device(client) => $kernel::launch(client, $count, $dim, $($argument),*),
            $crate::launch::Target::Text(kept) => {
                let (device, target) = (kept.device.clone(), kept.target.clone());
                let kernel = $kernel::create_dummy_kernel(device, target, $count, $dim, $($argument),*);
                kept.kernels.push(kernel.define());
            }
        }
    };
}
pub(crate) use start;
