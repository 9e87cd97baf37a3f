//! What hubs have, and how it gets here.

use clap::Args;
use protocol::{
    Event, HubCommand, HubEvent, HubFile, RepoCard, RepoHit, RepoRef, Result, Support, Text, text,
};

use super::{Reach, kind};
use crate::cli::client::{Client, View};
use crate::cli::format;
use crate::cli::screen::Screen;

#[derive(Debug, Args)]
pub struct SearchFlags {
    /// Words of the name
    #[arg(value_name = "WORDS", required = true)]
    words: Vec<String>,
    /// A dataset is meant, not a model
    #[arg(long)]
    dataset: bool,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, Args)]
pub struct InfoFlags {
    /// org/name, with hf: or ms: in front and @revision behind if need be, or the address of its page
    #[arg(value_name = "REPO")]
    repo: String,
    /// A dataset is meant, not a model
    #[arg(long)]
    dataset: bool,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, Args)]
pub struct DownloadFlags {
    #[command(flatten)]
    of: InfoFlags,
    /// Only this file; may be given again (default: those that `info` marks)
    #[arg(long = "file", value_name = "PATH")]
    only: Vec<String>,
}

pub fn search(flags: SearchFlags, client: &mut Client, screen: &mut Screen) -> Result<u8> {
    let (hub, text) = (flags.reach.hub.clone(), flags.words.join(" "));
    let command = HubCommand::Search { hub, kind: kind(flags.dataset), text };
    flags.reach.request(command, &mut Shown, (client, screen))
}

pub fn info(flags: InfoFlags, client: &mut Client, screen: &mut Screen) -> Result<u8> {
    let look = flags.look();
    flags.reach.request(look, &mut Shown, (client, screen))
}

pub fn download(flags: DownloadFlags, client: &mut Client, screen: &mut Screen) -> Result<u8> {
    let DownloadFlags { of, only } = flags;
    let mut found = Found { repo: None };
    of.reach.request(of.look(), &mut found, (&mut *client, &mut *screen))?;
    let Some(repo) = found.repo else { return Ok(1) };
    let command = HubCommand::Download { repo, files: only };
    of.reach.request(command, &mut Shown, (client, screen))
}

impl InfoFlags {
    fn look(&self) -> HubCommand {
        HubCommand::Look { hub: self.reach.hub.clone(), kind: kind(self.dataset), text: self.repo.clone() }
    }
}

/// Keeps what a look found; says only what the user should know before the download.
struct Found {
    repo: Option<RepoRef>,
}

impl View for Found {
    fn draw(&mut self, event: &Event, screen: &mut Screen) {
        if let Event::Hub { update: HubEvent::Card { card }, .. } = event {
            self.repo = Some(card.repo.clone());
            if let Some(Support::Unsupported { why }) = &card.support {
                let why = screen.pick(&why.what);
                screen.tell(&text!("! It cannot be trained here: {why}", "! 无法在此训练：{why}"));
            }
            card.notes.iter().for_each(|note| screen.tell(note));
        }
    }

    fn print(&mut self, event: &Event, screen: &mut Screen) {
        if let Event::Hub { update: HubEvent::Card { card }, .. } = event {
            self.repo = Some(card.repo.clone());
        }
        screen.json(event);
    }
}

struct Shown;

impl View for Shown {
    fn draw(&mut self, event: &Event, screen: &mut Screen) {
        let Event::Hub { update, .. } = event else { return };
        match update {
            HubEvent::Hits { hits } if hits.is_empty() => {
                screen.tell(&Text::fixed("Nothing of that name", "没有找到"));
            }
            HubEvent::Hits { hits } => {
                let table = table_of_hits(hits, screen);
                screen.line(&table);
            }
            HubEvent::Card { card } => show(card, screen),
            HubEvent::Downloaded { download } => {
                screen.line(&download.dir.display().to_string());
                let (files, fetched) = (download.files.len(), format::bytes(download.fetched_bytes));
                let (bytes, took) = (format::bytes(download.bytes), download.seconds);
                screen.tell(&text!(
                    "{files} files, {bytes}, each held against its hash; {fetched} fetched in {took:.1} s",
                    "{files} 个文件，{bytes}，均已校验哈希；本次下载 {fetched}，用时 {took:.1} 秒"
                ));
            }
            _ => {}
        }
    }
}

fn table_of_hits(hits: &[RepoHit], screen: &Screen) -> String {
    let heads = [
        Text::fixed("repository", "仓库"),
        Text::fixed("downloads", "下载量"),
        Text::fixed("likes", "点赞"),
        Text::fixed("changed", "更新"),
        Text::fixed("task", "任务"),
    ];
    let gated = screen.pick(&Text::fixed("gated", "需同意条款"));
    let rows = hits.iter().map(|hit| {
        let mark = if hit.gated { format!(" ({gated})") } else { String::new() };
        vec![
            format::printable(&format!("{}{mark}", hit.repo)),
            format::count(hit.downloads),
            format::count(hit.likes),
            format::printable(hit.updated.as_deref().unwrap_or("–")),
            format::printable(hit.task.as_deref().unwrap_or("–")),
        ]
    });
    format::table(&heads.map(|head| screen.pick(&head)), rows.collect(), &[1, 2])
}

fn show(card: &RepoCard, screen: &mut Screen) {
    let rows = facts(card)
        .into_iter()
        .map(|(name, value)| vec![screen.pick(&name), format::printable(&screen.pick(&value))]);
    let facts = format::facts(rows.collect());
    screen.line(&facts);
    screen.line("");
    let files = table_of_files(&card.files, screen);
    screen.line(&files);
    for note in &card.notes {
        let note = format!("! {}", screen.pick(note));
        screen.line(&note);
    }
}

fn facts(card: &RepoCard) -> Vec<(Text, Text)> {
    let plain = |value: String| Text::new(value.clone(), value);
    let unknown = || Text::fixed("unknown", "未知");
    let yes = |yes: bool| if yes { Text::fixed("yes", "是") } else { Text::fixed("no", "否") };
    let chosen: u64 = card.chosen().map(|file| file.bytes).sum();
    let (all, missing, free) =
        (format::bytes(chosen), format::bytes(card.missing_bytes()), format::bytes(card.free_bytes));
    let mut facts = vec![
        (Text::fixed("repository", "仓库"), plain(card.repo.to_string())),
        (Text::fixed("commit", "提交"), plain(card.commit.clone())),
        (Text::fixed("licence", "许可证"), card.licence.clone().map_or_else(unknown, plain)),
        (Text::fixed("gated", "需同意条款"), yes(card.gated)),
        (
            Text::fixed("download", "下载"),
            text!(
                "{all}, {missing} of it missing here ({free} free)",
                "{all}，其中 {missing} 尚未下载（可用 {free}）"
            ),
        ),
        (Text::fixed("folder", "文件夹"), plain(card.folder.display().to_string())),
    ];
    if let Some(support) = &card.support {
        facts.insert(4, (Text::fixed("supported", "支持"), told(support)));
    }
    facts
}

pub(super) fn told(support: &Support) -> Text {
    match support {
        Support::Family { name, .. } => Text::new(format!("yes: {}", name.en), format!("是：{}", name.zh)),
        Support::Adapter { base } => {
            let base = base.as_deref().unwrap_or("?");
            text!("an adapter of {base}", "{base} 的适配器")
        }
        Support::Unsupported { why } => {
            Text::new(format!("no: {}", why.what.en), format!("否：{}", why.what.zh))
        }
    }
}

fn table_of_files(files: &[HubFile], screen: &Screen) -> String {
    let heads =
        [Text::fixed("", ""), Text::fixed("file", "文件"), Text::fixed("size", "大小"), Text::fixed("", "")];
    let here = Text::fixed("here already", "已在本地");
    let rows = files.iter().map(|file| {
        let remark = file.reason.as_ref().or(file.cached.then_some(&here));
        vec![
            if file.chosen { "✓".into() } else { String::new() },
            format::printable(&file.path),
            format::bytes(file.bytes),
            remark.map(|remark| screen.pick(remark)).unwrap_or_default(),
        ]
    });
    format::table(&heads.map(|head| screen.pick(&head)), rows.collect(), &[2])
}
