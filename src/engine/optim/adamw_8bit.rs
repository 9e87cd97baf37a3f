//! AdamW with moments in eight bits (Dettmers et al. 2021, arXiv:2110.02861), as bitsandbytes 0.50 computes it on the
//! CPU: blocks of 256 with a scale each, the signed dynamic map for the first moment and the unsigned for the second,
//! decay before the step as in `torch.optim.AdamW`. (Its CUDA kernel decays after the step, and moves a code whose sign
//! was lost to the next one.)

use burn::tensor::{Int, Tensor};
use protocol::config::TrainConfig;
use protocol::{Result, Text};

use super::adamw::{self, AdamW};
use super::{OptimizerEntry, Rule, Settings, Slots, Subject, Update};
use crate::nn::ops::{self, AdamWArgs, CODE_BLOCK, Code, Moments, SIGNED_CODE, UNSIGNED_CODE};

pub const OPTIMIZER: OptimizerEntry = OptimizerEntry {
    id: "adamw-8bit",
    name: Text::fixed("AdamW, 8-bit", "AdamW（8 位）"),
    help: Text::fixed(
        "As AdamW with both moments in eight bits: about two bytes for each trained number instead of eight",
        "与 AdamW 相同，但两个动量以 8 位保存：每个训练参数约 2 字节，而非 8 字节",
    ),
    params: Vec::new,
    ignores: &[],
    whole_models_only: false,
    on_host: false,
    state_bytes,
    rule,
};

/// Smaller tensors keep f32 moments (bitsandbytes' `min_8bit_size`).
const SMALLEST: usize = 4096;
/// Elements that are f32 at a time; a multiple of the block.
const PIECE: usize = 1 << 22;

fn state_bytes(settings: &Settings, subject: &Subject<'_>) -> u64 {
    let elements = subject.elements();
    if elements < SMALLEST {
        return adamw::state_bytes(settings, subject);
    }
    2 * (elements + 4 * elements.div_ceil(CODE_BLOCK)) as u64
}

fn rule(config: &TrainConfig, _: &Settings) -> Box<dyn Rule> {
    Box::new(AdamW8Bit(AdamW::of(config)))
}

struct AdamW8Bit(AdamW);

/// The moments of some blocks, first and second.
type Packed = [(Tensor<1, Int>, Tensor<1>); 2];

fn codes() -> [&'static Code; 2] {
    [&SIGNED_CODE, &UNSIGNED_CODE]
}

/// Names of codes and scales of the two moments.
const KINDS: [[&str; 2]; 2] = [["m.codes", "m.scales"], ["v.codes", "v.scales"]];

impl Rule for AdamW8Bit {
    fn update(
        &self,
        slots: &mut Slots,
        subject: &Subject<'_>,
        value: Tensor<1>,
        gradient: Tensor<1>,
        update: &Update,
    ) -> Result<Tensor<1>> {
        let length = subject.elements();
        if length < SMALLEST {
            return self.0.update(slots, subject, value, gradient, update);
        }
        let moments = taken(slots, subject, &value);
        let args = self.0.args(update);
        let pieces: Vec<_> = (0..length)
            .step_by(PIECE)
            .map(|start| {
                let piece = Piece { start, length: PIECE.min(length - start) };
                piece.update(&value, &gradient, moments.as_ref(), &args)
            })
            .collect();
        drop(moments);
        let (mut values, mut parts) = (Vec::new(), [const { (Vec::new(), Vec::new()) }; 2]);
        for (value, packed) in pieces {
            values.push(value);
            for ((codes, scales), part) in packed.into_iter().zip(&mut parts) {
                part.0.push(codes);
                part.1.push(scales);
            }
        }
        for (kinds, (codes, scales)) in KINDS.iter().zip(parts) {
            slots.put_codes(subject.name, kinds[0], Tensor::cat(codes, 0));
            slots.put(subject.name, kinds[1], Tensor::cat(scales, 0))?;
        }
        Ok(Tensor::cat(values, 0))
    }
}

/// Both moments; None before the first update, when they are zero.
fn taken(slots: &mut Slots, subject: &Subject<'_>, like: &Tensor<1>) -> Option<Packed> {
    let blocks = subject.elements().div_ceil(CODE_BLOCK);
    let mut moment = |kinds: [&str; 2]| {
        let codes = slots.take_codes(subject.name, kinds[0])?;
        Some((codes, slots.take(subject.name, kinds[1], blocks, &like.device())))
    };
    Some([moment(KINDS[0])?, moment(KINDS[1])?])
}

/// Some of a parameter's blocks.
struct Piece {
    start: usize,
    length: usize,
}

impl Piece {
    fn update(
        &self,
        value: &Tensor<1>,
        gradient: &Tensor<1>,
        moments: Option<&Packed>,
        args: &AdamWArgs,
    ) -> (Tensor<1>, Packed) {
        let value = value.clone().narrow(0, self.start, self.length);
        let gradient = gradient.clone().narrow(0, self.start, self.length);
        let [first, second] = match moments {
            Some(moments) => [0, 1].map(|which| self.decoded(&moments[which], codes()[which])),
            None => [gradient.zeros_like(), gradient.zeros_like()],
        };
        let moments = Moments { param: value, gradient, m: first, v: second };
        let mut updated = ops::adamw(vec![moments], args);
        let [value, first, second] = updated.pop().expect("as many as there were");
        let [signed, unsigned] = codes();
        (value, [ops::encode_blocks(first, signed), ops::encode_blocks(second, unsigned)])
    }

    fn decoded(&self, (codes, scales): &(Tensor<1, Int>, Tensor<1>), code: &Code) -> Tensor<1> {
        let blocks = self.length.div_ceil(CODE_BLOCK);
        let codes = codes.clone().narrow(0, self.start, self.length);
        ops::decode_blocks(codes, scales.clone().narrow(0, self.start / CODE_BLOCK, blocks), code)
    }
}
