//! Changes of texts that consist of lines.

use crate::harness::Dice;

fn split(content: &[u8]) -> Vec<Vec<u8>> {
    content.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// Whether there was something to change.
pub fn change(content: &mut Vec<u8>, dice: &mut Dice) -> bool {
    let mut lines = split(content);
    if lines.len() < 2 {
        return false;
    }
    let (at, other) = (dice.below(lines.len()), dice.below(lines.len()));
    match dice.below(7) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(at, lines[other].clone()),
        2 => lines.swap(at, other),
        3 => {
            let run = dice.run(lines.len());
            let part = lines[run].to_vec();
            lines.splice(at..at, part);
        }
        4 => {
            let run = dice.run(lines.len());
            drop(lines.drain(run));
        }
        5 => {
            let joined = lines[other].clone();
            lines[at].extend(joined);
        }
        _ => {
            let end = if dice.once_in(2) { b'\r' } else { b' ' };
            lines.iter_mut().for_each(|line| line.push(end));
        }
    }
    *content = lines.join(&b'\n');
    true
}

/// Changes one line as a text of its own.
pub fn change_one(content: &mut Vec<u8>, dice: &mut Dice, work: fn(&mut Vec<u8>, &mut Dice) -> bool) -> bool {
    let mut lines = split(content);
    let at = dice.below(lines.len());
    let changed = work(&mut lines[at], dice);
    *content = lines.join(&b'\n');
    changed
}
