//! Rows for tests of what is drawn of them.

use protocol::{PreviewRow, TokenRole};

/// A row of these tokens (text, role, learned): each stands in the rendered text as it is.
pub fn row(tokens: &[(&str, TokenRole, bool)]) -> PreviewRow {
    let mut rendered = String::new();
    let mut offsets = Vec::new();
    for (text, _, _) in tokens {
        let start = rendered.len() as u64;
        rendered.push_str(text);
        offsets.push((start, rendered.len() as u64));
    }
    PreviewRow {
        row: 1,
        file: "rows.jsonl".into(),
        rendered,
        ids: (0..tokens.len() as u32).collect(),
        tokens: tokens.iter().map(|(text, _, _)| (*text).to_owned()).collect(),
        offsets,
        loss_mask: tokens.iter().map(|(_, _, learned)| *learned).collect(),
        roles: tokens.iter().map(|(_, role, _)| *role).collect(),
        truncated_from: None,
        error: None,
        piece: None,
        pieces: None,
        notes: Vec::new(),
        fields: Vec::new(),
    }
}
