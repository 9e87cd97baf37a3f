//! Where the engine runs, as the user chose it in Settings.

use protocol::{Text, text};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostKind {
    /// In the window's own process.
    Thread,
    /// In a process of its own on this machine.
    #[default]
    Process,
    /// On another machine, over ssh.
    Ssh,
}

/// No secret is among it: ssh finds its keys itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hosting {
    pub kind: HostKind,
    /// As after `ssh`: a name, `user@name`, or an entry of ssh's own configuration.
    pub host: String,
    /// The program there; empty: `emberwright`.
    pub program: String,
}

/// What is meant where no program is named.
pub const PROGRAM: &str = "emberwright";
/// Names of machines and paths of programs are shorter.
const LONGEST: usize = 255;

impl Hosting {
    /// The other machine's name, if the engine runs on one.
    pub fn other_machine(&self) -> Option<&str> {
        (self.kind == HostKind::Ssh).then_some(self.host.as_str())
    }

    /// The program to be started on the other machine.
    pub fn program(&self) -> &str {
        if self.program.is_empty() { PROGRAM } else { &self.program }
    }

    /// Why it cannot be used as it is.
    pub fn problem(&self) -> Option<Text> {
        match self.kind {
            HostKind::Thread | HostKind::Process => None,
            HostKind::Ssh => host_problem(&self.host).or_else(|| program_problem(self.program())),
        }
    }
}

/// Only what a name of a machine can hold: ssh takes a word with a dash in front for an option.
fn host_problem(host: &str) -> Option<Text> {
    if host.is_empty() {
        return Some(Text::fixed("Name the other machine", "请填写另一台机器的名称"));
    }
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | ':' | '[' | ']' | '%');
    let odd = host.chars().find(|c| !fits(*c));
    match odd {
        Some(odd) => Some(text!(
            "A machine's name has no `{odd}`; ports and keys belong into ~/.ssh/config",
            "机器名称中不能有“{odd}”；端口和密钥请写入 ~/.ssh/config"
        )),
        None if host.starts_with('-') || host.contains("@-") || host.ends_with('@') => {
            Some(Text::fixed("This is no name of a machine", "这不是机器名称"))
        }
        None => too_long(host),
    }
}

/// A path without anything that a shell would take for more than a letter: whatever shell the other machine has.
fn program_problem(program: &str) -> Option<Text> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | ':');
    let odd = program.strip_prefix("~/").unwrap_or(program).chars().find(|c| !fits(*c));
    match odd {
        Some(odd) => Some(text!(
            "The program's path may not hold `{odd}`: letters, digits and / . _ - + : only (a link helps)",
            "程序路径不能包含“{odd}”：仅限字母、数字和 / . _ - + :（可用符号链接）"
        )),
        None if program.starts_with('-') => {
            Some(Text::fixed("A program's path has no dash in front", "程序路径不能以短横线开头"))
        }
        None => too_long(program),
    }
}

fn too_long(word: &str) -> Option<Text> {
    (word.len() > LONGEST).then(|| Text::fixed("This is too long", "内容过长"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssh(host: &str, program: &str) -> Hosting {
        Hosting { kind: HostKind::Ssh, host: host.into(), program: program.into() }
    }

    #[test]
    fn names_of_machines_pass() {
        for host in ["gpu", "ada@gpu-1.lab.example", "10.0.0.7", "ada@fe80::1%eth0", "工作站"] {
            assert_eq!(ssh(host, "").problem(), None, "{host}");
        }
        for program in
            ["", "~/bin/emberwright", "/opt/ember_wright-0.1/emberwright", "C:/tools/emberwright.exe"]
        {
            assert_eq!(ssh("gpu", program).problem(), None, "{program}");
        }
    }

    #[test]
    fn what_ssh_or_a_shell_would_take_for_more_does_not() {
        let hosts = [
            "",
            "-oProxyCommand=touch /tmp/x",
            "-p22",
            "gpu; rm -rf ~",
            "gpu $(id)",
            "a b",
            "ada@-oX",
            "ada@",
            "gpu\nother",
            "gpu`id`",
            "../x",
        ];
        for host in hosts {
            assert!(ssh(host, "").problem().is_some(), "{host}");
        }
        for program in ["a b", "x;id", "$(id)", "-x", "a|b", "a&b", "a'b", "~ada/x", "a\\b", "x>y", "a\nb"] {
            assert!(ssh("gpu", program).problem().is_some(), "{program}");
        }
        assert!(ssh(&"a".repeat(300), "").problem().is_some());
    }
}
