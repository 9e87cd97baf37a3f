//! `hub push`: the list first, the question, then the upload.

use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;

use clap::Args;
use protocol::{
    Event, HubCommand, HubEvent, PushFile, PushPlan, PushReport, PushRequest, PushState, RepoRef, Result,
    Text, text,
};

use super::{Reach, kind};
use crate::cli::client::{Client, View};
use crate::cli::flags::absolute;
use crate::cli::format;
use crate::cli::screen::Screen;

#[derive(Debug, Args)]
pub struct Flags {
    /// Folder to publish: an adapter, or an exported model
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Repository to publish to: org/name
    #[arg(long = "repo", value_name = "REPO")]
    target: String,
    /// A dataset is meant, not a model
    #[arg(long)]
    dataset: bool,
    /// A repository that is made is for its owner alone
    #[arg(long)]
    private: bool,
    /// The repository must be there already
    #[arg(long)]
    no_create: bool,
    /// Message of the commit
    #[arg(long, value_name = "TEXT", default_value = "")]
    message: String,
    /// Send without asking what was shown
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    reach: Reach,
}

pub fn run(flags: Flags, client: &mut Client, screen: &mut Screen) -> Result<u8> {
    let (id, revision) = flags.target.split_once('@').unwrap_or((&flags.target, ""));
    let push = PushRequest {
        repo: RepoRef {
            hub: flags.reach.hub.clone(),
            kind: kind(flags.dataset),
            id: id.into(),
            revision: revision.into(),
        },
        folder: absolute(&flags.folder)?,
        private: flags.private,
        create: !flags.no_create,
        message: flags.message,
    };
    let mut shown = Shown { agreed: None };
    let plan = HubCommand::PlanPush { push: push.clone() };
    flags.reach.request(plan, &mut shown, (&mut *client, &mut *screen))?;
    let Some(agreed) = shown.agreed else { return Ok(1) };
    if !flags.yes && !confirmed(screen) {
        screen.tell(&Text::fixed(
            "Nothing was sent. (--yes sends it without asking.)",
            "没有发送任何内容。（--yes 可跳过询问。）",
        ));
        return Ok(0);
    }
    flags.reach.request(HubCommand::Push { push, agreed }, &mut Shown { agreed: None }, (client, screen))
}

/// Asks where somebody can answer; nobody's silence is a yes.
fn confirmed(screen: &mut Screen) -> bool {
    if !io::stdin().is_terminal() {
        return false;
    }
    screen.tell(&Text::fixed("Send it? [y/N]", "确认发送？[y/N]"));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes" | "是")
}

struct Shown {
    /// The digest of the plan that was shown.
    agreed: Option<String>,
}

impl View for Shown {
    fn draw(&mut self, event: &Event, screen: &mut Screen) {
        match event {
            Event::Hub { update: HubEvent::PushPlanned { plan }, .. } => {
                self.agreed = Some(plan.digest.clone());
                planned(plan, screen);
            }
            Event::Hub { update: HubEvent::Pushed { report }, .. } => pushed(report, screen),
            _ => {}
        }
    }

    fn print(&mut self, event: &Event, screen: &mut Screen) {
        if let Event::Hub { update: HubEvent::PushPlanned { plan }, .. } = event {
            self.agreed = Some(plan.digest.clone());
        }
        screen.json(event);
    }
}

fn planned(plan: &PushPlan, screen: &mut Screen) {
    let plain = |value: &str| Text::new(value.to_owned(), value.to_owned());
    let exists = match plan.exists {
        true => Text::fixed("it is there already", "已存在"),
        false => Text::fixed("it will be made", "将新建"),
    };
    let seen_by = match plan.private {
        true => Text::fixed("private", "私有"),
        false => Text::fixed("PUBLIC", "公开"),
    };
    let bytes = format::bytes(plan.send_bytes());
    let licence = plan.licence.as_deref().map_or(Text::fixed("not named", "未注明"), plain);
    let facts = [
        (Text::fixed("repository", "仓库"), plain(&plan.url)),
        (Text::fixed("state", "状态"), exists),
        (Text::fixed("visibility", "可见性"), seen_by),
        (Text::fixed("licence", "许可证"), licence),
        (Text::fixed("as", "账户"), plain(&plan.user)),
        (Text::fixed("to send", "发送量"), plain(&bytes)),
    ];
    let rows = facts
        .into_iter()
        .map(|(name, value)| vec![screen.pick(&name), format::printable(&screen.pick(&value))]);
    let facts = format::facts(rows.collect());
    screen.line(&facts);
    screen.line("");
    let files = table(&plan.files, screen);
    screen.line(&files);
    for note in &plan.notes {
        let note = format!("! {}", screen.pick(note));
        screen.line(&note);
    }
}

fn pushed(report: &PushReport, screen: &mut Screen) {
    screen.line(&report.url);
    let (files, sent, took) = (report.files.len(), format::bytes(report.sent_bytes), report.seconds);
    screen.tell(&text!(
        "{files} files are there, by their hashes; {sent} sent in {took:.1} s",
        "{files} 个文件已按哈希核对无误；发送 {sent}，用时 {took:.1} 秒"
    ));
}

fn table(files: &[PushFile], screen: &Screen) -> String {
    let heads = [
        Text::fixed("file", "文件"),
        Text::fixed("size", "大小"),
        Text::fixed("", ""),
        Text::fixed("SHA-256", "SHA-256"),
    ];
    let rows = files.iter().map(|file| {
        let state = match file.state {
            PushState::New => Text::fixed("new", "新增"),
            PushState::Changed => Text::fixed("changed", "更改"),
            PushState::Same => Text::fixed("there already", "已有"),
        };
        let hash: String = file.sha256.chars().take(16).collect();
        vec![format::printable(&file.path), format::bytes(file.bytes), screen.pick(&state), hash]
    });
    format::table(&heads.map(|head| screen.pick(&head)), rows.collect(), &[1])
}
