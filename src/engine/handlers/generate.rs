//! `generate` and `chat`.

use protocol::{Control, Event, GenerateRequest, Prompt, RequestId, Result, Text, UserError};

use crate::generate::Speaker;
use crate::session::Session;
use crate::sink::Sink;

/// Answers a prompt, token by token, with the model it names.
pub fn generate(
    request: RequestId,
    wanted: &GenerateRequest,
    session: &mut Session,
    control: &Control,
    sink: &mut Sink,
) -> Result<()> {
    if wanted.live.is_some() {
        return Err(no_run());
    }
    let loading = Text::fixed("loading the model", "加载模型");
    let mut told = |done, total| sink.progress(request, loading.clone(), done, total, None);
    session.speak(&wanted.model, wanted.adapter, &mut told)?;
    if let Prompt::Templated { template, .. } = &wanted.prompt {
        session.use_template(template)?;
    }
    // At hand by now: this loads nothing.
    let loaded = session.load(&wanted.model, &mut |_, _| {})?;
    let speaker = Speaker {
        model: &loaded.model,
        adapter: loaded.adapter(),
        encoder: loaded.encoder_for(&wanted.prompt)?,
    };
    speak(request, wanted, &speaker, control, sink)
}

/// A live model was asked for, and there is none.
pub fn no_run() -> UserError {
    UserError::bad_input(Text::fixed(
        "No run is under way: there is no live model to talk to",
        "当前没有正在进行的训练，没有可对话的实时模型",
    ))
    .mend(Text::fixed("choose a model, a checkpoint or a result", "请选择模型、检查点或训练结果"))
}

/// Answers with a model at hand and tells the pieces. `Stop` breaks an answer off, too: it wants the end of
/// whatever is under way.
pub(super) fn speak(
    request: RequestId,
    wanted: &GenerateRequest,
    speaker: &Speaker<'_>,
    control: &Control,
    sink: &mut Sink,
) -> Result<()> {
    let mut stopped = || control.take_stop_answer() || control.stop_wanted();
    let mut told = |text, ids| sink.emit(Event::Delta { request, text, ids });
    let answered = speaker.answer(&wanted.prompt, &wanted.sampling, &mut stopped, &mut told);
    // A wish that came with the last token concerned this answer, not the next one.
    control.take_stop_answer();
    let answered = answered?;
    sink.emit(Event::Generated { request, text: answered.text, ids: answered.ids, stats: answered.stats });
    Ok(())
}
