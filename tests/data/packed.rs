//! What may lie around rows: gzip, zstd, UTF-16.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use data::sources::{RowSource, RowValue, open, open_head};
use data::{Library, Progress, Silent};
use flate2::Compression;
use flate2::write::GzEncoder;
use protocol::config::DataConfig;
use protocol::{Text, UserError};
use serde_json::Value;

use crate::support::{Folder, words};

pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zstd(content: &[u8]) -> Vec<u8> {
    zstd::encode_all(content, 1).unwrap()
}

fn utf16(text: &str) -> Vec<u8> {
    "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

fn lines(count: usize) -> String {
    (0..count).map(|row| format!("{{\"text\":\"row {row} 你好\"}}\n")).collect()
}

fn rows(source: &dyn RowSource) -> Vec<Value> {
    let value = |index| match source.get(index).unwrap().value {
        RowValue::Object(fields) => Value::Object(fields),
        RowValue::Text(text) => Value::String(text),
    };
    (0..source.len()).map(value).collect()
}

fn refusal(name: &str, content: &[u8]) -> UserError {
    let (_folder, path) = Folder::with(name, content);
    open(&path, &Silent).err().unwrap_or_else(|| panic!("{name} was opened"))
}

#[test]
fn every_container_may_be_packed_whatever_its_name_says() {
    let jsonl = lines(3);
    let json = format!("[{}]", jsonl.trim().replace('\n', ","));
    let csv = "text,label\n\"a, b\",1\nc,2\n";
    for (name, content) in
        [("a.jsonl", jsonl.as_str()), ("a.json", &json), ("a.csv", csv), ("a.txt", "x\ny\n")]
    {
        let (_folder, path) = Folder::with(name, content);
        let plain = open(&path, &Silent).unwrap();
        for (layer, packed) in [("gzip", gzip(content.as_bytes())), ("zstd", zstd(content.as_bytes()))] {
            for name in [name.to_owned(), format!("{name}.gz"), format!("{name}.zst")] {
                let (_folder, path) = Folder::with(&name, &packed);
                let source = open(&path, &Silent).unwrap_or_else(|err| panic!("{name}: {err}"));
                assert_eq!(rows(source.as_ref()), rows(plain.as_ref()), "{name}");
                assert_eq!(source.container(), plain.container());
                assert_eq!(source.file().layers(), [layer]);
                assert_eq!(source.file().size(), packed.len() as u64);
                assert!(source.is_whole());
            }
        }
    }
}

#[test]
fn several_packed_parts_are_one_file() {
    let (first, second) = (lines(2), lines(1));
    for pack in [gzip, zstd] {
        let packed = [pack(first.as_bytes()), pack(second.as_bytes())].concat();
        let (_folder, path) = Folder::with("a.jsonl.gz", packed);
        assert_eq!(open(&path, &Silent).unwrap().len(), 3);
    }
}

#[test]
fn utf_16_tables_are_read() {
    let table = "标题\t摘要\nGPU 加速\t\"两行\n😀\"\n";
    for content in [utf16(table), gzip(&utf16(table))] {
        let (_folder, path) = Folder::with("a.tsv", content);
        let source = open(&path, &Silent).unwrap();
        assert_eq!(rows(source.as_ref()), [serde_json::json!({"标题": "GPU 加速", "摘要": "两行\n😀"})]);
        assert_eq!(source.container(), "tsv");
    }
    let cut = utf16("a,b\nc,d\n");
    assert!(refusal("a.csv", &cut[..cut.len() - 1]).to_string().contains("Not UTF-16"));
}

#[test]
fn the_head_of_a_large_packed_file_is_not_the_whole() {
    let content = lines(20_000);
    for pack in [gzip, zstd] {
        let (_folder, path) = Folder::with("a.jsonl.gz", pack(content.as_bytes()));
        let head = open_head(&path, 1000).unwrap();
        assert!(!head.is_whole());
        assert!((20..20_000).contains(&head.len()), "{}", head.len());
        assert_eq!(rows(head.as_ref())[..20], rows(open(&path, &Silent).unwrap().as_ref())[..20]);
    }
}

#[test]
fn a_library_has_the_head_at_once_and_then_the_whole() {
    let text = "word ".repeat(20);
    let content: String = (0..120_000).map(|row| format!("{{\"text\":\"{row} {text}\"}}\n")).collect();
    let (folder, path) = Folder::with("a.jsonl.zst", zstd(content.as_bytes()));
    let config = DataConfig { train: vec![path], ..DataConfig::default() };
    let mut library = Library::default();
    let glance = library.glance(&config, folder.path(), words(), &Silent).unwrap();
    assert!(!glance.is_whole() && glance.len() > 1000);
    let whole = library.dataset(&config, folder.path(), words(), &Silent).unwrap();
    assert_eq!(whole.len(), 120_000);
    let source = &whole.sources()[0];
    assert_eq!(source.container, "jsonl, zstd");
    assert_eq!(whole.hashes(&Silent).unwrap(), [sha256(&zstd(content.as_bytes()))]);
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn damaged_and_foreign_files_are_refused_in_words() {
    let whole = gzip(lines(2000).as_bytes());
    assert!(refusal("a.jsonl", &whole[..whole.len() / 2]).to_string().contains("ends too early"));
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x55;
    assert!(refusal("a.jsonl", &flipped).to_string().contains("be unpacked"));
    let packed = zstd(lines(2000).as_bytes());
    assert!(refusal("a.jsonl", &packed[..packed.len() / 2]).to_string().contains("ends too early"));
    assert!(refusal("a.jsonl.gz", &gzip(&whole)).to_string().contains("packed twice"));
    assert!(refusal("a.jsonl.gz", b"\x1f\x8b\x08\x00").to_string().contains("ends too early"));
    assert!(refusal("a.jsonl", b"BZh91AY").to_string().contains("bzip2"));
    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    assert!(refusal("a.tar.gz", &gzip(&tar)).to_string().contains("a tar archive"));
}

#[test]
fn what_no_text_packs_to_is_a_bomb() {
    // One and a half gigabytes of blanks; the limit is reached long before the end.
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    let blanks = vec![b' '; 1 << 20];
    (0..1536).for_each(|_| encoder.write_all(&blanks).unwrap());
    let bomb = encoder.finish().unwrap();
    assert!(refusal("a.jsonl.zst", &bomb).to_string().contains("times as large as the file"));
}

struct StopAtOnce(AtomicBool);

impl Progress for StopAtOnce {
    fn report(&self, stage: &Text, _: u64, _: u64) {
        if stage.en == "unpacking" {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    fn cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[test]
fn unpacking_tells_how_far_it_is_and_can_be_stopped() {
    let blanks = "{\"text\":\"a\"}\n".repeat(4 << 20);
    let (_folder, path) = Folder::with("a.jsonl.gz", gzip(blanks.as_bytes()));
    let stopped = open(&path, &StopAtOnce(AtomicBool::new(false))).err().unwrap();
    assert!(stopped.to_string().contains("Stopped"), "{stopped}");
}

#[test]
fn a_packed_file_that_changes_is_noticed() {
    let (_folder, path) = Folder::with("a.jsonl.gz", gzip(lines(3).as_bytes()));
    let source = open(&path, &Silent).unwrap();
    source.get(0).unwrap();
    std::fs::write(&path, gzip(lines(40).as_bytes())).unwrap();
    assert!(source.get(1).unwrap_err().to_string().contains("was changed"));
}
