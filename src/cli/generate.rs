//! `generate`: continues a prompt, showing the text as it comes.

use clap::{ArgGroup, Args};
use protocol::{ChatMessage, Command, Event, GenerateRequest, GenerateStats, Prompt, Result, Text, text};

use super::client::{Client, View};
use super::flags::{ModelFlags, SamplingFlags};
use super::format;
use super::screen::Screen;
use super::values::{self, TokenIds};

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("start").required(true).args(["prompt", "ids"]))]
pub struct Flags {
    #[command(flatten)]
    pub model: ModelFlags,
    /// Text to continue, as it is
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub prompt: Option<String>,
    /// Token ids to continue
    #[arg(long, value_name = "1,2,3", value_parser = values::token_ids)]
    pub ids: Option<TokenIds>,
    /// Ask the prompt as a question, through the model's chat template
    #[arg(long, conflicts_with = "ids")]
    pub chat: bool,
    /// System message that goes before the question
    #[arg(long, value_name = "TEXT", requires = "chat")]
    pub system: Option<String>,
    #[command(flatten)]
    pub sampling: SamplingFlags,
}

pub fn run(flags: Flags, client: &mut Client, screen: &mut Screen) -> Result<u8> {
    let model = flags.model.resolve()?;
    let prompt = match (flags.ids, flags.prompt.unwrap_or_default()) {
        (Some(TokenIds(ids)), _) => Prompt::Ids(ids),
        (None, question) if flags.chat => Prompt::Messages(question_of(flags.system, question)),
        (None, text) => Prompt::Text(text),
    };
    let adapter = (!model.adapters.is_empty()).then_some(0);
    let generate = GenerateRequest { model, adapter, live: None, prompt, sampling: flags.sampling.into() };
    let mut answer = Answer::default();
    client.request(&mut answer, screen, |request| Command::Generate { request, generate })
}

fn question_of(system: Option<String>, question: String) -> Vec<ChatMessage> {
    let system = system.map(|content| ChatMessage { role: "system".into(), content });
    system.into_iter().chain([ChatMessage { role: "user".into(), content: question }]).collect()
}

/// An answer that grows on the screen.
#[derive(Default)]
pub struct Answer {
    /// What has been shown of it.
    shown: String,
    /// The whole of it, once it has ended.
    pub text: Option<String>,
}

impl View for Answer {
    fn draw(&mut self, event: &Event, screen: &mut Screen) {
        match event {
            Event::Delta { text, .. } => self.show(text, screen),
            Event::Generated { stats, .. } => {
                self.note(event);
                let rest = self.text.as_deref().and_then(|text| text.strip_prefix(self.shown.as_str()));
                let rest = rest.unwrap_or_default().to_owned();
                self.show(&rest, screen);
                screen.piece("\n");
                screen.say(&console::style(figures(stats, screen)).for_stderr().dim().to_string());
            }
            _ => {}
        }
    }

    fn print(&mut self, event: &Event, screen: &mut Screen) {
        self.note(event);
        screen.json(event);
    }
}

impl Answer {
    fn show(&mut self, text: &str, screen: &mut Screen) {
        screen.clear_progress();
        self.shown += text;
        match screen.stdout_is_terminal() {
            true => screen.piece(&format::printable(text)),
            false => screen.piece(text),
        }
    }

    fn note(&mut self, event: &Event) {
        if let Event::Generated { text, .. } = event {
            self.text = Some(text.clone());
        }
    }
}

fn figures(stats: &GenerateStats, screen: &Screen) -> String {
    // The first token comes out of the prompt's pass.
    let speed = stats.new_tokens.saturating_sub(1) as f64 / stats.decode_seconds.max(f64::EPSILON);
    let (prompt, new, first) = (stats.prompt_tokens, stats.new_tokens, stats.prefill_seconds);
    let finish = screen.pick(&finish_name(&stats.finish));
    screen.pick(&text!(
        "[{prompt} + {new} tokens, first after {first:.2} s, then {speed:.1} tokens/s, {finish}]",
        "[{prompt} + {new} 个词元，首个用时 {first:.2} 秒，之后 {speed:.1} 词元/秒，{finish}]"
    ))
}

fn finish_name(finish: &str) -> Text {
    match finish {
        "end-token" => Text::fixed("ended by itself", "自然结束"),
        "stop-text" => Text::fixed("ended by a stop text", "遇到停止文本"),
        "length" => Text::fixed("ended by the length limit", "达到长度上限"),
        "stopped" => Text::fixed("stopped", "已停止"),
        other => Text::new(other, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_message_goes_first() {
        let messages = question_of(Some("s".into()), "q".into());
        let roles: Vec<_> = messages.iter().map(|message| message.role.as_str()).collect();
        assert_eq!(roles, ["system", "user"]);
        assert_eq!(question_of(None, "q".into()).len(), 1);
    }
}
