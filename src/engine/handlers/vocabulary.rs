//! `vocabulary`.

use std::path::{Path, PathBuf};

use data::{Extended, gain_on_files};
use protocol::config::VocabularyConfig;
use protocol::{Control, Event, RequestId, Result, Text, UserError};

use super::{Desk, Reporter};
use crate::files::AtomicDir;
use crate::sink::Sink;

/// Makes an extended tokenizer in a folder of its own.
pub fn extend_vocabulary(
    request: RequestId,
    (model, config): (&Path, &VocabularyConfig),
    (sample, out): (&[PathBuf], &Path),
    desk: &mut Desk,
    control: &Control,
    sink: &mut Sink,
) -> Result<()> {
    let hidden = AtomicDir::create(out)?;
    let (extended, gain) = {
        let reporter = Reporter::apart(request, control, sink);
        let extended = desk.library.extended(model, config, &reporter)?.ok_or_else(nothing_asked)?;
        let old = desk.library.tokenizer(model)?;
        let pair = (extended.extension.as_ref(), extended.tokenizer.as_ref());
        let gain = gain_on_files(sample, &old, pair, &reporter)?;
        (extended, gain)
    };
    let Extended { extension, .. } = extended;
    for (name, content) in extension.files() {
        let file = hidden.path().join(name);
        std::fs::write(&file, content)
            .map_err(|err| UserError::io(Text::fixed("write the tokenizer", "写入分词器"), &file, &err))?;
    }
    let dir = hidden.commit()?;
    sink.emit(Event::VocabularyExtended {
        request,
        dir,
        first: extension.record.first.into(),
        tokens: extension.record.tokens.len() as u64,
        gain: gain.told(),
        notes: extension.notes.clone(),
    });
    Ok(())
}

fn nothing_asked() -> UserError {
    UserError::bad_input(Text::fixed("No new tokens are given", "没有给出新词元")).mend(Text::fixed(
        "name a list with --tokens, or texts to learn from with --train-on",
        "请用 --tokens 指定词表文件，或用 --train-on 指定用于学习的文本",
    ))
}
