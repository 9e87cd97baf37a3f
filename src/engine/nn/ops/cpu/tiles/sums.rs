//! Where a thread packs and sums.

use std::cell::RefCell;

use super::pack::{Block, PANEL, Panel};
use super::{Unit, amx, avx512};

/// What a thread packs and sums in, kept for its next task: fresh memory costs more than small products do.
#[derive(Default)]
pub struct Room {
    pub a: Vec<Block>,
    pub b: Vec<Block>,
    pub sums: Vec<f32>,
}

thread_local! {
    pub static ROOM: RefCell<Room> = RefCell::default();
}

/// The first `count` elements of `room`, whatever they are; it is made longer if it is too short.
pub fn enlarged<T: Copy>(room: &mut Vec<T>, count: usize, with: T) -> &mut [T] {
    if room.len() < count {
        room.resize(count, with);
    }
    &mut room[..count]
}

/// The sums of a task, in whole squares.
pub struct Sums<'a> {
    /// With AMX.
    tiles: Option<amx::Tiles>,
    pub numbers: &'a mut [f32],
    /// Numbers of a row.
    wide: usize,
    /// Whether there is something to add to.
    pub begun: bool,
}

impl<'a> Sums<'a> {
    pub fn new(unit: Unit, numbers: &'a mut [f32], wide: usize) -> Self {
        let tiles = (unit == Unit::Amx).then(amx::Tiles::configured);
        Self { tiles, numbers, wide, begun: false }
    }

    /// Adds the product of these blocks to the square at `row` and `column`.
    pub fn add(&mut self, a: Panel<'_>, b: &[Block], [row, column]: [usize; 2]) {
        let square = &mut self.numbers[row * self.wide + column..];
        match &self.tiles {
            Some(tiles) => tiles.add_product(a, b, square, self.wide, self.begun),
            None => avx512::add_product(a, b, square, self.wide, self.begun),
        }
    }
}

/// # Panics
/// Unless a square lies within `sums`, in rows `wide` apart, and there are as many blocks of `a` as of `b`, and some.
pub fn assert_square(a: Panel<'_>, b: &[Block], sums: &[f32], wide: usize) {
    assert!(a.blocks == b.len(), "blocks of the same steps");
    assert!(wide >= PANEL && (PANEL - 1) * wide + PANEL <= sums.len(), "a whole square");
}
