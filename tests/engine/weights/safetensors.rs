//! Every rule of the safetensors format, broken on purpose.

use protocol::UserError;

use super::{Written, contents, safetensors};

const TWO: &str = r#"{"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"I8","shape":[3,1],"data_offsets":[8,11]}}"#;
const DATA: [u8; 11] = [0, 0, 128, 63, 0, 0, 0, 64, 1, 2, 3];

fn refused(bytes: &[u8]) -> UserError {
    let file = Written::new("model.safetensors", bytes);
    let error = file.open().expect_err("a malformed file was accepted");
    assert_eq!(error.place.file, Some(file.path()));
    assert_eq!(error.exit_code(), 2, "{error}");
    // The reference implementation must not be stricter anywhere else than we are; where it accepts, the
    // rule is one that we add.
    error
}

#[track_caller]
fn assert_rule(bytes: &[u8], rule: &str) {
    let error = refused(bytes);
    assert!(error.what.en.contains(rule), "wanted {rule:?}, got: {error}");
}

/// One tensor `w` with this description, over `data` bytes.
fn one(description: &str, data: usize) -> Vec<u8> {
    safetensors(&format!(r#"{{"w":{{{description}}}}}"#), &vec![0; data])
}

#[test]
fn a_sound_file_is_read() {
    let file = Written::new("model.safetensors", &safetensors(TWO, &DATA));
    let checkpoint = file.open().unwrap();
    let wanted = [
        ("a".to_owned(), "I8".to_owned(), vec![3, 1], vec![1, 2, 3]),
        ("b".to_owned(), "F32".to_owned(), vec![2], DATA[..8].to_vec()),
    ];
    assert_eq!(contents(&checkpoint), wanted);
    assert_eq!(checkpoint.read_f32("b").unwrap(), [1.0, 2.0]);
    assert_eq!((checkpoint.parameters(), checkpoint.total_bytes()), (5, 11));
    assert!(checkpoint.read_f32("a").is_err());
    assert!(checkpoint.bytes("c").is_err());
}

#[test]
fn empty_tensors_and_empty_files_of_tensors_are_sound() {
    let header = r#"{"e":{"dtype":"F32","shape":[0,7],"data_offsets":[0,0]}}"#;
    let file = Written::new("model.safetensors", &safetensors(header, &[]));
    assert_eq!(file.open().unwrap().bytes("e").unwrap().len(), 0);
    assert_eq!(Written::new("model.safetensors", &safetensors("{}", &[])).open().unwrap().names().count(), 0);
}

#[test]
fn a_file_cut_at_any_length_is_refused() {
    let whole = safetensors(TWO, &DATA);
    for length in 0..whole.len() {
        refused(&whole[..length]);
    }
}

#[test]
fn bytes_after_the_last_tensor_are_refused() {
    let mut file = safetensors(TWO, &DATA);
    file.push(0);
    assert_rule(&file, "its tensors take 11 bytes, and the file holds 12");
}

#[test]
fn header_bombs_are_refused() {
    for length in [100_000_001, u64::from(u32::MAX), u64::MAX / 2, u64::MAX] {
        let mut file = safetensors(TWO, &DATA);
        file[..8].copy_from_slice(&length.to_le_bytes());
        assert_rule(&file, "at most 100 MB");
    }
    let mut file = safetensors(TWO, &DATA);
    file[..8].copy_from_slice(&90_000_000u64.to_le_bytes());
    assert_rule(&file, "cut off");
}

#[test]
fn the_header_must_be_an_object_from_its_first_byte() {
    assert_rule(&safetensors(&format!(" {TWO}"), &DATA), "does not start with {");
    assert_rule(&safetensors("", &[]), "does not start with {");
    assert_rule(&safetensors("[]", &[]), "does not start with {");
    assert_rule(&safetensors(&TWO[..20], &DATA), "not as the format wants");
    assert_rule(&safetensors(&format!("{TWO}x"), &DATA), "not as the format wants");
    let deep = format!("{{\"w\":{}", "[".repeat(1_000_000));
    assert_rule(&safetensors(&deep, &[]), "not as the format wants");
}

#[test]
fn the_header_must_be_utf_8() {
    let mut file = safetensors(TWO, &DATA);
    let at = file.iter().position(|&byte| byte == b'a').unwrap();
    file[at] = 0xFF;
    assert_rule(&file, "not UTF-8");
}

#[test]
fn a_name_may_occur_once() {
    let w = r#""w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}"#;
    let error = refused(&safetensors(&format!("{{{w},{w}}}"), &[0]));
    assert!(error.what.en.contains("occurs twice"), "{error}");
    assert_eq!(error.place.item.as_deref(), Some("w"));
    let metadata = r#""__metadata__":{"a":"b"}"#;
    assert_rule(&safetensors(&format!("{{{metadata},{metadata},{w}}}"), &[0]), "occurs twice");
}

#[test]
fn tensors_tile_the_data() {
    let two = |first: (usize, usize), second: (usize, usize)| {
        let tensor = |name: &str, (begin, end): (usize, usize)| {
            let length = end - begin;
            format!(r#""{name}":{{"dtype":"U8","shape":[{length}],"data_offsets":[{begin},{end}]}}"#)
        };
        let header = format!("{{{},{}}}", tensor("a", first), tensor("b", second));
        safetensors(&header, &[0; 8])
    };
    assert!(Written::new("model.safetensors", &two((4, 8), (0, 4))).open().is_ok());
    assert_rule(&two((0, 5), (4, 8)), "overlap");
    assert_rule(&two((0, 8), (0, 8)), "overlap");
    assert_rule(&two((0, 3), (4, 8)), "leave a hole");
    assert_rule(&two((1, 4), (4, 8)), "leave a hole");
    assert_rule(&two((0, 4), (4, 7)), "its tensors take 7 bytes");
    assert_rule(&two((0, 4), (4, 9)), "cut off");
}

#[test]
fn shapes_and_offsets_agree() {
    assert_rule(&one(r#""dtype":"F32","shape":[3],"data_offsets":[0,8]"#, 8), "takes 12 bytes");
    assert_rule(&one(r#""dtype":"F32","shape":[2],"data_offsets":[8,0]"#, 8), "leave a hole");
    assert_rule(
        &one(r#""dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]"#, 8),
        "overflows",
    );
    assert_rule(&one(r#""dtype":"F64","shape":[4611686018427387904],"data_offsets":[0,8]"#, 8), "overflows");
    let huge = r#""dtype":"U8","shape":[1099511627776],"data_offsets":[0,1099511627776]"#;
    assert_rule(&one(huge, 8), "cut off");
}

#[test]
fn descriptions_are_strict() {
    let refused_as_format = [
        r#""dtype":"F32","shape":[2]"#,
        r#""dtype":"F32","shape":[-2],"data_offsets":[0,8]"#,
        r#""dtype":"F32","shape":[2.0],"data_offsets":[0,8]"#,
        r#""dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]"#,
        r#""dtype":"F32","shape":[2],"data_offsets":[0,8,16]"#,
        r#""dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551616]"#,
        r#""dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1"#,
        r#""dtype":7,"shape":[2],"data_offsets":[0,8]"#,
    ];
    for description in refused_as_format {
        assert_rule(&one(description, 8), "not as the format wants");
    }
    assert_rule(&safetensors(r#"{"__metadata__":{"a":1}}"#, &[]), "not as the format wants");
}

#[test]
fn unknown_number_formats_are_named() {
    for dtype in ["F8_E4M3", "C64", "f32", ""] {
        let file = one(&format!(r#""dtype":"{dtype}","shape":[8],"data_offsets":[0,8]"#), 8);
        assert_rule(&file, &format!("the number format {dtype} is not supported"));
    }
}

/// Whatever the reference implementation refuses, we refuse, and what we accept it reads the same: over
/// every single-byte change of a header.
#[test]
fn never_laxer_than_the_reference_implementation() {
    let sound = safetensors(TWO, &DATA);
    let file = Written::new("model.safetensors", &sound);
    let mut accepted = 0;
    for at in 0..sound.len() - DATA.len() {
        for byte in [0, b' ', b'"', b'0', b'1', b'9', b'a', b'b', b'F', b'{', b'}', b'[', b',', 0x7F, 0xFF] {
            let mut changed = sound.clone();
            changed[at] = byte;
            file.replace(&changed);
            if let Ok(ours) = file.open() {
                let theirs =
                    ::safetensors::SafeTensors::deserialize(&changed).expect("laxer than the reference");
                let mut names = theirs.names();
                names.sort_unstable();
                assert_eq!(ours.names().collect::<Vec<_>>(), names);
                for name in names {
                    assert_eq!(ours.bytes(name).unwrap(), theirs.tensor(name).unwrap().data());
                }
                accepted += 1;
            }
        }
    }
    // Names and metadata may be anything.
    assert!(accepted > 50, "{accepted}");
}

#[test]
fn what_is_no_regular_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(engine::weights::open_file(folder.path()).is_err());
    assert!(engine::weights::open_file(&folder.path().join("absent.safetensors")).is_err());
    #[cfg(unix)]
    assert!(engine::weights::open_file(std::path::Path::new("/dev/zero")).is_err());
}
