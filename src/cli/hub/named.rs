//! Models and datasets that are named instead of folders: `--model hf:org/name`, or `path = "hf:org/name"` in a run file.
//! What is here already is used as it is; what is not is told of first, and then fetched.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use protocol::{
    Command, Event, HubCommand, HubEvent, HubSettings, RepoCard, RepoKind, RepoRef, RequestId, Result,
    Support, Text, UserError, text,
};

use super::look::told;
use crate::cli::client::{Client, View};
use crate::cli::format;
use crate::cli::screen::Screen;

/// The hub that an address stands for does not depend on this.
const HUB: &str = "hf";

/// Puts the folders in place of the words.
///
/// # Errors
/// When a repository is neither here nor to be had, or holds a model that is not supported.
pub fn fetch(command: &mut Command, client: &mut Client, screen: &mut Screen) -> Result<()> {
    let words = RefCell::new(BTreeMap::new());
    command.change_places(&|kind, path| {
        if let Some(word) = RepoRef::word(path) {
            words.borrow_mut().insert((kind, word.to_owned()), PathBuf::new());
        }
    });
    let mut folders = words.into_inner();
    for ((kind, word), folder) in &mut folders {
        *folder = folder_of(*kind, word, client, screen)?;
    }
    command.change_places(&|kind, path| {
        let key = RepoRef::word(path).map(|word| (kind, word.to_owned()));
        if let Some(folder) = key.and_then(|key| folders.get(&key)) {
            path.clone_from(folder);
        }
    });
    Ok(())
}

fn folder_of(kind: RepoKind, word: &str, client: &mut Client, screen: &mut Screen) -> Result<PathBuf> {
    // Of a dataset other programs may have fetched a part, and nothing says so.
    if kind == RepoKind::Model
        && let Ok(card) = look(kind, word, true, client, screen)
        && is_whole(&card)
    {
        return Ok(card.folder);
    }
    let card = look(kind, word, false, client, screen)?;
    if let Some(Support::Unsupported { why }) = card.support {
        return Err(why.at_item(word));
    }
    if card.missing_bytes() > 0 {
        screen.tell(&about(word, &card));
    }
    let mut heard = Heard::default();
    let download = HubCommand::Download { repo: card.repo, files: Vec::new() };
    client.request(&mut heard, screen, |request| ask(request, false, download))?;
    heard.folder.ok_or_else(|| no_answer(word))
}

fn look(
    kind: RepoKind,
    word: &str,
    offline: bool,
    client: &mut Client,
    screen: &mut Screen,
) -> Result<RepoCard> {
    let mut heard = Heard::default();
    let look = HubCommand::Look { hub: HUB.into(), kind, text: word.into() };
    client.request(&mut heard, screen, |request| ask(request, offline, look))?;
    heard.card.map(|card| *card).ok_or_else(|| no_answer(word))
}

/// How a hub is reached is what the environment says (`HF_ENDPOINT`, `HF_HUB_OFFLINE`, …).
fn ask(request: RequestId, offline: bool, hub: HubCommand) -> Command {
    Command::Hub { request, settings: HubSettings { offline, ..HubSettings::default() }, hub }
}

/// Whether a cached model has its weights, with all their shards: other programs leave models of which they needed the
/// tokenizer alone.
fn is_whole(card: &RepoCard) -> bool {
    const WEIGHTS: [&str; 4] = [".safetensors", ".bin", ".gguf", ".pt"];
    let paths: Vec<&str> = card.chosen().map(|file| file.path.as_str()).collect();
    let has_weights = paths.iter().any(|path| WEIGHTS.iter().any(|end| path.ends_with(end)));
    let complete = |shards: (&str, usize)| {
        paths.iter().filter(|path| shards_of(path) == Some(shards)).count() == shards.1
    };
    has_weights && paths.iter().filter_map(|path| shards_of(path)).all(complete)
}

/// `model-00001-of-00003.safetensors` → `model`, 3.
fn shards_of(path: &str) -> Option<(&str, usize)> {
    let (before, after) = path.rsplit_once("-of-")?;
    let count = after.split('.').next()?.parse().ok()?;
    let (stem, number) = before.rsplit_once('-')?;
    number.parse::<usize>().ok().map(|_| (stem, count))
}

/// Before anything large comes.
fn about(word: &str, card: &RepoCard) -> Text {
    let size = format::bytes(card.missing_bytes());
    let licence = format::printable(card.licence.as_deref().unwrap_or("?"));
    let family = match &card.support {
        Some(Support::Family { name, .. }) => name.clone(),
        Some(support) => told(support),
        None => Text::fixed("family not told", "未注明模型家族"),
    };
    let first =
        text!("{word}: {size} to fetch, licence {licence}", "{word}：需下载 {size}，许可证 {licence}");
    match card.repo.kind {
        RepoKind::Model => {
            let (en, zh) = (format::printable(&family.en), format::printable(&family.zh));
            Text::new(format!("{first}, {en}"), format!("{}，{zh}", first.zh))
        }
        RepoKind::Dataset => first,
    }
}

fn no_answer(word: &str) -> UserError {
    UserError::failure(text!("Nothing was heard of {word}", "没有得到关于 {word} 的回答"))
}

/// Keeps what a hub answers. It is not what was asked for, so stdout hears nothing of it.
#[derive(Default)]
struct Heard {
    card: Option<Box<RepoCard>>,
    folder: Option<PathBuf>,
}

impl Heard {
    fn hear(&mut self, event: &Event) {
        match event {
            Event::Hub { update: HubEvent::Card { card }, .. } => self.card = Some(card.clone()),
            Event::Hub { update: HubEvent::Downloaded { download }, .. } => {
                self.folder = Some(download.dir.clone());
            }
            _ => {}
        }
    }
}

impl View for Heard {
    fn draw(&mut self, event: &Event, _: &mut Screen) {
        self.hear(event);
    }

    fn print(&mut self, event: &Event, _: &mut Screen) {
        self.hear(event);
    }
}

#[cfg(test)]
mod tests {
    use protocol::HubFile;

    use super::*;

    fn card(paths: &[&str]) -> RepoCard {
        let file = |path: &&str| HubFile {
            path: (*path).to_owned(),
            chosen: true,
            cached: true,
            ..HubFile::default()
        };
        RepoCard { files: paths.iter().map(file).collect(), ..RepoCard::default() }
    }

    #[test]
    fn a_model_is_whole_with_all_its_weights() {
        assert!(is_whole(&card(&["config.json", "model.safetensors"])));
        assert!(!is_whole(&card(&["config.json", "tokenizer.json"])));
        let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
        assert!(is_whole(&card(&shards)));
        assert!(!is_whole(&card(&shards[..1])));
    }
}
