//! Draws a document from a [`Grammar`].

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};

use crate::draw::Draw;
use crate::grammar::{Grammar, Line, Piece, Rule, Slot};
use crate::{numbers, tidy};

/// Rules within rules; a grammar that calls itself ends here.
const MAX_DEPTH: usize = 40;
/// Draws before "anything but" gives up.
const MAX_REDRAWS: usize = 50;

#[derive(Clone, Debug)]
enum Value {
    Text(String),
    Row { table: String, row: usize },
}

/// One document in the making.
struct Expansion<'a> {
    grammar: &'a Grammar,
    draw: &'a mut Draw,
    bound: BTreeMap<String, Value>,
    depth: usize,
}

/// A document drawn from the rule `symbol`, tidied.
///
/// # Errors
/// Names a rule, column or binding that is missing.
pub fn expand(grammar: &Grammar, symbol: &str, draw: &mut Draw) -> Result<String> {
    let mut expansion = Expansion { grammar, draw, bound: BTreeMap::new(), depth: 0 };
    let text = expansion.symbol(symbol, None)?;
    Ok(tidy::tidy(&text))
}

impl<'a> Expansion<'a> {
    fn line(&mut self, line: &Line) -> Result<String> {
        let mut text = String::new();
        for piece in line {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Choice(choices) => {
                    let choice = &choices[self.draw.below(choices.len())];
                    text.push_str(&self.line(choice)?);
                }
                Piece::Numbers(kind) => {
                    for (name, value) in numbers::draw(kind, self.draw)? {
                        self.bound.insert(name.to_owned(), Value::Text(value));
                    }
                }
                Piece::Slot(slot) => text.push_str(&self.slot(slot)?),
            }
        }
        Ok(text)
    }

    fn slot(&mut self, slot: &Slot) -> Result<String> {
        let column = slot.column.as_deref();
        if slot.bind.is_none() && slot.except.is_none() {
            return match self.bound.get(&slot.symbol).cloned() {
                Some(value) => self.show(&value, column),
                None => self.symbol(&slot.symbol, column),
            };
        }
        let value = self.draw_but(slot)?;
        let text = if slot.silent { String::new() } else { self.show(&value, column)? };
        if let Some(name) = &slot.bind {
            self.bound.insert(name.clone(), value);
        }
        Ok(text)
    }

    /// A value of the slot's symbol that reads differently from the binding it must not be.
    fn draw_but(&mut self, slot: &Slot) -> Result<Value> {
        let refused = match &slot.except {
            Some(name) => {
                let value =
                    self.bound.get(name).cloned().with_context(|| format!("`{name}` is not bound"))?;
                Some(self.show(&value, None)?)
            }
            None => None,
        };
        for _ in 0..MAX_REDRAWS {
            let value = self.value(&slot.symbol, slot.column.as_deref())?;
            if refused.as_deref() != Some(self.show(&value, None)?.as_str()) {
                return Ok(value);
            }
        }
        anyhow::bail!("`{}` has nothing but what it must not be", slot.symbol)
    }

    fn value(&mut self, symbol: &str, column: Option<&str>) -> Result<Value> {
        let rule = self.rule(symbol)?;
        if rule.columns.is_empty() || column.is_some() {
            return self.symbol(symbol, column).map(Value::Text);
        }
        Ok(Value::Row { table: symbol.to_owned(), row: self.draw.weighted(&rule.weights) })
    }

    fn show(&mut self, value: &Value, column: Option<&str>) -> Result<String> {
        match value {
            Value::Text(text) => Ok(text.clone()),
            Value::Row { table, row } => self.cell(table, *row, column),
        }
    }

    fn symbol(&mut self, symbol: &str, column: Option<&str>) -> Result<String> {
        let row = self.draw.weighted(&self.rule(symbol)?.weights);
        self.cell(symbol, row, column)
    }

    fn cell(&mut self, symbol: &str, row: usize, column: Option<&str>) -> Result<String> {
        let rule = self.rule(symbol)?;
        let at = match column {
            Some(column) => rule
                .columns
                .iter()
                .position(|name| name == column)
                .with_context(|| format!("`{symbol}` has no column `{column}`"))?,
            None => 0,
        };
        let line = &rule.rows[row][at];
        ensure!(self.depth < MAX_DEPTH, "`{symbol}` calls itself without end");
        self.depth += 1;
        let text = self.line(line).with_context(|| format!("in `{symbol}`"))?;
        self.depth -= 1;
        Ok(text)
    }

    fn rule(&self, symbol: &str) -> Result<&'a Rule> {
        self.grammar.rule(symbol).with_context(|| format!("no rule or binding `{symbol}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand_source(source: &str) -> Result<String> {
        expand(&Grammar::read([source])?, "root", &mut Draw::new(1, 0))
    }

    #[test]
    fn bindings_hold_across_rules() {
        let source = "[root]\n{h:=name}{said}\n[said]\n{h} took {h.his} hat.\n[name: name, his]\nAnn | her";
        assert_eq!(expand_source(source).unwrap(), "Ann took her hat.");
    }

    #[test]
    fn anything_but() {
        let source = "[root]\n{a=x}{b=x-a}\n[x]\np\nq";
        let text = expand_source(source).unwrap();
        assert!(["Pq", "Qp"].contains(&text.as_str()), "{text}");
    }

    #[test]
    fn what_is_missing_is_named() {
        for (source, said) in [
            ("[root]\n{x}", "no rule or binding `x`"),
            ("[root]\n{root}", "without end"),
            ("[root]\n{a=x-b}\n[x]\n1", "`b` is not bound"),
            ("[root]\n{t.z}\n[t: y]\n1", "no column `z`"),
            ("[root]\n{a=x}{b=x-a}\n[x]\n1", "nothing but"),
            ("[root]\n{@magic}", "magic"),
        ] {
            let err = format!("{:#}", expand_source(source).unwrap_err());
            assert!(err.contains(said), "{err}");
        }
    }
}
