//! Tensors that are not in the files as such: dequantised, put into another order, joined from several.

use std::fmt;

use super::dtype::FileDtype;
use crate::nn::Quantised;

/// How to make a tensor's elements. Everything was checked when the recipe was written down.
pub trait Recipe: fmt::Debug + Send + Sync {
    /// The elements in row-major order, little-endian, in the format of [`Made::dtype`].
    fn bytes(&self) -> Vec<u8>;

    /// The matrix in the few bits of its file; None where it is stored otherwise.
    fn quantised(&self) -> Option<Quantised> {
        None
    }
}

/// A tensor that is made when it is asked for; nothing of it is kept.
#[derive(Debug)]
pub struct Made {
    /// The format in which it comes out.
    pub dtype: FileDtype,
    pub shape: Vec<usize>,
    /// The format in which the file holds it, as `Q4_K`.
    pub stored_as: &'static str,
    /// Bytes that it takes in the file.
    pub stored_bytes: usize,
    pub recipe: Box<dyn Recipe>,
}
