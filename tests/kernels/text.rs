//! The text of every kernel as CUDA's compiler gets it, made without a device.

use std::sync::Arc;

use cubecl::prelude::{DeviceProperties, KernelDefinition};
use cubecl::{Compiler, client::Client};
use cubecl_cpp::register_supported_types;
use cubecl_cpp::shared::{CompilationOptions, CppCompiler};
use cubecl_cpp::target::Cuda;
use kernels::{
    AdamW, Buffer, Bytes, CrossEntropy, Definitions, Element, Factors, Gradient, Moments, Nibbles, Norm,
    Rope, SUMS, Softmax, Squares, Swiglu, TOGETHER, Target, adamw, bytes, cross_entropy, nibbles, norm,
    norm_backward, norm_gain, rope, softmax, softmax_backward, squares, swiglu, swiglu_backward,
};

const ELEMENTS: [(Element, &str); 3] =
    [(Element::F32, "f32"), (Element::Bf16, "bf16"), (Element::F16, "f16")];

/// In the order in which [`define`] makes them.
const NAMES: [&str; 14] = [
    "cross_entropy",
    "softmax",
    "softmax_backward",
    "norm",
    "norm_backward",
    "norm_gain",
    "swiglu",
    "swiglu_backward",
    "rope",
    "adamw",
    "adamw_together",
    "squares",
    "nibbles",
    "bytes",
];

/// File names and texts: every kernel in every element type and for both widths of a load.
///
/// # Panics
/// If a kernel cannot be written in CUDA's language: that is what is asked.
pub fn all(client: &Client) -> Vec<(String, String)> {
    let device = Arc::new(nvidia(client));
    let mut texts = Vec::new();
    for (element, word) in ELEMENTS {
        for columns in [64, 63] {
            let mut kept = Definitions {
                device: device.clone(),
                target: client.target_properties_shared(),
                kernels: Vec::new(),
            };
            define(&mut kept, client, element, columns);
            let lanes = if columns == 64 { "wide" } else { "narrow" };
            for (name, kernel) in NAMES.into_iter().zip(kept.kernels) {
                texts.push((format!("{name}_{word}_{lanes}.cu"), text(kernel)));
            }
        }
    }
    texts
}

fn define(kept: &mut Definitions, client: &Client, element: Element, columns: usize) {
    let buffer = |elements: usize| Buffer::new(client.empty(elements * 4), elements, 4);
    let of = CrossEntropy {
        logits: buffer(2 * columns),
        element,
        targets: buffer(2),
        losses: buffer(2),
        weight: 1.0,
    };
    cross_entropy(Target::Text(kept), of);
    let of = Softmax {
        scores: buffer(2 * columns),
        element,
        heads: 2,
        queries: 1,
        keys: columns,
        scale: 1.0,
        cap: None,
        before: columns - 1,
        window: None,
        slopes: None,
        starts: None,
    };
    softmax(Target::Text(kept), of.clone(), &buffer(1));
    softmax_backward(Target::Text(kept), of, Gradient { buffer: buffer(2 * columns) }, &buffer(1));
    define_layers(kept, buffer, element, columns);
    define_update(kept, buffer, columns);
    if columns % 8 != 0 {
        return;
    }
    let (codes, scales, dense) = (buffer(columns / 8), buffer(1), buffer(columns));
    nibbles(Target::Text(kept), Nibbles { codes, table: buffer(16), scales, block: 64, dense, element });
    let (codes, scales, dense) = (buffer(columns / 4), buffer(1), buffer(columns));
    bytes(Target::Text(kept), Bytes { codes, scales, by_rows: true, columns, dense, element });
}

fn define_layers(kept: &mut Definitions, buffer: impl Fn(usize) -> Buffer, element: Element, columns: usize) {
    let of = Norm {
        x: buffer(2 * columns),
        element,
        weight: buffer(columns),
        bias: None,
        added: 0.0,
        eps: 1e-6,
        rounded: true,
        centred: false,
    };
    norm(Target::Text(kept), of.clone(), buffer(2 * columns));
    let [gradient, dx, moments] = [buffer(2 * columns), buffer(2 * columns), buffer(4)];
    norm_backward(Target::Text(kept), of.clone(), gradient.clone(), dx, moments.clone());
    norm_gain(Target::Text(kept), of, gradient.clone(), moments, buffer(columns));
    let of = Swiglu { gate: buffer(2 * columns), up: buffer(2 * columns), element };
    swiglu(Target::Text(kept), of.clone(), buffer(2 * columns));
    swiglu_backward(Target::Text(kept), of, gradient);
    let half = columns / 2;
    let of = Rope {
        x: buffer(2 * columns),
        strides: [0, 0, columns],
        shape: [1, 1, 2, columns],
        element,
        cos: buffer(2 * half),
        sin: buffer(2 * half),
        half,
        interleaved: false,
        back: false,
        turned: buffer(2 * columns),
        by_token: false,
    };
    rope(Target::Text(kept), of);
}

fn define_update(kept: &mut Definitions, buffer: impl Fn(usize) -> Buffer, columns: usize) {
    let moments = || {
        let [param, gradient, m, v] = [(); 4].map(|()| buffer(columns));
        Moments { param, gradient, m, v }
    };
    let factors = Factors {
        beta1: 0.9,
        rest1: 0.1,
        beta2: 0.99,
        rest2: 0.01,
        keep: 1.0,
        step: 1.0,
        root: 1.0,
        eps: 1e-8,
    };
    for count in [1, TOGETHER] {
        let tensors = (0..count).map(|_| moments()).collect();
        adamw(Target::Text(kept), AdamW { tensors, scale: buffer(1), factors });
    }
    let tensors = (0..TOGETHER).map(|_| buffer(columns)).collect();
    squares(Target::Text(kept), Squares { tensors, sums: buffer(TOGETHER * SUMS), first: 0 });
}

/// The properties of a card of NVIDIA's as far as a kernel's text depends on them.
fn nvidia(client: &Client) -> DeviceProperties {
    let mut properties = client.properties().clone();
    properties.features = Default::default();
    register_supported_types(&mut properties);
    properties.features.memory_reinterpret = true;
    properties.features.alignment = true;
    properties.hardware.plane_size_min = 32;
    properties.hardware.plane_size_max = 32;
    properties.hardware.load_width = 128;
    properties.hardware.max_shared_memory_size = 48 << 10;
    properties.hardware.max_units_per_cube = 1024;
    properties
}

/// As cubecl's CUDA runtime compiles it.
fn text(kernel: KernelDefinition) -> String {
    let mut options = CompilationOptions::default();
    options.supports_features.grid_constants = true;
    options.supports_features.fast_math = true;
    let compiled = CppCompiler::<Cuda>::default().compile(kernel, &options);
    compiled.map(|kernel| kernel.to_string()).unwrap_or_else(|err| panic!("{err:?}"))
}
