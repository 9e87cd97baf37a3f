//! Changes of inputs.

pub mod bytes;
pub mod gguf;
pub mod json;

use super::{Dice, Formats, Input};

/// Changes one file of an input; `other` lends parts.
pub fn change(input: &mut Input, other: &Input, formats: Formats, dice: &mut Dice) {
    if input.files.is_empty() || dice.once_in(60) {
        return of_files(input, other, dice);
    }
    let at = dice.below(input.files.len());
    let (name, content) = &mut input.files[at];
    let lender = other.files.iter().find(|(lent, _)| lent == name).or(other.files.first());
    let lent = lender.map_or(&[][..], |(_, bytes)| bytes);
    // A format's own change first, as a rule: bytes that change blindly seldom get behind the first check.
    if dice.once_in(3) || !(formats.change)(name, content, dice) {
        bytes::change(content, lent, (formats.words)(name), dice);
    }
}

/// A file taken away, emptied, or put in another's place.
fn of_files(input: &mut Input, other: &Input, dice: &mut Dice) {
    if input.files.is_empty() {
        input.clone_from(other);
        return;
    }
    let (at, from) = (dice.below(input.files.len()), dice.below(input.files.len()));
    match dice.below(4) {
        0 if input.files.len() > 1 => drop(input.files.remove(at)),
        1 => input.files[at].1.clear(),
        2 => input.files[at].1 = input.files[from].1.clone(),
        _ => input.clone_from(other),
    }
}
