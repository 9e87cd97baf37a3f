//! Every kernel of `src/kernels` held against a plain loop in `f64`, on a runtime that needs no NVIDIA GPU (wgpu, with Mesa's
//! lavapipe where there is no GPU at all); and the text that CUDA's compiler would get.

pub mod text;

#[cfg(test)]
mod adamw;
#[cfg(test)]
mod cross_entropy;
#[cfg(test)]
mod norm;
#[cfg(test)]
mod rope;
#[cfg(test)]
mod softmax;
#[cfg(test)]
mod squares;
#[cfg(test)]
mod swiglu;
#[cfg(test)]
mod unpack;

use cubecl::client::Client;
use cubecl::features::TypeUsage;
use cubecl::ir::{ElemType, FloatKind};
use cubecl::server::Handle;
use kernels::{Buffer, Element};

/// The device that the tests run on.
pub fn client() -> Client {
    cubecl::Device::Wgpu(Default::default()).client()
}

/// Those of the kernels' element types that the device has.
pub fn element_types(client: &Client) -> Vec<Element> {
    let has = |kind| client.properties().type_usage(ElemType::Float(kind)).contains(TypeUsage::Buffer);
    let (f16, bf16) = (has(FloatKind::F16), has(FloatKind::BF16));
    let all = [(Element::F32, true), (Element::F16, f16), (Element::Bf16, bf16)];
    all.into_iter().filter(|(_, has)| *has).map(|(element, _)| element).collect()
}

/// Memory of the device, to be read again.
pub struct Memory {
    client: Client,
    handle: Handle,
    elements: usize,
    element: Element,
}

impl Memory {
    /// The numbers, rounded to the element type.
    pub fn of(client: &Client, values: &[f32], element: Element) -> Self {
        let bytes: Vec<u8> = match element {
            Element::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Element::F16 => {
                values.iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes()).collect()
            }
            Element::Bf16 => {
                values.iter().flat_map(|value| half::bf16::from_f32(*value).to_le_bytes()).collect()
            }
        };
        Self {
            client: client.clone(),
            handle: client.create_from_slice(&bytes),
            elements: values.len(),
            element,
        }
    }

    pub fn floats(client: &Client, values: &[f32]) -> Self {
        Self::of(client, values, Element::F32)
    }

    pub fn words(client: &Client, values: impl Iterator<Item = u32>) -> Self {
        Self::floats(client, &values.map(f32::from_bits).collect::<Vec<_>>())
    }

    pub fn buffer(&self) -> Buffer {
        Buffer::new(self.handle.clone(), self.elements, self.element.bytes())
    }

    pub fn read(&self) -> Vec<f32> {
        let bytes = self.client.read_one(self.handle.clone()).expect("the kernel ran");
        let number = |bytes: &[u8]| match self.element {
            Element::F32 => f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            Element::F16 => half::f16::from_le_bytes([bytes[0], bytes[1]]).to_f32(),
            Element::Bf16 => half::bf16::from_le_bytes([bytes[0], bytes[1]]).to_f32(),
        };
        bytes.chunks_exact(self.element.bytes()).map(number).take(self.elements).collect()
    }
}

/// By how many parts of itself a number of this type is rounded, at most.
pub fn rounding(element: Element) -> f64 {
    match element {
        Element::F32 => 0.0,
        Element::F16 => 1.0 / 2048.0,
        Element::Bf16 => 1.0 / 256.0,
    }
}

/// Numbers between −1 and 1 that look random (Knuth's linear congruential generator), the same for the same seed.
pub fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = move |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f64 / f64::from(1 << 23) - 1.0) as f32
    };
    (0..count).map(next).collect()
}

/// Holds numbers of the device against the truth: the largest difference may be so many parts of the largest number.
pub fn assert_close(what: &str, got: &[f32], truth: &[f64], part: f64) {
    assert_eq!(got.len(), truth.len(), "{what}: length");
    let largest = truth.iter().fold(0f64, |largest, value| largest.max(value.abs()));
    for (at, (got, truth)) in got.iter().zip(truth).enumerate() {
        let difference = (f64::from(*got) - truth).abs();
        assert!(difference <= part * largest.max(1e-30), "{what}: [{at}] is {got}, and should be {truth}");
    }
}

#[test]
fn what_this_device_computes_in() {
    let types = element_types(&client());
    println!("kernels run here in {types:?}");
    assert_eq!(types[0], Element::F32);
}
