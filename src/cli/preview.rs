//! `preview RUN.toml`: rows as the model will see them. JSON lines, one a row; on a terminal the text itself,
//! with its learned tokens in colour.

use std::path::PathBuf;

use clap::Args;
use protocol::{Command, Event, PreviewRow, Result, Text};

use super::client::{Client, View};
use super::screen::Screen;
use super::{format, run_file};

#[derive(Debug, Args)]
pub struct Flags {
    /// Run file
    #[arg(value_name = "RUN.toml")]
    pub run: PathBuf,
    /// How many rows to show
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub rows: u64,
    /// Rows to pass over first
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub skip: u64,
}

pub fn run(flags: Flags, client: &mut Client, screen: &mut Screen) -> Result<u8> {
    let run = run_file::load(&flags.run)?;
    client.request(&mut Rows, screen, |request| Command::Preview {
        request,
        config: run.config,
        base: run.base,
        first: flags.skip,
        count: flags.rows,
    })
}

struct Rows;

impl View for Rows {
    fn draw(&mut self, event: &Event, screen: &mut Screen) {
        match event {
            Event::Preview { rows, source, .. } if screen.stdout_is_terminal() => {
                for row in rows {
                    let drawn = format!("{}\n{}\n", heading(row, screen), tokens(row));
                    screen.line(&drawn);
                }
                if let Some(gain) = source.as_ref().and_then(|source| source.vocabulary.as_ref()) {
                    let gain = screen.pick(gain);
                    screen.line(&gain);
                }
            }
            _ => self.print(event, screen),
        }
    }

    /// The rows themselves, so that every line of stdout is a row: what the contract promises.
    fn print(&mut self, event: &Event, screen: &mut Screen) {
        if let Event::Preview { rows, .. } = event {
            for row in rows {
                screen.json(row);
            }
        }
    }
}

fn heading(row: &PreviewRow, screen: &Screen) -> String {
    let learned = row.loss_mask.iter().filter(|learned| **learned).count();
    let (n, file, all) = (row.row, row.file.display(), row.ids.len());
    let mut words = screen.pick(&protocol::text!(
        "row {n} of {file}: {all} tokens, {learned} learned",
        "{file} 第 {n} 行：{all} 个词元，其中 {learned} 个参与学习"
    ));
    if let (Some(piece), Some(pieces)) = (row.piece, row.pieces) {
        words +=
            &screen.pick(&protocol::text!(", piece {piece} of {pieces}", "，第 {piece} 段，共 {pieces} 段"));
    }
    if let Some(before) = row.truncated_from {
        words += &screen.pick(&protocol::text!(", cut from {before}", "，由 {before} 截断"));
    }
    for note in &row.notes {
        words += &format!("\n{}", screen.pick(note));
    }
    if let Some(error) = &row.error {
        let unusable = Text::fixed("cannot be used", "无法使用");
        words += &format!("\n{}: {}", screen.pick(&unusable), screen.pick(error));
    }
    console::style(words).bold().to_string()
}

/// Learned tokens are green, the others dim; every second token is underlined, so that their edges show.
fn tokens(row: &PreviewRow) -> String {
    let mut shown = String::new();
    let mut end = 0;
    for (index, token) in row.tokens.iter().enumerate() {
        let piece = match row.offsets.get(index) {
            Some((_, to)) if !row.rendered.is_empty() => {
                // Several tokens can share the bytes of one character: the first shows it.
                let from = end.min(row.rendered.len());
                end = end.max(usize::try_from(*to).unwrap_or(usize::MAX).min(row.rendered.len()));
                row.rendered.get(from..end).unwrap_or(token)
            }
            _ => token,
        };
        let learned = row.loss_mask.get(index).copied().unwrap_or(false);
        shown += &paint(piece, learned, index % 2 == 1);
    }
    shown
}

fn paint(piece: &str, learned: bool, underlined: bool) -> String {
    let colour = if learned { console::Style::new().green() } else { console::Style::new().dim() };
    let style = if underlined { colour.underlined() } else { colour };
    // Styles are put on line by line: an underline would run on to the terminal's edge.
    let lines: Vec<_> =
        format::printable(piece).split('\n').map(|line| style.apply_to(line).to_string()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(rendered: &str, ends: &[u64]) -> PreviewRow {
        let starts = std::iter::once(0).chain(ends.iter().copied());
        PreviewRow {
            row: 1,
            file: "a.jsonl".into(),
            rendered: rendered.into(),
            ids: vec![0; ends.len()],
            tokens: vec!["?".into(); ends.len()],
            offsets: starts.zip(ends.iter().copied()).collect(),
            loss_mask: vec![false; ends.len()],
            roles: vec![],
            truncated_from: None,
            error: None,
            fields: vec![],
            piece: None,
            pieces: None,
            notes: Vec::new(),
        }
    }

    fn plain(row: &PreviewRow) -> String {
        console::strip_ansi_codes(&tokens(row)).into_owned()
    }

    #[test]
    fn tokens_show_the_rendered_text() {
        assert_eq!(plain(&row("你好 there\n", &[3, 6, 7, 12, 13])), "你好 there\n");
    }

    #[test]
    fn offsets_that_do_not_fit_show_the_token() {
        assert_eq!(plain(&row("你", &[1, 3])), "??");
        assert_eq!(plain(&row("a", &[1, 900])), "a");
        assert_eq!(plain(&row("", &[1, 2])), "??");
    }
}
