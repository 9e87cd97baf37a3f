//! Help, flags and streams.

use std::process::Stdio;

use crate::program::{Done, Program};

const TASKS: [&str; 10] =
    ["inspect", "preview", "check", "train", "score", "generate", "chat", "export", "vocabulary", "bench"];

#[test]
fn without_a_display_the_window_says_what_to_do() {
    let program = Program::new();
    let mut command = program.command(&[]);
    let done = Done::new(command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").output().unwrap());
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert!(done.stderr.contains("emberwright --help"), "{}", done.stderr);
}

#[test]
fn help_names_every_command() {
    let done = Program::new().run(&["--help"]);
    assert_eq!(done.code, Some(0));
    for task in TASKS {
        assert!(done.stdout.contains(&format!("\n  {task} ")), "{task}: {}", done.stdout);
    }
}

#[test]
fn every_command_has_help_with_the_common_flags() {
    let program = Program::new();
    for task in TASKS {
        let done = program.run(&[task, "--help"]);
        assert_eq!(done.code, Some(0), "{task}");
        for flag in ["--json", "--device", "--lang"] {
            assert!(done.stdout.contains(flag), "{task} {flag}");
        }
    }
}

#[test]
fn help_speaks_chinese() {
    let program = Program::new();
    let mut command = program.command(&["--help"]);
    let done = Done::new(command.env("LANG", "zh_CN.UTF-8").output().unwrap());
    assert!(done.stdout.contains("微调语言模型"), "{}", done.stdout);
    assert!(program.run(&["train", "--lang", "zh", "--help"]).stdout.contains("运行文件"));
}

#[test]
fn mistaken_usage_is_bad_input() {
    let program = Program::new();
    let cases: [(&[&str], &[&str]); 10] = [
        (&["tarin", "a.toml"], &["tarin", "train"]),
        (&["train"], &["RUN.toml"]),
        (&["train", "a.toml", "--devise", "cpu"], &["--devise", "--device"]),
        (&["train", "a.toml", "--device", "gpu"], &["gpu", "cuda:N"]),
        (&["generate", "--model", "m"], &["--prompt", "--ids"]),
        (&["generate", "--model", "m", "--ids", "1,x"], &["`x`"]),
        (&["generate", "--model", "m", "--prompt", "a", "--ids", "1"], &["cannot be used with"]),
        (&["generate", "--model", "m", "--prompt", "a", "--top-p", "2"], &["at most 1"]),
        (&["export", "--model", "m", "--to", "merged", "--out", "o", "--dtype", "f8"], &["f8", "bf16"]),
        (&["bench", "--model", "m", "--layers", "3"], &["--layers", "cannot be used with"]),
    ];
    for (arguments, words) in cases {
        program.run(arguments).refused_with(words);
    }
}

/// The kernel closes the pipe under the program; it must end without a panic.
#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let program = Program::new();
    program.write("run.toml", "[train]\nepoks = 1");
    for arguments in [&["--help"][..], &["train", "--json", "run.toml"], &["bench", "--help"]] {
        let mut child =
            program.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let done = Done::new(child.wait_with_output().unwrap());
        assert!(!done.stderr.contains("panicked"), "{arguments:?}: {}", done.stderr);
        assert!(matches!(done.code, Some(0 | 2)), "{arguments:?}: {:?}", done.code);
    }
}
