//! `render_prompt`.

use protocol::{Event, ModelRef, Prompt, RequestId, Result};

use crate::generate::rendered;
use crate::session::open_encoder;
use crate::sink::Sink;

/// A prompt as the model would get it: its text, its ids and their pieces.
pub fn render_prompt(request: RequestId, model: &ModelRef, prompt: &Prompt, sink: &mut Sink) -> Result<()> {
    let template = match prompt {
        Prompt::Templated { template, .. } => Some(template.as_str()),
        Prompt::Text(_) | Prompt::Ids(_) | Prompt::Messages(_) => None,
    };
    let encoder = open_encoder(&model.path, model.adapters.first(), template)?;
    let prompt = rendered(&encoder, prompt)?;
    let piece = |id: &u32| encoder.tokenizer().token(*id).unwrap_or_default();
    let tokens = prompt.ids.iter().map(piece).collect();
    sink.emit(Event::Rendered { request, text: prompt.text, ids: prompt.ids, tokens });
    Ok(())
}
