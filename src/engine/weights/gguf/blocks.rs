//! Numbers in blocks: dequantising what files hold, and quantising to Q8_0.
//!
//! A block of Q4_0, Q8_0 has 32 elements and a scale in f16. One of Q4_K, Q6_K has 256, in groups of 32 or 16 with
//! small scales of their own that the block's f16 scales again. Layouts: ggml, `ggml-common.h` and `ggml-quants.c`.

use data::gguf::TensorKind;
use half::f16;

/// Can the kind be read?
pub fn is_read(kind: TensorKind) -> bool {
    decoder(kind).is_some()
}

/// Blocks as f32. `blocks` holds whole blocks, `numbers` as many elements.
///
/// # Panics
/// If the lengths disagree, or the kind is not read: both were checked when the file was opened.
pub fn decode(kind: TensorKind, blocks: &[u8], numbers: &mut [f32]) {
    let decode = decoder(kind).expect("refused when the file was opened");
    let (size, block) = (kind.bytes as usize, kind.block as usize);
    assert_eq!(blocks.len() / size, numbers.len() / block, "decode: lengths");
    for (raw, numbers) in blocks.chunks_exact(size).zip(numbers.chunks_exact_mut(block)) {
        decode(raw, numbers);
    }
}

/// One block of a kind as f32.
type Decode = fn(&[u8], &mut [f32]);

fn decoder(kind: TensorKind) -> Option<Decode> {
    Some(match kind {
        TensorKind::F32 => |raw, out| out[0] = f32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]]),
        TensorKind::F16 => |raw, out| out[0] = half(raw),
        TensorKind::BF16 => |raw, out| out[0] = half::bf16::from_le_bytes([raw[0], raw[1]]).to_f32(),
        TensorKind::Q4_0 => q4_0,
        TensorKind::Q8_0 => q8_0,
        TensorKind::Q4_K => q4_k,
        TensorKind::Q6_K => q6_k,
        _ => return None,
    })
}

/// The f16 at the beginning of `raw`.
fn half(raw: &[u8]) -> f32 {
    f16::from_le_bytes([raw[0], raw[1]]).to_f32()
}

/// Scale, then 16 bytes: the low halves are elements 0..16, the high ones 16..32, each 0..16 less 8.
fn q4_0(raw: &[u8], out: &mut [f32]) {
    let scale = half(raw);
    for (i, byte) in raw[2..].iter().enumerate() {
        out[i] = (f32::from(byte & 15) - 8.0) * scale;
        out[i + 16] = (f32::from(byte >> 4) - 8.0) * scale;
    }
}

/// Scale, then 32 signed bytes.
fn q8_0(raw: &[u8], out: &mut [f32]) {
    let scale = half(raw);
    for (number, byte) in out.iter_mut().zip(&raw[2..]) {
        *number = f32::from(*byte as i8) * scale;
    }
}

/// Scale of the scales, scale of the minima, 12 bytes with 8 of each in 6 bits, then 128 bytes: each 32 of them hold
/// two groups of 32 elements, the first in the low halves.
fn q4_k(raw: &[u8], out: &mut [f32]) {
    let (scale, least) = (half(raw), half(&raw[2..]));
    let (small, nibbles) = (&raw[4..16], &raw[16..]);
    for (group, out) in out.chunks_exact_mut(32).enumerate() {
        let (s, m) = six_bits(small, group);
        let (scale, least) = (scale * f32::from(s), least * f32::from(m));
        let bytes = &nibbles[group / 2 * 32..][..32];
        let shift = if group % 2 == 0 { 0 } else { 4 };
        for (number, byte) in out.iter_mut().zip(bytes) {
            *number = scale * f32::from(byte >> shift & 15) - least;
        }
    }
}

/// Scale and minimum of a group. Those of groups 0..4 lie in the low six bits of bytes 0..4 and 4..8; of groups 4..8 the
/// low four bits lie in bytes 8..12, the high two on top of the others.
fn six_bits(small: &[u8], group: usize) -> (u8, u8) {
    match group {
        0..4 => (small[group] & 63, small[group + 4] & 63),
        _ => (
            small[group + 4] & 15 | small[group - 4] >> 6 << 4,
            small[group + 4] >> 4 | small[group] >> 6 << 4,
        ),
    }
}

/// 128 bytes with the low four bits, 64 with the high two, 16 signed scales of 16 elements each, then their scale. Two
/// halves of 128 elements; in each, element 32·k + i has its low bits in byte 32·(k mod 2) + i, its high ones in byte i.
fn q6_k(raw: &[u8], out: &mut [f32]) {
    let (low, high, small) = (&raw[..128], &raw[128..192], &raw[192..208]);
    let scale = half(&raw[208..]);
    for (at, number) in out.iter_mut().enumerate() {
        let (part, k, i) = (at / 128, at % 128 / 32, at % 32);
        let four = low[64 * part + 32 * (k % 2) + i] >> (4 * (k / 2)) & 15;
        let two = high[32 * part + i] >> (2 * k) & 3;
        let signed = f32::from(four | two << 4) - 32.0;
        *number = scale * f32::from(small[8 * part + 2 * k + i / 16] as i8) * signed;
    }
}

/// Quantises to Q8_0 as ggml's reference does: the scale is the largest magnitude over 127, numbers are rounded to the
/// nearest, ties away from zero, before the scale itself is rounded to f16.
///
/// # Errors
/// The place of a number that is not finite, or whose scale f16 cannot hold.
pub fn encode_q8_0(numbers: &[f32], out: &mut Vec<u8>) -> Result<(), usize> {
    for (block, numbers) in numbers.chunks_exact(32).enumerate() {
        let largest = numbers.iter().fold(0f32, |largest, number| largest.max(number.abs()));
        let scale = largest / 127.0;
        let stored = f16::from_f32(scale);
        if let Some(bad) = numbers.iter().position(|number| !number.is_finite()) {
            return Err(32 * block + bad);
        }
        if stored.is_infinite() {
            return Err(32 * block);
        }
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        out.extend(stored.to_le_bytes());
        out.extend(numbers.iter().map(|number| (number * inverse).round() as i8 as u8));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q8_0_keeps_what_it_can_hold_and_rounds_ties_away_from_zero() {
        let mut numbers = [0f32; 32];
        numbers[..4].copy_from_slice(&[127.0, -3.0, 2.5, -2.5]);
        let mut raw = Vec::new();
        encode_q8_0(&numbers, &mut raw).unwrap();
        let mut back = [0f32; 32];
        decode(TensorKind::Q8_0, &raw, &mut back);
        assert_eq!(&back[..5], &[127.0, -3.0, 3.0, -3.0, 0.0]);
    }

    #[test]
    fn q8_0_refuses_what_no_scale_holds() {
        let mut numbers = [0f32; 64];
        numbers[40] = f32::NAN;
        assert_eq!(encode_q8_0(&numbers, &mut Vec::new()), Err(40));
        numbers[40] = 1e9;
        assert_eq!(encode_q8_0(&numbers, &mut Vec::new()), Err(32));
    }

    #[test]
    fn a_block_of_zeros_has_no_scale() {
        let mut raw = Vec::new();
        encode_q8_0(&[0.0; 32], &mut raw).unwrap();
        assert_eq!(raw, [0; 34]);
    }
}
