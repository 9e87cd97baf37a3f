//! A small text grammar: named rules of alternatives, and tables whose rows have named columns.
//!
//! ```text
//! [greeting]                      a rule; one alternative a line
//! 3* Hello, {h}!                  drawn three times as often
//! {Good morning|Good evening}.    a choice within the line
//! [animal: name, zh]              a table
//! cat | 猫
//! [story]
//! {h:=name}{greeting}             `:=` binds silently, `=` binds and writes
//! {h} met {f=name-h}, a(n) {adj}  `-h`: anything but what `h` is; `a(n)` becomes a or an
//! friend of {h.his}.              a column of the row that `h` is bound to
//! {@add}{a} plus {b} is {c}.      `@` binds numbers that belong together
//! ```
//! Bindings live until the end of the document and are seen by the rules it calls.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};

/// A line in pieces.
pub type Line = Vec<Piece>;

#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    Text(String),
    Choice(Vec<Line>),
    Numbers(String),
    Slot(Slot),
}

/// `{bind:=symbol.column-except}`; everything but the symbol may be missing.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    pub bind: Option<String>,
    pub silent: bool,
    pub symbol: String,
    pub column: Option<String>,
    pub except: Option<String>,
}

#[derive(Debug, Default)]
pub struct Rule {
    /// Column names; empty for a rule of plain alternatives.
    pub columns: Vec<String>,
    /// One entry an alternative or row: a cell a column (a plain alternative has one).
    pub rows: Vec<Vec<Line>>,
    pub weights: Vec<usize>,
}

#[derive(Debug, Default)]
pub struct Grammar {
    rules: BTreeMap<String, Rule>,
}

impl Grammar {
    /// Reads the given sources into one grammar.
    ///
    /// # Errors
    /// Names the line that is not understood.
    pub fn read<'a>(sources: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut grammar = Self::default();
        for source in sources {
            let mut current = None;
            for (number, line) in source.lines().enumerate() {
                grammar
                    .read_line(line.trim(), &mut current)
                    .with_context(|| format!("line {}: {line}", number + 1))?;
            }
        }
        Ok(grammar)
    }

    pub fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.get(name)
    }

    fn read_line(&mut self, line: &str, current: &mut Option<String>) -> Result<()> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let (name, columns) = header.split_once(':').unwrap_or((header, ""));
            let columns = columns.split(',').map(str::trim).filter(|column| !column.is_empty());
            let rule = Rule { columns: columns.map(str::to_owned).collect(), ..Rule::default() };
            ensure!(self.rules.insert(name.to_owned(), rule).is_none(), "the rule is there already");
            *current = Some(name.to_owned());
            return Ok(());
        }
        let name = current.as_ref().context("a line before the first rule")?;
        self.rules.get_mut(name).context("no such rule")?.push(line)
    }
}

impl Rule {
    fn push(&mut self, line: &str) -> Result<()> {
        let (weight, line) = match line.split_once('*') {
            Some((number, rest)) if number.parse::<usize>().is_ok() => (number.parse()?, rest.trim_start()),
            _ => (1, line),
        };
        let cells: Vec<&str> = if self.columns.is_empty() { vec![line] } else { split_outside(line, '|') };
        let wanted = self.columns.len().max(1);
        ensure!(cells.len() == wanted, "{} cells where {wanted} belong", cells.len());
        self.rows.push(cells.into_iter().map(|cell| parse_line(cell.trim())).collect::<Result<_>>()?);
        self.weights.push(weight);
        Ok(())
    }
}

/// Splits at `mark`, but not within braces.
fn split_outside(text: &str, mark: char) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0usize, 0, Vec::new());
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ if letter == mark && depth == 0 => {
                parts.push(&text[start..at]);
                start = at + letter.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn parse_line(text: &str) -> Result<Line> {
    let (mut line, mut rest) = (Line::new(), text);
    while let Some(open) = rest.find('{') {
        if open > 0 {
            line.push(Piece::Text(unescape(&rest[..open])));
        }
        let close = matching_brace(&rest[open..]).context("a brace is not closed")? + open;
        line.push(parse_braces(&rest[open + 1..close])?);
        rest = &rest[close + 1..];
    }
    ensure!(!rest.contains('}'), "a brace is closed that was not opened");
    if !rest.is_empty() {
        line.push(Piece::Text(unescape(rest)));
    }
    Ok(line)
}

fn unescape(text: &str) -> String {
    text.replace("\\n", "\n")
}

/// The offset of the brace that closes the one `text` starts with.
fn matching_brace(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    text.char_indices().find_map(|(at, letter)| {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        (depth == 0).then_some(at)
    })
}

fn parse_braces(inside: &str) -> Result<Piece> {
    let choices = split_outside(inside, '|');
    if choices.len() > 1 {
        return Ok(Piece::Choice(choices.into_iter().map(parse_line).collect::<Result<_>>()?));
    }
    if let Some(name) = inside.strip_prefix('@') {
        return Ok(Piece::Numbers(name.to_owned()));
    }
    parse_slot(inside).map(Piece::Slot)
}

fn parse_slot(inside: &str) -> Result<Slot> {
    let (bind, silent, rest) = match (inside.split_once(":="), inside.split_once('=')) {
        (Some((bind, rest)), _) => (Some(bind), true, rest),
        (None, Some((bind, rest))) => (Some(bind), false, rest),
        (None, None) => (None, false, inside),
    };
    let (rest, except) = rest.split_once('-').map_or((rest, None), |(rest, except)| (rest, Some(except)));
    let (symbol, column) =
        rest.split_once('.').map_or((rest, None), |(symbol, column)| (symbol, Some(column)));
    let named = |name: &str| {
        !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    for name in [Some(symbol), bind, column, except].into_iter().flatten() {
        if !named(name) {
            bail!("`{name}` is not a name");
        }
    }
    let owned = |name: Option<&str>| name.map(str::to_owned);
    Ok(Slot {
        bind: owned(bind),
        silent,
        symbol: symbol.to_owned(),
        column: owned(column),
        except: owned(except),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_read_in_full() {
        let slot = parse_slot("f:=name.he-h").unwrap();
        assert_eq!((slot.bind.as_deref(), slot.silent, slot.symbol.as_str()), (Some("f"), true, "name"));
        assert_eq!((slot.column.as_deref(), slot.except.as_deref()), (Some("he"), Some("h")));
    }

    #[test]
    fn choices_nest() {
        let line = parse_line("a {b|c {d|e}} f").unwrap();
        assert_eq!(line.len(), 3);
        assert!(matches!(&line[1], Piece::Choice(choices) if choices.len() == 2));
    }

    #[test]
    fn slips_are_named() {
        for (source, said) in [
            ("cat", "before the first rule"),
            ("[a]\n{b", "not closed"),
            ("[a]\nb}", "not opened"),
            ("[a: x, y]\none", "1 cells where 2"),
            ("[a]\n{b c}", "`b c` is not a name"),
            ("[a]\nx\n[a]\ny", "there already"),
        ] {
            let err = format!("{:#}", Grammar::read([source]).unwrap_err());
            assert!(err.contains(said), "{err}");
        }
    }
}
