//! Rows as training takes them, in files for other programs.

use data::sources::RowValue;
use data::{Batching, Dataset, Position, Sampler, SamplerOptions, Silent, write_examples, write_steps};
use protocol::config::{DataConfig, OnTooLong};
use serde_json::Value;

use crate::support::{Folder, alpaca_lines, config, open};

fn table(path: &std::path::Path) -> Vec<Value> {
    let source = data::sources::open(path, &Silent).unwrap();
    let value = |index| match source.get(index).unwrap().value {
        RowValue::Object(fields) => Value::Object(fields),
        RowValue::Text(text) => panic!("{text} is no row of a table"),
    };
    (0..source.len()).map(value).collect()
}

fn numbers<T: serde::de::DeserializeOwned>(value: &Value) -> Vec<T> {
    serde_json::from_value(value.clone()).unwrap()
}

/// Every written example is, token by token, what the dataset gives the training.
fn same(dataset: &Dataset, examples: &[u32], path: &std::path::Path) {
    let rows = table(path);
    assert_eq!(rows.len(), examples.len());
    for (row, example) in rows.iter().zip(examples) {
        let wanted = dataset.example(*example as usize).unwrap();
        assert_eq!(numbers::<u32>(&row["input_ids"]), wanted.ids);
        assert_eq!(numbers::<i32>(&row["labels"]), wanted.labels);
        let (file, place) = dataset.place_of_example(*example as usize).unwrap();
        assert_eq!(row["file"], file.file_name().unwrap().to_str().unwrap());
        assert_eq!(row["row"], place);
    }
}

#[test]
fn examples_are_those_that_are_trained_on_and_can_be_read_back() {
    let folder = Folder::new();
    folder.write("a.jsonl", alpaca_lines(5000));
    folder.write("b.jsonl", alpaca_lines(3));
    let dataset = open(&config(&["a.jsonl", "b.jsonl"]), &folder).unwrap();
    let examples: Vec<u32> = (0..5003).filter(|row| row % 3 != 0).collect();
    let path = folder.path().join("train.parquet");
    let prepared = write_examples(&dataset, &examples, &path, &Silent).unwrap();
    let learned = |example: &u32| dataset.example(*example as usize).unwrap().learned() as u64;
    assert_eq!(prepared.examples, examples.len() as u64);
    assert_eq!(prepared.learned, examples.iter().map(learned).sum::<u64>());
    same(&dataset, &examples, &path);

    // What was written is data in the format of tokens.
    let back = DataConfig { format: "tokens".into(), ..config(&["train.parquet"]) };
    let back = open(&back, &folder).unwrap();
    for (index, example) in examples.iter().enumerate().step_by(997) {
        let (theirs, ours) = (back.example(index).unwrap(), dataset.example(*example as usize).unwrap());
        assert_eq!((theirs.ids, theirs.labels), (ours.ids, ours.labels));
    }
}

#[test]
fn pieces_of_long_rows_say_which_they_are() {
    let folder = Folder::new();
    let text = |words: usize| format!("{{\"text\":\"{}\"}}\n", vec!["word"; words].join(" "));
    folder.write("a.jsonl", text(3) + &text(25) + &text(4));
    let wanted = DataConfig {
        max_length: 10,
        on_too_long: OnTooLong::Split,
        format: "text".into(),
        ..config(&["a.jsonl"])
    };
    let encoder = std::sync::Arc::new(crate::support::Words::default());
    let mut dataset = Dataset::open(&wanted, folder.path(), encoder, &Silent).unwrap();
    let model = data::ModelTokens { pad: None, eos: [crate::support::EOS].into(), vocab_size: None };
    let mut survey = data::Survey::new(&dataset, &model, 1, &Silent).unwrap();
    dataset.number_pieces(survey.pieces.take().unwrap());
    let path = folder.path().join("train.parquet");
    write_examples(&dataset, &survey.split.train, &path, &Silent).unwrap();
    same(&dataset, &survey.split.train, &path);
    let places: Vec<_> = table(&path).iter().map(|row| (row["row"].clone(), row["piece"].clone())).collect();
    let wanted = [(1, 0), (2, 0), (2, 1), (2, 2), (3, 0)].map(|(row, piece)| (row.into(), piece.into()));
    assert_eq!(places, wanted);
}

#[test]
fn steps_hold_the_rows_that_the_sampler_draws() {
    let folder = Folder::new();
    let path = folder.path().join("order.parquet");
    let examples: Vec<u32> = (0..23).map(|row| row * 2 + 1).collect();
    let options = SamplerOptions { batch_size: 3, accumulation: 2, shuffle: true, seed: 7 };
    let lengths: std::sync::Arc<[u32]> = (0..60_u32).map(|n| 1 + n % 9).collect();
    for batching in [Batching::InOrder, Batching::Packed { lengths, room: 12 }] {
        let draws = data::Draws::weighted([(examples.clone(), 1.0)], 7);
        let sampler = || Sampler::new(draws.clone(), options).unwrap().batched(batching.clone());
        let epoch = |at: Position| at.epoch as f64 + at.batch as f64 / 100.0;
        let rate = |update: u64| 1.0 / (1.0 + update as f64);
        write_steps(&mut sampler(), 9, &examples, (&epoch, &rate), &path).unwrap();
        let mut wanted = sampler();
        let rows = table(&path);
        assert_eq!(rows.len(), 9);
        for (number, row) in rows.iter().enumerate() {
            let batches = wanted.next_step();
            let drawn: Vec<u32> = batches.iter().flat_map(|batch| batch.rows.clone()).collect();
            let written: Vec<usize> = numbers(&row["rows"]);
            assert_eq!(written.iter().map(|place| examples[*place]).collect::<Vec<_>>(), drawn);
            let shared: Vec<u32> =
                batches.into_iter().flat_map(|batch| batch.packed.unwrap_or_default()).collect();
            assert_eq!(numbers::<u32>(&row["texts"]), shared);
            assert_eq!(row["epoch"], epoch(wanted.position()));
            let next = Position {
                epoch: row["next_epoch"].as_u64().unwrap(),
                batch: row["next_batch"].as_u64().unwrap(),
            };
            assert_eq!(next, wanted.position());
            assert_eq!(row["learning_rate"], rate(number as u64));
        }
    }
    // An example that was not written is a fault that is told.
    let draws = data::Draws::weighted([(vec![4], 1.0)], 7);
    let mut sampler = Sampler::new(draws, options).unwrap();
    let told = write_steps(&mut sampler, 1, &examples, (&|_| 0.0, &|_| 0.0), &path).unwrap_err();
    assert!(told.what.en.contains("Example 4"), "{told}");
}
