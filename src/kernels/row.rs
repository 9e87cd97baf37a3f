//! A row whose units have each seen a part of it.

use cubecl::prelude::*;

/// What a softmax needs to know of a row: the largest score, the sum of `exp(score − largest)`, and of
/// `exp(score − largest) · d`, of all units together. Every unit of the cube must come here.
#[cube]
pub(crate) fn merged(largest: f32, sum: f32, along: f32, #[comptime] units: usize) -> (f32, f32, f32) {
    let unit = UNIT_POS as usize;
    let mut tops = Shared::<[f32]>::new_slice(units);
    let mut sums = Shared::<[f32]>::new_slice(units);
    let mut alongs = Shared::<[f32]>::new_slice(units);
    tops[unit] = largest;
    sums[unit] = sum;
    alongs[unit] = along;
    sync_cube();
    let mut half = comptime!(units / 2).runtime();
    while half > 0 {
        if unit < half {
            let (ours, theirs) = (tops[unit], tops[unit + half]);
            let top = max(ours, theirs);
            let (a, b) = ((ours - top).exp(), (theirs - top).exp());
            tops[unit] = top;
            sums[unit] = sums[unit] * a + sums[unit + half] * b;
            alongs[unit] = alongs[unit] * a + alongs[unit + half] * b;
        }
        sync_cube();
        half /= 2;
    }
    (tops[0], sums[0], alongs[0])
}

/// Of three numbers the sums over the `share` units in a line that have a row together: a power of two, at most `units`.
/// Every unit of the cube must come here.
#[cube]
pub(crate) fn summed(a: f32, b: f32, c: f32, share: u32, #[comptime] units: usize) -> (f32, f32, f32) {
    let unit = UNIT_POS as usize;
    let share = share as usize;
    let mut first = Shared::<[f32]>::new_slice(units);
    let mut second = Shared::<[f32]>::new_slice(units);
    let mut third = Shared::<[f32]>::new_slice(units);
    first[unit] = a;
    second[unit] = b;
    third[unit] = c;
    sync_cube();
    let mut half = share / 2;
    while half > 0 {
        if unit % share < half {
            first[unit] += first[unit + half];
            second[unit] += second[unit + half];
            third[unit] += third[unit + half];
        }
        sync_cube();
        half /= 2;
    }
    let head = unit / share * share;
    let sums = (first[head], second[head], third[head]);
    // Before anybody sums again in the same memory.
    sync_cube();
    sums
}
