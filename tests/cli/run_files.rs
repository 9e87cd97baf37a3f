//! Run files that cannot be used: what, where, and how to mend it.

use serde_json::Value;

use crate::program::Program;

/// The commands that read a run file.
const READERS: [&str; 3] = ["preview", "check", "train"];

#[test]
fn a_missing_run_file_is_named() {
    let program = Program::new();
    for task in READERS {
        program.run(&[task, "no/such.toml"]).refused_with(&["no/such.toml", "check the path"]);
    }
    assert!(!program.path().join("runs").exists(), "a refused run leaves no folder");
}

#[test]
fn an_unknown_key_is_named_with_the_nearest() {
    let program = Program::new();
    program.write("my.toml", "[train]\nlerning_rate = 1e-4\n[data]\nmax_lenght = 8\n");
    for task in READERS {
        let words = ["train.lerning_rate", "`learning_rate`", "data.max_lenght", "`max_length`", "my.toml"];
        program.run(&[task, "my.toml"]).refused_with(&words);
    }
}

#[test]
fn what_is_not_toml_is_named_by_line() {
    let program = Program::new();
    program.write("a.toml", "[train]\nepochs = \"three\"\n");
    program.run(&["check", "a.toml"]).refused_with(&["row 2", "a.toml"]);
    program.write("b.toml", b"[train]\n\n# \xff\xfe\n");
    program.run(&["check", "b.toml"]).refused_with(&["UTF-8", "row 3", "b.toml"]);
    program.write("c.toml", "[train\n");
    program.run(&["check", "c.toml"]).refused_with(&["row 1", "c.toml"]);
}

#[test]
fn errors_come_in_chinese_too() {
    let program = Program::new();
    program
        .run(&["train", "--lang", "zh", "no.toml"])
        .refused_with(&["错误：无法读取运行文件", "位置：no.toml"]);
}

#[test]
fn with_json_the_last_line_is_the_failure() {
    let done = Program::new().run(&["train", "no.toml", "--json"]);
    assert_eq!(done.code, Some(2));
    let last: Value = serde_json::from_str(done.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"], "failed");
    assert_eq!(last["error"]["place"]["file"], "no.toml");
    assert!(done.stderr.contains("no.toml"));
}

#[test]
fn a_resumed_run_stays_in_its_folder() {
    let program = Program::new();
    program.run(&["train", "--resume", "a", "--out", "b"]).refused_with(&["--out", "b"]);
}
