//! All mismatches between weights and model, at once.

use engine::weights::Wanted;

use super::{Written, safetensors};

fn file() -> Written {
    let header = r#"{
        "w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},
        "old.b":{"dtype":"BF16","shape":[1],"data_offsets":[8,10]},
        "mask":{"dtype":"BOOL","shape":[1],"data_offsets":[10,11]},
        "extra":{"dtype":"U8","shape":[1],"data_offsets":[11,12]}}"#;
    Written::new("model.safetensors", &safetensors(header, &[0; 12]))
}

fn ignorable(name: &str) -> bool {
    name == "mask" || name == "extra"
}

#[test]
fn a_fitting_file_passes() {
    let wanted = [
        Wanted::new("w", [2, 1]),
        Wanted::new("b", [1]).or("older.b").or("old.b"),
        Wanted::new("head", [5]).optional(),
    ];
    let checkpoint = file().open().unwrap();
    checkpoint.check(&wanted, &ignorable).unwrap();
    assert_eq!(wanted[1].stored_name(&checkpoint), Some("old.b"));
    assert_eq!(wanted[2].stored_name(&checkpoint), None);
}

#[test]
fn all_mismatches_are_listed() {
    let wanted = [
        Wanted::new("w", [1, 2]),
        Wanted::new("b", [3]).or("old.b").optional(),
        Wanted::new("mask", [1]),
        Wanted::new("head", [5, 2]),
        Wanted::new("norm", [7]),
    ];
    let error = file().open().unwrap().check(&wanted, &|_| false).unwrap_err();
    assert_eq!(
        error.details,
        [
            "head: missing, wanted [5, 2]",
            "norm: missing, wanted [7]",
            "w: wanted [1, 2], got [2, 1]",
            "old.b: wanted [3], got [1]",
            "mask: wanted floats, got BOOL",
            "extra: unknown to this model, got [1]",
        ],
        "{error}"
    );
    assert_eq!(error.exit_code(), 2);
}
