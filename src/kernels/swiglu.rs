//! `silu(gate) · up` (Shazeer 2020, arXiv:2002.05202), and backwards the gradients of both in place of them.

use cubecl::prelude::*;

use crate::launch::{Buffer, Element, Target, cubes, lanes, start};

const UNITS: u32 = 256;

/// Gate and up, of one length.
#[derive(Clone, Debug)]
pub struct Swiglu {
    pub gate: Buffer,
    pub up: Buffer,
    pub element: Element,
}

impl Swiglu {
    fn check(&self, other: &Buffer) {
        assert!(self.gate.len() == self.up.len() && self.gate.len() == other.len(), "swiglu: lengths");
    }

    /// Vectors, lanes of each, and the cubes for them.
    fn grid(&self, target: &Target<'_>) -> (usize, usize, CubeCount, CubeDim) {
        let lanes = lanes(self.gate.len());
        let vectors = self.gate.len() / lanes;
        let dim = CubeDim::new_1d(UNITS);
        (vectors, lanes, cubes(target, vectors, dim), dim)
    }
}

/// Writes the product.
///
/// # Panics
/// If the lengths differ.
pub fn swiglu(target: Target<'_>, of: Swiglu, product: Buffer) {
    of.check(&product);
    if product.is_empty() {
        return;
    }
    let (vectors, lanes, count, dim) = of.grid(&target);
    start!(
        products,
        target,
        count,
        dim,
        lanes,
        of.gate.arg(),
        of.up.arg(),
        product.arg(),
        vectors as u32,
        of.element.kind(),
    );
}

/// Writes the gradient of the gate where the gate was, and that of up where up was, from that of the product.
///
/// # Panics
/// If the lengths differ.
pub fn swiglu_backward(target: Target<'_>, of: Swiglu, gradient: Buffer) {
    of.check(&gradient);
    if gradient.is_empty() {
        return;
    }
    let (vectors, lanes, count, dim) = of.grid(&target);
    start!(
        gradients,
        target,
        count,
        dim,
        lanes,
        of.gate.arg(),
        of.up.arg(),
        gradient.arg(),
        vectors as u32,
        of.element.kind(),
    );
}

#[cube]
fn sigmoid<N: Size>(x: Vector<f32, N>) -> Vector<f32, N> {
    Vector::new(1.0) / (Vector::new(1.0) + (Vector::new(0.0) - x).exp())
}

/// `x · s`, rounded to the element type.
#[cube]
fn silu<F: Float, N: Size>(x: Vector<f32, N>, s: Vector<f32, N>) -> Vector<f32, N> {
    Vector::cast_from(Vector::<F, N>::cast_from(x * s))
}

#[cube(launch, create_dummy_kernel)]
fn products<F: Float, N: Size>(
    gate: &[Vector<F, N>],
    up: &[Vector<F, N>],
    product: &mut [Vector<F, N>],
    vectors: u32,
    #[define(F)] _element: ElemType,
) {
    let at = ABSOLUTE_POS;
    if at >= vectors as usize {
        terminate!();
    }
    let x = Vector::<f32, N>::cast_from(gate[at]);
    let u = Vector::<f32, N>::cast_from(up[at]);
    product[at] = Vector::cast_from(silu::<F, N>(x, sigmoid::<N>(x)) * u);
}

#[cube(launch, create_dummy_kernel)]
fn gradients<F: Float, N: Size>(
    gate: &mut [Vector<F, N>],
    up: &mut [Vector<F, N>],
    gradient: &[Vector<F, N>],
    vectors: u32,
    #[define(F)] _element: ElemType,
) {
    let at = ABSOLUTE_POS;
    if at >= vectors as usize {
        terminate!();
    }
    let x = Vector::<f32, N>::cast_from(gate[at]);
    let u = Vector::<f32, N>::cast_from(up[at]);
    let d = Vector::<f32, N>::cast_from(gradient[at]);
    let s = sigmoid::<N>(x);
    let slope = s * (x * (Vector::new(1.0) - s) + Vector::new(1.0));
    gate[at] = Vector::cast_from(d * u * slope);
    up[at] = Vector::cast_from(d * silu::<F, N>(x, s));
}
