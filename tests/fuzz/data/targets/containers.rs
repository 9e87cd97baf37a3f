//! What holds rows in a form of its own: Parquet, and packed files.

use std::fs;
use std::io::Write;

use data::Silent;
use data::sources::{open, open_head};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::common::root;
use crate::harness::{Input, Run, Target};

/// Rows of a file that are looked at.
const MOST: usize = 24;
/// Of a head.
const HEAD: u64 = 2000;

/// Pages and the buffers to unpack them are reserved by what is told of them, within bounds.
pub fn target() -> Target {
    Target { memory: 640 << 20, ..Target::new(seeds, start) }
}

fn start() -> Run {
    Box::new(|folder| {
        let path = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
        let head = open_head(&path, HEAD);
        let source = open(&path, &Silent)?;
        let mut said = format!("{} {:?} ", source.container(), source.file().layers());
        for index in 0..source.len().min(MOST) {
            match source.get(index) {
                Ok(row) => said += if row.fields().is_some() { "y" } else { "t" },
                Err(error) => {
                    assert_eq!(error.exit_code(), 2, "{error}");
                    said += "n";
                }
            }
        }
        // What is read whole has a head.
        assert!(head.is_ok_and(|head| head.len() <= source.len()));
        Ok(said)
    })
}

fn seeds() -> Vec<Input> {
    let folder = root().join("tests/fixtures/parquet");
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.retain(|name| name.to_str().is_some_and(|name| name.ends_with(".parquet")));
    names.sort();
    let parquet = names.iter().map(|name| Input::of("a.parquet", fs::read(folder.join(name)).unwrap()));
    let lines = "{\"text\":\"a\"}\n".repeat(40);
    let wide: Vec<u8> = "\u{feff}a,b\nc,d\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
    gzip.write_all(lines.as_bytes()).unwrap();
    let packed = [
        Input::of("a.jsonl.gz", gzip.finish().unwrap()),
        Input::of("a.jsonl.zst", zstd::encode_all(lines.as_bytes(), 0).unwrap()),
        Input::of("a.csv", wide),
    ];
    parquet.chain(packed).collect()
}
