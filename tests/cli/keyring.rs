//! A token in a real Secret Service: gnome-keyring on a message bus of its own.

use std::process::Command;

use crate::hub::{TOKEN, holds, knowing};
use crate::program::Program;

/// What is needed; Debian's `gnome-keyring` and `dbus`.
const NEEDED: [&str; 2] = ["gnome-keyring-daemon", "dbus-run-session"];

/// Logs in, ends the keyring's process, starts it again, searches with what it kept, and logs out.
const SESSION: &str = r#"
set -eu
unlock() { printf 'a password\n' | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1; }
unlock
printf '%s\n' "$LOGIN_WITH" | "$PROGRAM" hub login
for daemon in $(pidof gnome-keyring-daemon); do
    tr '\0' '\n' <"/proc/$daemon/environ" | grep -qx "HOME=$HOME" && kill "$daemon"
done
sleep 1
unlock
unset LOGIN_WITH
"$PROGRAM" hub search tiny
"$PROGRAM" hub logout
if "$PROGRAM" hub search tiny; then exit 9; fi
for daemon in $(pidof gnome-keyring-daemon); do
    tr '\0' '\n' <"/proc/$daemon/environ" | grep -qx "HOME=$HOME" && kill "$daemon"
done
"#;

#[test]
#[expect(clippy::print_stderr, reason = "what was not run is said")]
fn a_token_is_kept_by_the_systems_keyring() {
    let exists = |name: &&str| Command::new(name).arg("--version").output().is_ok();
    if !NEEDED.iter().all(exists) {
        eprintln!("not run: {} not found", NEEDED.join(" or "));
        return;
    }
    let program = Program::new();
    let made = program.command(&[]);
    let mut session = Command::new("dbus-run-session");
    session.args(["--", "sh", "-c", SESSION]).current_dir(program.path());
    session.envs(made.get_envs().filter_map(|(name, value)| Some((name, value?))));
    for name in ["HF_TOKEN", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
        session.env_remove(name);
    }
    let runtime = program.path().join("runtime");
    std::fs::create_dir(&runtime).unwrap();
    session.env("PROGRAM", env!("CARGO_BIN_EXE_emberwright")).env("LOGIN_WITH", TOKEN);
    session.env("HF_ENDPOINT", knowing()).env("XDG_RUNTIME_DIR", &runtime).env("EMBERWRIGHT_LOG", "trace");
    session.env("HF_HOME", program.path().join("hf")).env_remove("HF_HUB_OFFLINE");
    let output = session.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(stderr.contains("as tester; the token is in the keyring"), "{stderr}");
    assert!(stdout.contains("hf:org/tiny"), "{stdout}");
    // Neither a word nor a file shows it: the keyring's own file is encrypted.
    for said in [&stdout, &stderr] {
        assert!(!said.contains(&TOKEN[3..]), "{said}");
    }
    assert!(!holds(program.path(), &TOKEN[3..]), "a file holds the token");
}
