//! Rows as the model will see them, token by token.

use protocol::PreviewRow;

use crate::dataset::Dataset;
use crate::record::{Example, IGNORE};

/// `count` rows from row `first` on (0-based, over all files), fewer at the end. A row that cannot be used
/// stands there with its reason. `tokens` gives the text of each token for display.
pub fn preview(
    dataset: &Dataset,
    first: u64,
    count: u64,
    tokens: &dyn Fn(&[u32]) -> Vec<String>,
) -> Vec<PreviewRow> {
    let rows = dataset.len() as u64;
    let range = first.min(rows)..first.saturating_add(count).min(rows);
    range.map(|index| preview_row(dataset, index as usize, tokens)).collect()
}

fn preview_row(dataset: &Dataset, index: usize, tokens: &dyn Fn(&[u32]) -> Vec<String>) -> PreviewRow {
    let (file, row) = dataset.place(index).map(|(file, row)| (file.to_path_buf(), row)).unwrap_or_default();
    let (example, error) = match dataset.example(index) {
        Ok(example) => (example, None),
        Err(err) => (Example::default(), Some(err.what)),
    };
    PreviewRow {
        row,
        file,
        tokens: tokens(&example.ids),
        offsets: example.offsets.iter().map(|(start, end)| (*start as u64, *end as u64)).collect(),
        loss_mask: example.labels.iter().map(|label| *label != IGNORE).collect(),
        rendered: example.rendered,
        ids: example.ids,
        roles: example.roles,
        truncated_from: example.truncated_from.map(|length| length as u64),
        error,
        fields: Vec::new(),
    }
}
