//! `torch.save` files: sound ones as torch reads them, hostile ones refused before anything happens.

use std::io::{Cursor, Write};

use engine::weights::open_file;
use protocol::UserError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{Written, contents, fixtures};

#[test]
fn files_of_torch_are_read_as_torch_reads_them() {
    for name in ["plain", "plain-protocol4", "plain-legacy", "views", "views-legacy", "wrapped"] {
        let ours = open_file(&fixtures().join(format!("pickle/{name}.bin"))).unwrap();
        let (tensors, _) = name.split_once('-').unwrap_or((name, ""));
        let wanted = open_file(&fixtures().join(format!("pickle/{tensors}.safetensors"))).unwrap();
        assert_eq!(contents(&ours), contents(&wanted), "{name}");
    }
}

#[test]
fn tied_tensors_share_their_storage() {
    for name in ["views", "views-legacy"] {
        let file = open_file(&fixtures().join(format!("pickle/{name}.bin"))).unwrap();
        assert!(file.same_storage("whole", "tied"));
        assert!(!file.same_storage("whole", "transposed"));
        assert!(matches!(file.bytes("whole").unwrap(), std::borrow::Cow::Borrowed(_)));
        assert!(matches!(file.bytes("transposed").unwrap(), std::borrow::Cow::Owned(_)));
    }
}

#[test]
fn whole_objects_are_refused_by_name() {
    let refused = |name: &str| open_file(&fixtures().join("pickle").join(name)).unwrap_err();
    let error = refused("refused-module.bin");
    assert_eq!(error.place.item.as_deref(), Some("torch.nn.modules.container.Sequential"), "{error}");
    let error = refused("refused-device.bin");
    assert_eq!(error.place.item.as_deref(), Some("torch.device"), "{error}");
}

#[test]
fn a_torch_file_cut_or_changed_anywhere_never_panics() {
    for name in ["plain.bin", "views-legacy.bin"] {
        let whole = std::fs::read(fixtures().join("pickle").join(name)).unwrap();
        let file = Written::new("model.bin", &whole);
        for length in (0..whole.len()).step_by(1 + whole.len() / 600) {
            read_everything(&file, &whole[..length]);
        }
        for at in (0..whole.len()).step_by(1 + whole.len() / 1500) {
            for change in [0x01, 0x80, 0xFF] {
                let mut changed = whole.clone();
                changed[at] ^= change;
                read_everything(&file, &changed);
            }
        }
    }
}

fn read_everything(file: &Written, bytes: &[u8]) {
    file.replace(bytes);
    if let Ok(checkpoint) = file.open() {
        contents(&checkpoint);
    }
}

// --- hostile pickles, from raw instructions ----------------------------------------------------------

/// An archive as torch.save makes it, with this pickle and one storage `0` of 16 bytes.
fn archive(pickle: &[u8]) -> Vec<u8> {
    zip_of(&[("archive/data.pkl", pickle), ("archive/data/0", &[0; 16])], CompressionMethod::Stored)
}

fn zip_of(entries: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn refusal(bytes: &[u8]) -> UserError {
    Written::new("pytorch_model.bin", bytes).open().expect_err("a hostile file was accepted")
}

/// Refuses the pickle in both containers.
#[track_caller]
fn assert_refused(pickle: &[u8], reason: &str) {
    for bytes in [archive(pickle), legacy(pickle)] {
        let error = refusal(&bytes);
        assert!(error.to_string().contains(reason), "wanted {reason:?}, got: {error}");
        assert_eq!(error.exit_code(), 2);
    }
}

fn legacy(pickle: &[u8]) -> Vec<u8> {
    let mut file = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.".to_vec();
    file.extend_from_slice(b"\x80\x02}X\x0d\x00\x00\x00little_endian\x88s.");
    file.extend_from_slice(pickle);
    file.extend_from_slice(b"\x80\x02]X\x01\x00\x00\x000a.");
    file.extend_from_slice(&4i64.to_le_bytes());
    file.extend_from_slice(&[0; 16]);
    file
}

fn text(value: &str) -> Vec<u8> {
    let mut bytes = b"X".to_vec();
    bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
    bytes.extend_from_slice(value.as_bytes());
    bytes
}

fn long(value: i64) -> Vec<u8> {
    let mut bytes = vec![0x8a, 8];
    bytes.extend_from_slice(&value.to_le_bytes());
    bytes
}

fn tuple(items: &[i64]) -> Vec<u8> {
    let mut bytes = b"(".to_vec();
    bytes.extend(items.iter().flat_map(|&item| long(item)));
    bytes.push(b't');
    bytes
}

/// `{'w': _rebuild_tensor_v2(storage '0' of `elements` floats, offset, shape, strides, False, OrderedDict())}`
fn tensor_pickle(elements: i64, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let parts: [&[u8]; 12] = [
        b"\x80\x02}",
        &text("w"),
        b"ctorch._utils\n_rebuild_tensor_v2\n((",
        &text("storage"),
        b"ctorch\nFloatStorage\n",
        &text("0"),
        &text("cpu"),
        &long(elements),
        b"tQ",
        &long(offset),
        &[tuple(shape), tuple(strides)].concat(),
        b"\x89ccollections\nOrderedDict\n)RtRs.",
    ];
    parts.concat()
}

#[test]
fn the_harness_makes_sound_files() {
    let pickle = tensor_pickle(4, 1, &[3, 1], &[1, 1]);
    for bytes in [archive(&pickle), legacy(&pickle)] {
        let file = Written::new("pytorch_model.bin", &bytes);
        let checkpoint = file.open().unwrap();
        assert_eq!(checkpoint.info("w").unwrap().shape, [3, 1]);
        assert_eq!(checkpoint.bytes("w").unwrap().len(), 12);
    }
}

#[test]
fn callables_are_refused_by_name() {
    let names = [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("builtins", "getattr"),
        ("subprocess", "Popen"),
        ("pip", "main"),
        ("pydoc", "locate"),
        ("pkgutil", "resolve_name"),
        ("runpy", "_run_code"),
        ("torch", "load"),
        ("torch.jit", "load"),
        ("torch.hub", "load"),
        ("torch._utils", "_rebuild_tensor"),
        ("torch._utils", "_rebuild_wrapper_subclass"),
        ("torch.serialization", "load"),
        ("torch", "FloatStorage.from_file"),
        ("torch.storage", "_load_from_bytes"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("collections", "OrderedDict.__init__"),
        ("Collections", "OrderedDict"),
        ("", ""),
    ];
    for (module, name) in names {
        let wanted = format!("{module}.{name}");
        let global = format!("c{module}\n{name}\n(").into_bytes();
        let call = [b"\x80\x02".to_vec(), global, text("touch canary"), b"tR.".to_vec()].concat();
        assert_refused(&call, &wanted);
        let stack = [b"\x80\x04".to_vec(), text(module), text(name), b"\x93)R.".to_vec()].concat();
        assert_refused(&stack, &wanted);
    }
}

#[test]
fn nested_and_disguised_calls_are_refused() {
    // os.system as an argument of an allowed function, deep inside a dictionary, behind the memo.
    assert_refused(b"\x80\x02ctorch._utils\n_rebuild_parameter\n(cos\nsystem\ntR.", "os.system");
    assert_refused(b"\x80\x02}X\x01\x00\x00\x00a]}cos\nsystem\ns.", "os.system");
    // The value of a call called again; a call of a text; a call without arguments; OrderedDict with items.
    assert_refused(b"\x80\x02ccollections\nOrderedDict\n)R)R.", "no function of the allow-list");
    assert_refused(b"\x80\x02X\x02\x00\x00\x00os)R.", "no function of the allow-list");
    assert_refused(b"\x80\x02ccollections\nOrderedDict\nR.", "no arguments");
    assert_refused(b"\x80\x02)R.", "empty stack");
    assert_refused(b"\x80\x02ccollections\nOrderedDict\nNR.", "no arguments");
    assert_refused(b"\x80\x02ccollections\nOrderedDict\n(]tR.", "no function of the allow-list");
    assert_refused(b"\x80\x02ctorch\nFloatStorage\n(K\x08tR.", "no function of the allow-list");
    assert_refused(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.", "a tensor's description");
    assert_refused(b"\x80\x02ctorch._utils\n_rebuild_parameter\n(}\x89}tR.", "a parameter's description");
}

#[test]
fn instructions_that_no_checkpoint_needs_are_refused() {
    for (pickle, name) in [
        (&b"\x80\x02(cos\nsystem\nX\x02\x00\x00\x00ido."[..], "os.system"),
        (b"(S'id'\nios\nsystem\n.", "protocol 0"),
        (b"\x80\x02(ios\nsystem\n.", "INST"),
        (b"\x80\x02(o.", "OBJ"),
        (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "NEWOBJ"),
        (b"\x80\x04ccollections\nOrderedDict\n)}\x92.", "NEWOBJ_EX"),
        (b"\x80\x02\x82\x01.", "EXT"),
        (b"\x80\x02Pid\n.", "PERSID"),
        (b"\x80\x04\x8f.", "a set"),
        (b"\x80\x05\x97.", "buffer"),
        (b"\x80\x02\xfe.", "unknown"),
        (b"\x80\x01.", "protocol"),
    ] {
        assert_refused(pickle, name);
    }
}

#[test]
fn state_may_be_set_on_dictionaries_only() {
    assert_refused(b"\x80\x02]}b.", "sets the state");
    assert_refused(b"\x80\x02}]b.", "sets the state");
    assert_refused(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}b.", "lacks its container");
    let tensor = tensor_pickle(4, 0, &[4], &[1]);
    // `…s.` becomes `…}bs.`: a state for the tensor.
    let with_state = [&tensor[..tensor.len() - 2], b"}bs."].concat();
    assert_refused(&with_state, "sets the state");
}

#[test]
fn broken_stacks_are_refused() {
    let broken: [&[u8]; 17] = [
        b"",
        b"\x80",
        b"\x80\x02",
        b".",
        b"\x80\x02.",
        b"\x80\x02(.",
        b"\x80\x02t.",
        b"\x80\x02\x87.",
        b"\x80\x02K\x01(\x85.",
        b"\x80\x02a.",
        b"\x80\x02]K\x01s.",
        b"\x80\x02}(K\x01u.",
        b"\x80\x02NNa.",
        b"\x80\x02q\x00.",
        b"\x80\x02h\x07.",
        b"\x80\x02X\xff\xff\xff\xffab.",
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xffab.",
    ];
    for pickle in broken {
        refusal(&archive(pickle));
        refusal(&legacy(pickle));
        refusal(pickle);
    }
}

#[test]
fn deep_and_endless_structures_are_bounded() {
    // A million tuples inside each other, and a list inside itself: no recursion, so no stack overflow.
    let deep = [&b"\x80\x02)"[..], &[0x85; 1_000_000], b"."].concat();
    refusal(&archive(&deep));
    refusal(&archive(b"\x80\x02]q\x00h\x00a."));
    refusal(&archive(b"\x80\x02}q\x00X\x01\x00\x00\x00wh\x00s."));
    assert_refused(&[&b"\x80\x02"[..], &vec![b'N'; 1_100_000], b"."].concat(), "beyond all need");
    assert_refused(&[&b"\x80\x02"[..], &vec![b'('; 1_100_000], b"."].concat(), "beyond all need");
    let objects = [&b"\x80\x02]"[..], &b"]a".repeat(4_100_000), b"."].concat();
    assert_refused(&objects, "more objects");
    let integer = [&b"\x80\x02\x8b\xff\xff\xff\x7f"[..], b"."].concat();
    assert_refused(&integer, "cut off");
}

#[test]
fn views_outside_their_storage_are_refused() {
    let outside = [
        tensor_pickle(4, 0, &[5], &[1]),
        tensor_pickle(4, 1, &[4], &[1]),
        tensor_pickle(4, 0, &[2, 2], &[4, 1]),
        tensor_pickle(4, 0, &[2], &[i64::MAX]),
        tensor_pickle(4, i64::MAX, &[2], &[1]),
        tensor_pickle(4, 0, &[i64::MAX, i64::MAX], &[0, 0]),
        // Stride 0 would make 4 TB of one element.
        tensor_pickle(4, 0, &[1 << 40], &[0]),
        // More than the storage in the archive holds.
        tensor_pickle(5, 0, &[5], &[1]),
        tensor_pickle(i64::MAX, 0, &[5], &[1]),
        tensor_pickle(4, 0, &[2, 2], &[1]),
    ];
    for pickle in outside {
        assert_refused(&pickle, "a tensor leaves its storage");
    }
    for negative in [
        tensor_pickle(-1, 0, &[1], &[1]),
        tensor_pickle(4, -1, &[1], &[1]),
        tensor_pickle(4, 0, &[-1], &[1]),
        tensor_pickle(4, 3, &[2], &[-1]),
        tensor_pickle(4, 0, &[1; 65], &[1; 65]),
    ] {
        assert_refused(&negative, "description");
    }
}

#[test]
fn what_is_no_dictionary_of_tensors_is_refused() {
    assert_refused(b"\x80\x02N.", "no dictionary");
    assert_refused(b"\x80\x02].", "no dictionary");
    assert_refused(b"\x80\x02}.", "no dictionary");
    assert_refused(b"\x80\x02}X\x05\x00\x00\x00epochK\x01s.", "no dictionary");
    let tensor = tensor_pickle(4, 0, &[4], &[1]);
    let beside = [&tensor[..tensor.len() - 1], &text("nested"), b"}s."].concat();
    assert_refused(&beside, "nested is no tensor");
    let number = [&tensor[..tensor.len() - 1], &text("step"), b"K\x07s."].concat();
    assert!(Written::new("model.bin", &archive(&number)).open().is_ok());
    let twice = [&tensor[..tensor.len() - 1], &tensor[3..]].concat();
    assert_refused(&twice, "occurs twice");
}

// --- hostile archives ---------------------------------------------------------------------------------

#[test]
fn archives_must_be_plain() {
    let pickle = tensor_pickle(4, 0, &[4], &[1]);
    let with = |extra: &str| {
        let entries: [(&str, &[u8]); 3] = [("a/data.pkl", &pickle), ("a/data/0", &[0; 16]), (extra, b"x")];
        zip_of(&entries, CompressionMethod::Stored)
    };
    assert!(Written::new("model.bin", &with("a/version")).open().is_ok());
    for name in ["../evil", "a/../../evil", "/etc/evil", "..\\evil", "a/./b"] {
        let error = refusal(&with(name));
        assert!(error.what.en.contains("leaves the archive"), "{name}: {error}");
    }
    let error = refusal(&with("b/data.pkl"));
    assert!(error.what.en.contains("several data.pkl"), "{error}");
    let error = refusal(&zip_of(&[("a/version", b"3")], CompressionMethod::Stored));
    assert!(error.what.en.contains("no data.pkl"), "{error}");
    let error = refusal(&zip_of(&[("a/data.pkl", &pickle)], CompressionMethod::Stored));
    assert!(error.what.en.contains("the storage 0 is missing"), "{error}");
    let big: [(&str, &[u8]); 3] = [("a/data.pkl", &pickle), ("a/data/0", &[0; 16]), ("a/byteorder", b"big")];
    let error = refusal(&zip_of(&big, CompressionMethod::Stored));
    assert!(error.what.en.contains("big-endian"), "{error}");
}

/// The method field of the pickle's central entry turned to Deflate, and the sizes inflated: what a
/// decompression bomb needs.
#[test]
fn compressed_and_forged_entries_are_refused() {
    let sound = archive(&tensor_pickle(4, 0, &[4], &[1]));
    let central: Vec<usize> =
        (0..sound.len() - 4).filter(|&at| sound[at..at + 4] == *b"PK\x01\x02").collect();
    assert_eq!(central.len(), 2);
    for &at in &central {
        let mut deflated = sound.clone();
        deflated[at + 10] = 8;
        assert!(refusal(&deflated).what.en.contains("compressed"));
        let mut encrypted = sound.clone();
        encrypted[at + 8] |= 1;
        assert!(refusal(&encrypted).what.en.contains("encrypted"));
        let mut bomb = sound.clone();
        bomb[at + 24..at + 28].copy_from_slice(&0x7FFF_FFFFu32.to_le_bytes());
        assert!(refusal(&bomb).what.en.contains("compressed"));
        let mut long = sound.clone();
        for field in [20, 24] {
            long[at + field..at + field + 4].copy_from_slice(&0x7FFF_FFFFu32.to_le_bytes());
        }
        refusal(&long);
        let mut elsewhere = sound.clone();
        elsewhere[at + 42..at + 46].copy_from_slice(&0x7FFF_FFFFu32.to_le_bytes());
        refusal(&elsewhere);
    }
}
