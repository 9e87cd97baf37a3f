//! Every kernel of `src/kernels` held against a plain loop in `f64`, on a runtime that needs no NVIDIA GPU (wgpu, with Mesa's
//! lavapipe where there is no GPU at all); and the text that CUDA's compiler would get.

pub mod text;

#[cfg(test)]
mod cross_entropy;
#[cfg(test)]
mod softmax;
#[cfg(test)]
mod unpack;

use cubecl::client::Client;
use cubecl::server::Handle;
use kernels::Buffer;

/// The device that the tests run on.
pub fn client() -> Client {
    cubecl::Device::Wgpu(Default::default()).client()
}

/// Memory of the device, to be read again.
pub struct Memory {
    client: Client,
    handle: Handle,
    elements: usize,
}

impl Memory {
    pub fn floats(client: &Client, values: &[f32]) -> Self {
        Self::words(client, values.iter().map(|value| value.to_bits()))
    }

    pub fn words(client: &Client, values: impl Iterator<Item = u32>) -> Self {
        let bytes: Vec<u8> = values.flat_map(u32::to_le_bytes).collect();
        Self { client: client.clone(), handle: client.create_from_slice(&bytes), elements: bytes.len() / 4 }
    }

    pub fn buffer(&self) -> Buffer {
        Buffer::new(self.handle.clone(), self.elements, 4)
    }

    pub fn read(&self) -> Vec<f32> {
        let bytes = self.client.read_one(self.handle.clone()).expect("the kernel ran");
        let words =
            bytes.chunks_exact(4).map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]]));
        words.take(self.elements).collect()
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
