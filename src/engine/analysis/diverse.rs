//! Rows that are unlike one another: k-center greedy on what a model makes of their questions.

use data::analysis::{Asked, asked};
use data::{Dataset, Tokenizer};
use protocol::{Result, Text, UserError};
use rayon::prelude::*;

use super::{Asking, WINDOW, scored, stopped};

/// Points whose distances one thread computes at a time.
const PIECE: usize = 512;
/// Numbers that are added side by side.
const LANES: usize = 16;
/// Bytes of embeddings that are held.
const MOST_BYTES: usize = 8 << 30;

/// `count` rows (1-based), in the order of choice: k-center greedy over the embeddings of what is asked in them, the mean over its
/// tokens of the model's last hidden state, behind the final norm (transformers' `hidden_states[-1]`; as Cherry LLM embeds
/// instructions). All rows where there are no more.
///
/// # Errors
/// When nothing is asked in any row, the device fails, or it was stopped.
pub fn diverse(
    dataset: &Dataset,
    tokenizer: &Tokenizer,
    (count, max_length): (u64, usize),
    asking: &mut Asking<'_>,
) -> Result<Vec<u64>> {
    let (numbers, points) = embedded(dataset, tokenizer, max_length, asking)?;
    let width = points.len().checked_div(numbers.len()).ok_or_else(nothing_asked)?;
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(numbers.len());
    let stop = asking.scoring.stopped;
    let told = &mut *asking.told;
    let mut go_on = |done: usize| {
        told(done as u64, count as u64);
        !stop()
    };
    let chosen = k_center(&points, width, count, &mut go_on).ok_or_else(stopped)?;
    Ok(chosen.into_iter().map(|point| numbers[point]).collect())
}

/// The rows (1-based) that ask something, and their embeddings one behind the other.
fn embedded(
    dataset: &Dataset,
    tokenizer: &Tokenizer,
    max_length: usize,
    asking: &mut Asking<'_>,
) -> Result<(Vec<u64>, Vec<f32>)> {
    let total = dataset.len();
    let (mut numbers, mut points) = (Vec::new(), Vec::new());
    for first in (0..total).step_by(WINDOW) {
        let rows = first..total.min(first + WINDOW);
        let (mut these, mut ids) = (Vec::new(), Vec::new());
        for (row, asked) in rows.clone().zip(asked(dataset, rows)?) {
            let mut question = match asked {
                Some(Asked::Text(text)) => tokenizer.encode_prompt(&text)?,
                Some(Asked::Ids(ids)) => ids,
                None => Vec::new(),
            };
            question.truncate(max_length);
            if !question.is_empty() {
                these.push(row as u64 + 1);
                ids.push(question);
            }
        }
        let told = &mut *asking.told;
        let mut ahead = |done: u64| told(first as u64 + done, total as u64);
        points.extend(scored(asking.scoring.embeddings(&ids, &mut ahead), &these)?.into_iter().flatten());
        numbers.extend(these);
        if points.len() * size_of::<f32>() > MOST_BYTES {
            return Err(too_many());
        }
    }
    Ok((numbers, points))
}

/// Indices of `count` points that cover the others best (Sener & Savarese 2018, algorithm 1): the first is the one nearest
/// to the mean of all, and each further one the one farthest from those chosen, by Euclidean distance; of equal ones the
/// first. `points` lie one behind the other, `width` numbers each. O(points · count · width): the distance to the nearest
/// chosen one is kept and lowered. None where `go_on`, asked after each choice, says no.
pub fn k_center(
    points: &[f32],
    width: usize,
    count: usize,
    go_on: &mut dyn FnMut(usize) -> bool,
) -> Option<Vec<usize>> {
    let total = points.len().checked_div(width).unwrap_or(0);
    let count = count.min(total);
    let mut chosen = Vec::with_capacity(count);
    // Of a chosen point it is below any distance.
    let mut nearest = vec![f32::INFINITY; total];
    let mut next = if count > 0 { Some(nearest_to_mean(points, width)) } else { None };
    while let Some(center) = next.filter(|_| chosen.len() < count) {
        chosen.push(center);
        nearest[center] = -1.0;
        let at = &points[center * width..][..width];
        let pieces = nearest.par_chunks_mut(PIECE).zip(points.par_chunks(PIECE * width)).enumerate();
        let farthest = pieces.filter_map(|(piece, (nearest, points))| {
            for (nearest, point) in nearest.iter_mut().zip(points.chunks_exact(width)) {
                if *nearest >= 0.0 {
                    *nearest = nearest.min(square_distance(point, at));
                }
            }
            let far = first_greatest(nearest.iter().copied())?;
            Some((far.1, piece * PIECE + far.0))
        });
        // The order of the pieces decides between equals, not that of the threads.
        next =
            farthest.reduce_with(|a, b| if (b.0, a.1) > (a.0, b.1) { b } else { a }).map(|(_, point)| point);
        if !go_on(chosen.len()) {
            return None;
        }
    }
    Some(chosen)
}

/// The first of the greatest numbers that are not negative, and where it is.
fn first_greatest(numbers: impl Iterator<Item = f32>) -> Option<(usize, f32)> {
    let mut best: Option<(usize, f32)> = None;
    for (at, number) in numbers.enumerate() {
        if number >= 0.0 && best.is_none_or(|(_, best)| number > best) {
            best = Some((at, number));
        }
    }
    best
}

fn nearest_to_mean(points: &[f32], width: usize) -> usize {
    let mut mean = vec![0f64; width];
    for point in points.chunks_exact(width) {
        mean.iter_mut().zip(point).for_each(|(sum, number)| *sum += f64::from(*number));
    }
    let total = (points.len() / width).max(1) as f64;
    mean.iter_mut().for_each(|sum| *sum /= total);
    let distance = |point: &[f32]| -> f64 {
        point.iter().zip(&mean).map(|(number, mean)| (f64::from(*number) - mean).powi(2)).sum()
    };
    let distances = points.chunks_exact(width).map(distance).enumerate();
    distances.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(at, _)| at)
}

/// In the same order of additions whatever the machine.
fn square_distance(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; LANES];
    let (a_whole, b_whole) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a_whole.remainder().iter().zip(b_whole.remainder());
    let rest: f32 = rest.map(|(a, b)| (a - b) * (a - b)).sum();
    for (a, b) in a_whole.zip(b_whole) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += (a - b) * (a - b);
        }
    }
    sums.iter().sum::<f32>() + rest
}

fn nothing_asked() -> UserError {
    UserError::bad_input(Text::fixed(
        "No row asks anything: there is nothing to compare",
        "没有任何行包含提问，无法比较",
    ))
}

fn too_many() -> UserError {
    UserError::bad_input(Text::fixed(
        "The embeddings of so many rows take more than 8 GiB",
        "如此多行的嵌入超过 8 GiB",
    ))
    .mend(Text::fixed("choose from fewer rows, or use a smaller model", "请减少行数，或使用较小的模型"))
}
