//! `cargo run --release -p starter -- assets/starter`

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).context("usage: starter OUT_DIR")?;
    let made = starter::make(&folder, 100)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "corpus: {} rows, {} bytes", made.train_rows, made.train_bytes)?;
    writeln!(out, "held out: {} rows; too long: {} documents", made.held_out_rows, made.left_out)?;
    for (language, rows) in &made.persona_rows {
        writeln!(out, "ember_{language}: {rows} rows")?;
    }
    writeln!(out, "model: {} parameters", starter::model_files::parameter_count())?;
    Ok(())
}
