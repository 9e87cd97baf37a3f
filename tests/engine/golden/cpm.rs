//! CPM-Bee and CPM-Ant against their reference code: rows, logits, losses, gradients, answers; and adapters on
//! scaled products.

use std::path::{Path, PathBuf};

use burn::tensor::Tensor;
use data::{
    Batch, BeeBatch, BeePrompt, BeeRow, CpmBee, Encode as _, EncodeOptions, Encoder, Example, Record,
    Tokenizer,
};
use engine::generate::{Answers, Decoding, Sampler, Speaker, argmax};
use engine::methods::{self, Adapter, Attach, load_adapter};
use engine::models::{ConfigJson, FAMILIES, Model, ModelFolder, PassOptions, Rows};
use engine::nn::{AdapterView, Gradients, Value};
use engine::train::{Backward, Clock, Layout, batch_loss};
use engine::weights::{open_file, write_torch};
use protocol::config::MethodConfig;
use protocol::{Control, Prompt, Sampling};
use serde_json::{Map, Value as Json, json};

use super::models::{integers, with_config};
use super::{chosen, distance, floats, json as read_json, load, slack, values};
use crate::common;
use crate::exports::merge;

const BEE: [&str; 2] = ["seed/cpmbee-model", "seed/cpmbee-pruned"];

/// A case with its model, vocabulary and records.
struct Case {
    name: &'static str,
    dir: PathBuf,
    expected: Json,
    model: Model,
    words: CpmBee,
}

fn bee_cases() -> Vec<Case> {
    let found: Vec<_> = BEE.iter().filter_map(|name| Some((*name, common::golden(name)?))).collect();
    common::skipped(BEE.len() - found.len(), "golden cases of CPM-Bee");
    let open = |(name, dir): (&'static str, PathBuf)| Case {
        name,
        expected: read_json(&dir.join("expected.json")),
        model: load(&dir.join("model"), &chosen().device),
        words: CpmBee::parse(&std::fs::read(dir.join("model/vocab.txt")).unwrap()).unwrap(),
        dir,
    };
    found.into_iter().map(open).collect()
}

/// i32 elements of an expected tensor.
fn narrow(file: &Path, name: &str) -> Vec<i32> {
    let bytes = open_file(file).unwrap().bytes(name).unwrap().into_owned();
    bytes.chunks_exact(4).map(|chunk| i32::from_le_bytes(chunk.try_into().unwrap())).collect()
}

impl Case {
    fn records(&self) -> Vec<Map<String, Json>> {
        let text = std::fs::read_to_string(self.dir.join("records.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn file(&self) -> PathBuf {
        self.dir.join("expected.safetensors")
    }

    fn tolerance(&self, key: &str) -> f64 {
        self.expected["tolerance"][key].as_f64().unwrap() * slack(&chosen())
    }

    fn check(&self, what: &str, off: f64, allowed: f64) {
        println!("{}: {what} differ by {off:.2e}, allowed {allowed:.2e}", self.name);
        assert!(off <= allowed, "{}: {what} differ by {off:.3e}, allowed {allowed:.3e}", self.name);
    }

    /// The rows of a packed batch, unpacked: packing changes nothing but where they lie, which is given for each
    /// (row of the batch, first column).
    fn batch(&self, number: usize) -> (Batch, Vec<(usize, usize)>) {
        let tensor = |name: &str| narrow(&self.file(), &format!("batch{number}.{name}"));
        let (inputs, spans, lengths) = (tensor("inputs"), tensor("spans"), tensor("length"));
        let width = inputs.len() / lengths.len();
        let examples: Vec<Example> =
            self.records().iter().map(|data| data::encode_row(&self.words, data).unwrap()).collect();
        let (mut rows, mut places) = (Vec::new(), Vec::new());
        for (row, length) in lengths.iter().enumerate() {
            let mut at = 0;
            while at < *length as usize {
                let span = spans[row * width + at];
                let end = (at..*length as usize).find(|to| spans[row * width + to] != span);
                let end = end.unwrap_or(*length as usize);
                let ids: Vec<u32> =
                    inputs[row * width + at..row * width + end].iter().map(|id| *id as u32).collect();
                let found = examples.iter().find(|example| example.ids[..example.ids.len() - 1] == ids);
                rows.push(found.unwrap().clone());
                places.push((row, at));
                at = end;
            }
        }
        let batch = Batch::collate(&rows, 0).unwrap();
        let columns = batch.side.as_ref().unwrap().columns();
        assert_eq!(columns.iter().map(|column| column.id as i32).collect::<Vec<_>>(), tensor("ext_ids"));
        assert_eq!(columns.iter().map(|column| column.sub as i32).collect::<Vec<_>>(), tensor("ext_sub"));
        (batch, places)
    }

    /// `[rows, time, width]` of a batch as flat rows: states after the last norm, and logits.
    fn outputs(&self, batch: &Batch, adapter: Option<&dyn AdapterView>) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
        outputs(&self.model, &Rows::of_batch(batch), adapter)
    }
}

fn outputs(
    model: &Model,
    rows: &Rows<'_>,
    adapter: Option<&dyn AdapterView>,
) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let positions = model.positions(rows, None).unwrap();
    let pass = model.pass(&positions, PassOptions { adapter, ..PassOptions::default() });
    let hidden = model.hidden(&pass, model.ids(rows.ids, rows.rows).unwrap());
    let hidden = model.decoder.final_norm(&pass, hidden.narrow(1, model.decoder.lead(), rows.len()));
    let logits = model.decoder.head(&pass, hidden.clone());
    let lines = |tensor: Tensor<3>| -> Vec<Vec<f32>> {
        let width = tensor.dims()[2];
        values(&Value::Vector(tensor.flatten(0, 2))).chunks(width).map(<[f32]>::to_vec).collect()
    };
    (lines(hidden), lines(logits))
}

#[test]
fn logits_and_losses_of_dicts_are_those_of_the_reference() {
    for case in bee_cases() {
        for (number, told) in case.expected["batches"].as_array().unwrap().iter().enumerate() {
            let (batch, places) = case.batch(number);
            let (hidden, logits) = case.outputs(&batch, None);
            let at = |row: i64, column: i64| {
                let mut starts = places.iter().enumerate().filter(|(_, (line, _))| *line == row as usize);
                let (index, (_, start)) = starts.rfind(|(_, (_, start))| *start <= column as usize).unwrap();
                index * batch.len + column as usize - start
            };
            let positions = integers(&case.file(), &format!("batch{number}.logit_positions"));
            let got: Vec<f32> =
                positions.chunks(2).flat_map(|place| logits[at(place[0], place[1])].clone()).collect();
            let want = floats(&case.file(), &format!("batch{number}.logits"));
            case.check("logits", distance(&got, &want), case.tolerance("logits_abs"));
            if number == 0 {
                let want = floats(&case.file(), "batch0.hidden");
                let width = case.model.info.hidden;
                let want_at = |place: &[i64]| (place[0] as usize * 128 + place[1] as usize) * width;
                let got: Vec<f32> =
                    positions.chunks(2).flat_map(|place| hidden[at(place[0], place[1])].clone()).collect();
                let want: Vec<f32> = positions
                    .chunks(2)
                    .flat_map(|place| want[want_at(place)..want_at(place) + width].to_vec())
                    .collect();
                case.check("states", distance(&got, &want), case.tolerance("logits_abs"));
            }
            assert_eq!(batch.learned, told["counted"].as_u64().unwrap());
            let loss = batch_loss(&case.model, None, &batch).unwrap() / batch.learned as f64;
            case.check("losses", (loss - told["loss"].as_f64().unwrap()).abs(), case.tolerance("loss_abs"));
        }
    }
}

#[test]
fn gradients_of_dicts_are_those_of_the_reference() {
    for mut case in bee_cases() {
        let (batch, _) = case.batch(0);
        let method = MethodConfig { kind: "full".into(), ..MethodConfig::default() };
        methods::attach(&mut case.model, &method, &Attach { seed: 0, learning_rate: 1.0 }).unwrap();
        let mut gradients = Gradients::new();
        let backward = Backward {
            model: &case.model,
            adapter: None,
            dropout: None,
            layout: Layout::keeping(1),
            control: &Control::default(),
            clock: &Clock::off(),
        };
        backward.run(&batch, 1.0 / batch.learned as f32, &mut gradients).unwrap().unwrap();
        let file = open_file(&case.file()).unwrap();
        let (mut worst, mut compared) = (0f64, 0);
        for name in file.names().filter_map(|name| name.strip_prefix("batch0.grad.")) {
            let id = case.model.params.find(&format!("cpmbee.{name}")).unwrap();
            let got = values(&Value::Vector(gradients.remove(&id).unwrap()));
            worst = worst.max(distance(&got, &floats(&case.file(), &format!("batch0.grad.{name}"))));
            compared += 1;
        }
        assert!(compared > 10);
        case.check("gradients", worst, case.tolerance("grad_abs"));
    }
}

fn greedy() -> Sampling {
    Sampling { temperature: 0.0, max_new_tokens: 18, ..Sampling::default() }
}

#[test]
fn answers_to_dicts_are_those_of_a_beam_of_one() {
    for case in bee_cases() {
        let told = &case.expected["generation"][0];
        assert_eq!(told["parameters"], json!({"beam_size": 1, "max_length": 16, "repetition_penalty": 1.0}));
        let tokenizer = Tokenizer::open(&case.dir.join("model")).unwrap();
        let options = EncodeOptions { max_length: 1000, ..EncodeOptions::default() };
        let encoder = Encoder::new(tokenizer.into(), None, options).unwrap();
        for result in told["results"].as_array().unwrap() {
            let prompt = BeePrompt::new(&case.words, result["input"].as_object().unwrap()).unwrap();
            let mut answers = Answers::new(&case.model, None, &case.words, &prompt).unwrap();
            let mut sampler = Sampler::new(&greedy());
            let mut raw = Vec::new();
            while raw.len() < 18
                && let Some(drawn) = answers.draw(&mut sampler).unwrap()
            {
                raw.push(json!([drawn.column, drawn.answer + 1]));
            }
            assert_eq!(Json::Array(raw), result["raw"], "{}: {}", case.name, result["input"]);
            // The same by the way of a prompt that someone types.
            let speaker = Speaker { model: &case.model, adapter: None, encoder: &encoder };
            let typed = Prompt::Text(result["input"].to_string());
            let mut pieces = String::new();
            let mut told = |piece: String, _| pieces.push_str(&piece);
            let answered = speaker.answer(&typed, &greedy(), &mut || false, &mut told).unwrap();
            let want = &result["answer"];
            let want = want.as_str().map_or_else(|| want.to_string(), str::to_owned);
            assert_eq!(answered.text, want, "{}", case.name);
            assert_eq!(pieces, want, "{}", case.name);
        }
    }
}

/// Drawn answers differ with the seed and are the same with the same one.
#[test]
fn answers_to_dicts_can_be_drawn() {
    let Some(case) = bee_cases().into_iter().next() else { return };
    let data = json!({"input": "I like green tea.", "<ans>": ""});
    let prompt = BeePrompt::new(&case.words, data.as_object().unwrap()).unwrap();
    let draw = |seed| {
        let sampling = Sampling { temperature: 3.0, top_p: 1.0, top_k: 0, seed, ..greedy() };
        let mut sampler = Sampler::new(&sampling);
        let mut answers = Answers::new(&case.model, None, &case.words, &prompt).unwrap();
        let mut drawn = Vec::new();
        while drawn.len() < 8
            && let Some(token) = answers.draw(&mut sampler).unwrap()
        {
            drawn.push(token.column);
        }
        drawn
    };
    assert_eq!(draw(1), draw(1));
    assert!((2..6).any(|seed| draw(seed) != draw(1)));
}

/// What the config does not say of pruned layers, the tensors do; what it says wrongly is refused.
#[test]
fn pruned_halves_are_found_where_the_config_is_silent() {
    let Some(dir) = common::golden("seed/cpmbee-pruned") else {
        return common::skipped(1, "golden cases of CPM-Bee");
    };
    let open = |masks: Json| {
        let overrides = json!({ "mask_modules": masks });
        ModelFolder::open(&dir.join("model"), overrides.as_object().unwrap())
    };
    let names = |folder: ModelFolder| -> Vec<String> {
        folder.model().params.iter().map(|(_, param)| param.name.clone()).collect()
    };
    let listed = read_json(&dir.join("model/config.json"))["mask_modules"].clone();
    assert_eq!(names(open(Json::Null).unwrap()), names(open(listed).unwrap()));
    for wrong in
        [json!([[false, true]]), json!("none"), json!([[1], [2], [3]]), json!([[[], []], [[], []], [[], []]])]
    {
        let err = open(wrong).err().unwrap();
        assert!(format!("{:?}", err.details).contains("mask_modules"), "{err:?}");
    }
    let none = json!([[false, false], [false, false], [false, false]]);
    let missing = open(none).err().unwrap();
    assert!(format!("{missing:?}").contains("encoder.layers.0.ffn"), "{missing:?}");
}

/// Sizes that no table could have.
#[test]
fn configs_that_cannot_be_are_refused() {
    let build = |family: &str, key: &str, value: Json| {
        let family = FAMILIES.iter().find(|one| one.id == family).unwrap();
        let mut config: Map<String, Json> = serde_json::from_str(family.tiny).unwrap();
        config.insert(key.into(), value);
        ModelFolder::from_config(Path::new("."), ConfigJson::from_map(config))
    };
    for (family, key, value) in [
        ("cpmbee", "position_bias_num_buckets", json!(1)),
        ("cpmbee", "position_bias_max_distance", json!(4)),
        ("cpmbee", "position_bias_num_segment_buckets", json!(8)),
        ("cpmbee", "hidden_size", json!(33)),
        ("cpmbee", "num_hidden_layers", json!(-1)),
        ("cpmant", "prompt_types", json!(1)),
        ("cpmant", "prompt_length", json!(1 << 24)),
        ("cpmant", "segment_types", json!(1 << 20)),
    ] {
        let refused = build(family, key, value.clone()).err();
        assert!(refused.is_some_and(|err| err.exit_code() == 2), "{family}: {key} = {value}");
    }
}

fn lora(model: &mut Model, settings: Json) -> Box<dyn Adapter> {
    let params = settings.as_object().unwrap().clone();
    let method = MethodConfig { kind: "lora".into(), params, ..MethodConfig::default() };
    let mut adapter =
        methods::attach(model, &method, &Attach { seed: 3, learning_rate: 1e-3 }).unwrap().unwrap();
    for param in adapter.params_mut().iter_mut().filter(|param| param.name.ends_with("lora_B.weight")) {
        // Large enough that a wrong scale would show.
        let wave = |at: usize| ((at * 7919 % 83) as f32 - 41.0) / 400.0;
        let values: Vec<f32> = (0..param.elements()).map(wave).collect();
        let flat = Tensor::<1>::from_data(values.as_slice(), &chosen().device);
        param.value = Value::from_flat(flat, &param.shape);
    }
    adapter
}

/// The trap of scaled products: what an adapter adds is not divided by √inputs, so what is merged is multiplied.
#[test]
fn adapters_on_scaled_products_merge_exactly_and_come_back_from_their_files() {
    for settings in [
        json!({"rank": 4, "alpha": 8, "targets": "all-linear"}),
        json!({"rank": 4, "alpha": 8, "targets": "auto", "dora": true}),
    ] {
        for mut case in bee_cases() {
            let (batch, _) = case.batch(0);
            let (_, plain) = case.outputs(&batch, None);
            let adapter = lora(&mut case.model, settings.clone());
            let (_, adapted) = case.outputs(&batch, Some(adapter.view()));
            let moved = distance(&plain.concat(), &adapted.concat());
            assert!(moved > 0.1, "{}: the adapter moves logits by {moved} only", case.name);

            let folder = tempfile::tempdir().unwrap();
            adapter.save(folder.path(), "base").unwrap();
            let stored = open_file(&folder.path().join("adapter_model.safetensors")).unwrap();
            let query =
                "base_model.model.cpmbee.encoder.layers.0.self_att.self_attention.project_q.lora_A.weight";
            assert!(stored.contains(query));
            let again = load_adapter(folder.path(), &case.model).unwrap();
            assert_eq!(case.outputs(&batch, Some(again.view())).1, adapted, "{}: from its files", case.name);

            merge(&mut case.model, adapter.as_ref());
            let (_, merged) = case.outputs(&batch, None);
            case.check(
                "merged logits",
                distance(&merged.concat(), &adapted.concat()),
                1e-3 * slack(&chosen()),
            );
        }
    }
}

/// Dicts beside rows of ids, and rows of dicts that are padded: a row's numbers do not depend on its neighbours.
#[test]
fn rows_beside_each_other_do_not_see_each_other() {
    let Some(case) = bee_cases().into_iter().next() else { return };
    let options = EncodeOptions { max_length: 1000, ..EncodeOptions::default() };
    let tokenizer = Tokenizer::open(&case.dir.join("model")).unwrap();
    let encoder = Encoder::new(tokenizer.into(), None, options).unwrap();
    let rows: Vec<Example> =
        case.records().into_iter().take(3).map(|data| encoder.encode(&Record::Dict(data)).unwrap()).collect();
    let together = Batch::collate(&rows, 0).unwrap();
    let (_, all) = case.outputs(&together, None);
    for (index, row) in rows.iter().enumerate() {
        let (_, alone) = case.outputs(&Batch::collate(std::slice::from_ref(row), 0).unwrap(), None);
        let first = index * together.len;
        let beside = all[first..first + row.ids.len()].concat();
        case.check("logits beside others", distance(&beside, &alone.concat()), 1e-4 * slack(&chosen()));
    }
    // The same dicts behind each other in one row: what stands in one is not seen by the others.
    let packed = Batch::packed(&rows, &[2, 1], 0).unwrap();
    let (_, all_packed) = case.outputs(&packed, None);
    let mut first = 0;
    for (index, row) in rows.iter().enumerate() {
        first = if index == 2 { packed.len } else { first };
        let behind = all_packed[first..first + row.ids.len()].concat();
        let beside = all[index * together.len..][..row.ids.len()].concat();
        case.check("logits behind others", distance(&behind, &beside), 1e-4 * slack(&chosen()));
        first += row.ids.len();
    }
    let [packed, together] = [&packed, &together].map(|batch| batch_loss(&case.model, None, batch).unwrap());
    case.check("losses", (packed - together).abs() / together, 1e-5 * slack(&chosen()));
}

/// What is context in each row of CPM-Ant's cases.
fn context(rows: &[Vec<bool>]) -> BeeBatch {
    let mut batch = BeeBatch::plain(&rows.iter().map(Vec::len).collect::<Vec<_>>());
    for (row, context) in batch.rows.iter_mut().zip(rows) {
        row.context.clone_from(context);
    }
    batch
}

#[test]
fn the_port_of_cpm_ant_gives_the_numbers_of_transformers() {
    let cases = ["seed/cpmant-hf", "cpmant-prompt"];
    let found: Vec<_> = cases.iter().filter_map(|name| Some((*name, common::golden(name)?))).collect();
    common::skipped(cases.len() - found.len(), "golden cases of CPM-Ant");
    for (name, dir) in found {
        let expected = read_json(&dir.join("expected.json"));
        if expected["config_legacy"] == true {
            // The older spelling of its config means the same.
            let folder = with_config(&dir.join("model"), "config.legacy.json");
            ant_of_transformers(name, &dir, &expected, &load(folder.path(), &chosen().device));
        }
        ant_of_transformers(name, &dir, &expected, &load(&dir.join("model"), &chosen().device));
    }
}

fn ant_of_transformers(name: &str, dir: &Path, expected: &Json, model: &Model) {
    let file = dir.join("expected.safetensors");
    let ids: Vec<u32> = integers(&file, "input_ids").into_iter().map(|id| id as u32).collect();
    let (mask, labels) = (integers(&file, "attention_mask"), integers(&file, "labels"));
    let want = floats(&file, "logits");
    let columns = want.len() / ids.len();
    assert_eq!(columns, model.info.vocabulary, "{name}");
    let (mut loss, mut learned) = (0.0, 0);
    for row in 0..2 {
        // Padding stands on the left there, and nowhere here.
        let first = (0..24).find(|at| mask[row * 24 + at] == 1).unwrap();
        let range = row * 24 + first..(row + 1) * 24;
        let logits = both_sided(model, &ids[range.clone()]);
        let off = distance(&logits.concat(), &want[range.start * columns..range.end * columns]);
        let allowed = expected["tolerance"]["logits_abs"].as_f64().unwrap() * slack(&chosen());
        println!("{name}: logits differ by {off:.2e}");
        assert!(off <= allowed, "{name}: logits differ by {off}");
        for (at, label) in labels[range].iter().enumerate().skip(1).filter(|(_, label)| **label != -100) {
            let row = &logits[at - 1];
            let sum: f64 = row.iter().map(|logit| f64::from(*logit).exp()).sum();
            loss += sum.ln() - f64::from(row[*label as usize]);
            learned += 1;
        }
    }
    let (loss, want) = (loss / f64::from(learned), expected["loss"].as_f64().unwrap());
    assert!((loss - want).abs() <= 2e-5 * slack(&chosen()), "{name}: loss {loss} is not {want}");
    greedy_ids(name, model, &expected["greedy"]);
}

fn both_sided(model: &Model, ids: &[u32]) -> Vec<Vec<f32>> {
    let side = context(&[vec![true; ids.len()]]);
    outputs(model, &Rows { side: Some(&side), ..Rows::fresh(ids, 1) }, None).1
}

fn greedy_ids(name: &str, model: &Model, told: &Json) {
    let list = |key: &str| -> Vec<u32> {
        told[key].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
    };
    let prompt = list("prompt_ids");
    let decoding = Decoding::new(model, None);
    let mut step = decoding.feed(&prompt).unwrap();
    for (at, want) in list("with_cache").into_iter().enumerate() {
        assert_eq!(argmax(&step.logits), want, "{name}: token {at} with a cache");
        step = decoding.feed(&[want]).unwrap();
    }
    let mut all = prompt;
    for want in list("without_cache") {
        let logits = both_sided(model, &all);
        assert_eq!(argmax(logits.last().unwrap()), want, "{name}: token {} without a cache", all.len());
        all.push(want);
    }
}

#[test]
fn the_original_cpm_ant_gives_the_numbers_of_its_code() {
    let Some(dir) = common::golden("seed/cpmant-orig") else {
        return common::skipped(1, "golden cases of CPM-Ant");
    };
    let (model, file) = (load(&dir.join("model"), &chosen().device), dir.join("expected.safetensors"));
    let expected = read_json(&dir.join("expected.json"));
    let known = expected["context_tokens"].as_u64().unwrap() as usize;
    let (ids, mask) = (integers(&file, "input_ids"), integers(&file, "attention_mask"));
    let labels = integers(&file, "labels");
    let rows: Vec<Example> = (0..2)
        .map(|row| {
            let length = mask[row * 24..(row + 1) * 24].iter().filter(|seen| **seen == 1).count();
            let range = row * 24..row * 24 + length;
            let context = (0..length).map(|at| at < known).collect();
            Example {
                ids: ids[range.clone()].iter().map(|id| *id as u32).collect(),
                labels: labels[range].iter().map(|label| *label as i32).collect(),
                side: Some(Box::new(BeeRow { context, ..BeeRow::plain(length) })),
                ..Example::default()
            }
        })
        .collect();
    let batch = Batch::collate(&rows, 0).unwrap();
    let (_, logits) = outputs(&model, &Rows::of_batch(&batch), None);
    let seen = |logits: Vec<f32>| -> Vec<f32> {
        let rows = logits.chunks(model.info.vocabulary).zip(&mask).filter(|(_, seen)| **seen == 1);
        rows.flat_map(|(row, _)| row.to_vec()).collect()
    };
    let off = distance(&seen(logits.concat()), &seen(floats(&file, "logits")));
    println!("cpmant-orig: logits differ by {off:.2e}");
    assert!(off <= expected["tolerance"]["logits_abs"].as_f64().unwrap() * slack(&chosen()), "{off}");
    let (loss, want) = (
        batch_loss(&model, None, &batch).unwrap() / batch.learned as f64,
        expected["loss"].as_f64().unwrap(),
    );
    assert!((loss - want).abs() <= 3e-5 * slack(&chosen()), "loss {loss} is not {want}");
}

/// What CPM-Bee's own program saves with `--use-delta`: a state_dict of factors beside the scaled products.
#[test]
fn deltas_of_opendelta_are_read_written_and_merged() {
    for mut case in bee_cases() {
        let (batch, _) = case.batch(0);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bee-delta-best.pt");
        let tensors = delta(&case.model);
        write_torch(&file, &tensors).unwrap();
        let adapter = load_adapter(&file, &case.model).unwrap();
        let (_, plain) = case.outputs(&batch, None);
        let (_, adapted) = case.outputs(&batch, Some(adapter.view()));
        assert!(distance(&plain.concat(), &adapted.concat()) > 0.1, "{}", case.name);
        let in_file: u64 = tensors.iter().map(|(.., elements)| elements.len() as u64).sum();
        assert_eq!(adapter.params().elements(), in_file);

        // Alpha 8 instead of the 16 that OpenDelta takes for granted: half the change of every layer.
        std::fs::write(folder.path().join("bee-delta-best.json"), r#"{"lora_alpha": 8}"#).unwrap();
        let halved = load_adapter(&file, &case.model).unwrap();
        let query = &case.model.sites.iter().find(|site| site.path.ends_with("project_q")).unwrap();
        let change = |adapter: &dyn Adapter| -> Vec<f32> {
            let before = &case.model.params.get(query.weight).value;
            let after = values(&adapter.merged(query.weight, before).unwrap());
            after.iter().zip(values(before)).map(|(a, b)| a - b).collect()
        };
        let (whole, half) = (change(adapter.as_ref()), change(halved.as_ref()));
        let twice: Vec<f32> = half.iter().map(|change| 2.0 * change).collect();
        case.check("twice half the change", distance(&twice, &whole), 1e-5 * slack(&chosen()));
        // W' = W + √inputs·s·B·A, element by element.
        let (a, b) = (&tensors[0].2, &tensors[1].2);
        let (inputs, rank) = (query.inputs, 4);
        let factor = (inputs as f32).sqrt() * 16.0 / rank as f32;
        let want: Vec<f32> = (0..query.outputs * inputs)
            .map(|at| {
                factor
                    * (0..rank).map(|k| b[at / inputs * rank + k] * a[k * inputs + at % inputs]).sum::<f32>()
            })
            .collect();
        case.check("merged weights", distance(&want, &whole), 1e-4 * slack(&chosen()));

        let out = folder.path().join("out");
        std::fs::create_dir(&out).unwrap();
        adapter.save(&out, "base").unwrap();
        methods::opendelta_from_peft(&out).unwrap();
        let names: Vec<_> =
            std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        let written = open_file(&out.join("pytorch_model.bin")).unwrap();
        for (name, shape, elements) in &tensors {
            assert_eq!(written.info(name).unwrap().shape, shape.as_slice());
            assert_eq!(&written.read_f32(name).unwrap(), elements, "{name}");
        }
        let again = load_adapter(&out, &case.model).unwrap();
        assert_eq!(case.outputs(&batch, Some(again.view())).1, adapted, "{}", case.name);

        merge(&mut case.model, adapter.as_ref());
        let (_, merged) = case.outputs(&batch, None);
        case.check("merged logits", distance(&merged.concat(), &adapted.concat()), 1e-3 * slack(&chosen()));
    }
}

/// LoRA of rank 4 on project_q and project_v, named as CPM-Bee's modules are.
fn delta(model: &Model) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let wave = |len: usize, by: usize| (0..len).map(|at| ((at * by % 83) as f32 - 41.0) / 300.0).collect();
    let chosen = model.sites.iter().filter(|site| {
        site.path.ends_with("self_attention.project_q") || site.path.ends_with("self_attention.project_v")
    });
    chosen
        .flat_map(|site| {
            let path = site.path.strip_prefix("cpmbee.").unwrap_or(&site.path);
            [
                (format!("{path}.lora.lora_A"), vec![4, site.inputs], wave(4 * site.inputs, 7919)),
                (format!("{path}.lora.lora_B"), vec![site.outputs, 4], wave(4 * site.outputs, 104_729)),
            ]
        })
        .collect()
}
