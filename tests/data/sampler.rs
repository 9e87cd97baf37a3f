//! The order of training: fixed by the seed, and continued exactly.

use data::{Batching, MicroBatch, Position, Sampler, SamplerOptions};
use protocol::config::TrainConfig;

fn options(shuffle: bool) -> SamplerOptions {
    SamplerOptions { batch_size: 4, accumulation: 3, shuffle, seed: 42 }
}

fn sampler(rows: u32, shuffle: bool) -> Sampler {
    Sampler::new((0..rows).collect::<Vec<_>>(), options(shuffle)).unwrap()
}

fn rows(step: &[MicroBatch]) -> Vec<&[u32]> {
    step.iter().map(|batch| batch.rows.as_slice()).collect()
}

#[test]
fn file_order_keeps_the_short_last_batch_and_ends_the_step_with_the_epoch() {
    let mut sampler = sampler(18, false);
    let first = sampler.next_step();
    assert_eq!(rows(&first), [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]);
    let second = sampler.next_step();
    assert_eq!(rows(&second), [&[12, 13, 14, 15][..], &[16, 17]]);
    assert_eq!(sampler.position(), Position { epoch: 1, batch: 0 });
    assert_eq!(sampler.next_step(), {
        let mut again = first;
        again.iter_mut().for_each(|batch| batch.position.epoch = 1);
        again
    });
}

#[test]
fn every_epoch_visits_every_row_in_an_order_of_its_own() {
    let mut sampler = sampler(50, true);
    let mut epochs = Vec::new();
    for epoch in 0..3 {
        let mut seen = Vec::new();
        while sampler.position().epoch == epoch {
            seen.extend(sampler.next_step().into_iter().flat_map(|batch| batch.rows));
        }
        let mut sorted = seen.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
        epochs.push(seen);
    }
    assert_ne!(epochs[0], epochs[1]);
    assert_ne!(epochs[1], epochs[2]);
    let mut other =
        Sampler::new((0..50).collect::<Vec<_>>(), SamplerOptions { seed: 43, ..options(true) }).unwrap();
    assert_ne!(other.next_step()[0].rows, epochs[0][..4]);
}

#[test]
fn a_position_continues_exactly() {
    let mut whole = sampler(50, true);
    let mut steps = Vec::new();
    let mut positions = Vec::new();
    for _ in 0..20 {
        positions.push(whole.position());
        steps.push(whole.next_step());
    }
    for (from, position) in positions.iter().enumerate() {
        let saved = serde_json::to_string(position).unwrap();
        let mut resumed = sampler(50, true);
        resumed.seek(serde_json::from_str(&saved).unwrap()).unwrap();
        let rest: Vec<_> = (from..20).map(|_| resumed.next_step()).collect();
        assert_eq!(rest, steps[from..]);
    }
    assert!(sampler(50, true).seek(Position { epoch: 0, batch: 13 }).is_err());
}

/// Rows of 1 to 40 tokens.
fn batched(packed: bool) -> Sampler {
    let lengths: Vec<u32> = (0..50).map(|row| 1 + row * 17 % 40).collect();
    let lengths = lengths.into();
    let batching =
        if packed { Batching::Packed { lengths, room: 64 } } else { Batching::ByLength { lengths } };
    sampler(50, true).batched(batching)
}

#[test]
fn packed_and_grouped_rows_continue_exactly_and_come_once_an_epoch() {
    for packed in [true, false] {
        let mut whole = batched(packed);
        let batches = whole.rows().div_ceil(4);
        let mut steps = Vec::new();
        let mut positions = Vec::new();
        while whole.position().epoch < 3 {
            positions.push(whole.position());
            steps.push(whole.next_step());
        }
        for epoch in 0..3 {
            let of_epoch = || steps.iter().flatten().filter(|batch| batch.position.epoch == epoch);
            let mut seen: Vec<u32> = of_epoch().flat_map(|batch| batch.rows.clone()).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..50).collect::<Vec<_>>());
            assert_eq!(of_epoch().count(), batches);
            let rows = |batch: &MicroBatch| batch.packed.as_ref().map_or(batch.rows.len(), Vec::len);
            assert!(of_epoch().all(|batch| rows(batch) <= 4 && batch.packed.is_some() == packed));
        }
        for (from, position) in positions.iter().enumerate() {
            let mut resumed = batched(packed);
            resumed.seek(*position).unwrap();
            let rest: Vec<_> = (from..steps.len()).map(|_| resumed.next_step()).collect();
            assert_eq!(rest, steps[from..]);
        }
        assert!(batched(packed).seek(Position { epoch: 1, batch: batches as u64 }).is_err());
    }
}

#[test]
fn padding_is_what_the_batches_of_an_epoch_have() {
    let lengths: Vec<u32> = vec![1, 3, 3, 1, 2];
    let plain = |batching| Sampler::new(vec![0, 1, 2, 3, 4], options(false)).unwrap().batched(batching);
    // 1 3 3 1 | 2: 10 tokens in 14 places.
    assert!((plain(Batching::InOrder).padding(&lengths) - 4.0 / 14.0).abs() < 1e-12);
    // 3 1 | 3 1 | 2 of 4 tokens at most: 10 in 12.
    let mut packed = plain(Batching::Packed { lengths: lengths.clone().into(), room: 4 });
    assert!((packed.padding(&lengths) - 2.0 / 12.0).abs() < 1e-12);
    assert_eq!(packed.rows(), 3);
}

#[test]
fn steps_are_counted_as_transformers_does() {
    let options = options(true);
    // 50 rows: 13 micro-batches, 5 steps an epoch.
    assert_eq!((options.batches_per_epoch(50), options.steps_per_epoch(50)), (13, 5));
    assert_eq!(options.total_steps(50, 3.0, 0).unwrap(), 15);
    assert_eq!(options.total_steps(50, 0.5, 0).unwrap(), 3);
    assert_eq!(options.total_steps(50, 3.0, 7).unwrap(), 7);
    let mut sampler = sampler(50, true);
    (0..5).for_each(|_| drop(sampler.next_step()));
    assert_eq!(sampler.position(), Position { epoch: 1, batch: 0 });
    for epochs in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(options.total_steps(50, epochs, 0).unwrap_err().place.item.unwrap(), "train.epochs");
    }
}

#[test]
fn impossible_settings_are_refused() {
    let item = |train: TrainConfig| SamplerOptions::new(&train).unwrap_err().place.item.unwrap();
    assert_eq!(item(TrainConfig { batch_size: 0, ..TrainConfig::default() }), "train.batch_size");
    assert_eq!(
        item(TrainConfig { gradient_accumulation: 0, ..TrainConfig::default() }),
        "train.gradient_accumulation"
    );
    assert_eq!(item(TrainConfig { batch_size: u64::MAX, ..TrainConfig::default() }), "train.batch_size");
    assert!(Sampler::new(Vec::new(), options(true)).is_err());
    let huge = SamplerOptions { accumulation: u32::MAX as usize, ..options(false) };
    assert_eq!(Sampler::new(vec![1, 2], huge).unwrap().next_step().len(), 1);
}
