//! `chat`: a conversation in the terminal, through the model's chat template. Lines that begin with `/` are
//! for the program.

use std::io::{self, BufRead, IsTerminal};

use clap::Args;
use protocol::{
    ChatMessage, Command, GenerateRequest, ModelRef, Prompt, Result, Sampling, Text, UserError, text,
};

use super::client::Client;
use super::failure;
use super::flags::{ModelFlags, SamplingFlags};
use super::generate::Answer;
use super::screen::Screen;

#[derive(Debug, Args)]
pub struct Flags {
    #[command(flatten)]
    pub model: ModelFlags,
    /// System message at the head of the conversation
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    #[command(flatten)]
    pub sampling: SamplingFlags,
}

pub fn run(flags: Flags, client: &mut Client, screen: &mut Screen) -> Result<u8> {
    let model = flags.model.resolve()?;
    let adapter = (!model.adapters.is_empty()).then_some(0);
    let mut chat =
        Chat { model, adapter, sampling: flags.sampling.into(), system: flags.system, turns: Vec::new() };
    let interactive = io::stdin().is_terminal();
    if interactive {
        screen.tell(&HELP);
        screen.tell(&chat.speaker());
    }
    let mut code = 0;
    while let Some(line) = read_line(interactive, screen)? {
        match Order::read(&line) {
            Order::Nothing => {}
            Order::Quit => break,
            Order::Help => screen.tell(&HELP),
            Order::Say(words) => match chat.turn(words, client, screen) {
                Ok(last) => code = last,
                // A mistake in one turn does not end a conversation that can go on.
                Err(error) if interactive => code = failure::report(&error, screen),
                Err(error) => return Err(error),
            },
            Order::Reset => {
                chat.turns.clear();
                screen.tell(&Text::fixed("The conversation begins anew.", "已重新开始对话。"));
            }
            Order::Use(wanted) => chat.switch(wanted, screen),
            Order::Weigh(weights) => chat.weigh(weights, screen),
            Order::Merge(merged) => {
                chat.model.merged = merged;
                screen.tell(&chat.speaker());
            }
            Order::Unknown(word) => {
                screen.tell(&text!("`{word}` is not known.", "无法识别 `{word}`。"));
                screen.tell(&HELP);
            }
        }
        if screen.unread() {
            break;
        }
    }
    Ok(code)
}

const HELP: Text = Text::fixed(
    "/reset begins anew, /base and /adapter N change who speaks, /weights 1,0.5 lets all adapters speak together, /merge \
     works them into the loaded matrices and /unmerge takes them out, /help shows this, /quit ends.",
    "/reset 重新开始，/base 与 /adapter N 切换模型，/weights 1,0.5 让所有适配器同时起作用，/merge 将其并入已加载的矩阵，\
     /unmerge 将其取出，/help 显示本说明，/quit 结束。",
);

/// What a line asks for.
#[derive(Debug, PartialEq)]
enum Order<'a> {
    Nothing,
    Say(&'a str),
    Reset,
    /// An adapter by its number from 1; None is the base.
    Use(Option<usize>),
    /// All adapters together, with these factors.
    Weigh(Vec<f64>),
    /// Whether adapters are worked into the matrices.
    Merge(bool),
    Help,
    Quit,
    Unknown(&'a str),
}

impl<'a> Order<'a> {
    fn read(line: &'a str) -> Self {
        let line = line.trim();
        if !line.starts_with('/') {
            return if line.is_empty() { Self::Nothing } else { Self::Say(line) };
        }
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match (word, rest.trim()) {
            ("/reset", "") => Self::Reset,
            ("/base", "") => Self::Use(None),
            ("/adapter", number) => match number.parse() {
                Ok(number) => Self::Use(Some(number)),
                Err(_) => Self::Unknown(line),
            },
            ("/weights", list) => match list.split(',').map(|number| number.trim().parse()).collect() {
                Ok(weights) => Self::Weigh(weights),
                Err(_) => Self::Unknown(line),
            },
            ("/merge", "") => Self::Merge(true),
            ("/unmerge", "") => Self::Merge(false),
            ("/help", "") => Self::Help,
            ("/quit" | "/exit", "") => Self::Quit,
            _ => Self::Unknown(line),
        }
    }
}

/// A conversation and who speaks in it.
struct Chat {
    model: ModelRef,
    adapter: Option<usize>,
    sampling: Sampling,
    system: Option<String>,
    turns: Vec<ChatMessage>,
}

impl Chat {
    /// Asks and shows the answer. A turn that fails leaves the conversation as it was.
    fn turn(&mut self, words: &str, client: &mut Client, screen: &mut Screen) -> Result<u8> {
        self.turns.push(ChatMessage { role: "user".into(), content: words.to_owned() });
        let mut answer = Answer::default();
        let generate = self.request();
        let code = client.request(&mut answer, screen, |request| Command::Generate { request, generate });
        match (code, answer.text) {
            (Ok(code), Some(content)) => {
                self.turns.push(ChatMessage { role: "assistant".into(), content });
                Ok(code)
            }
            (code, _) => {
                self.turns.pop();
                code
            }
        }
    }

    fn request(&self) -> GenerateRequest {
        let system =
            self.system.iter().map(|content| ChatMessage { role: "system".into(), content: content.clone() });
        GenerateRequest {
            model: self.model.clone(),
            adapter: self.adapter,
            live: None,
            prompt: Prompt::Messages(system.chain(self.turns.iter().cloned()).collect()),
            sampling: self.sampling.clone(),
        }
    }

    fn switch(&mut self, wanted: Option<usize>, screen: &Screen) {
        let there = self.model.adapters.len();
        self.model.weights.clear();
        match wanted {
            None => self.adapter = None,
            Some(number) if (1..=there).contains(&number) => self.adapter = Some(number - 1),
            Some(number) => {
                let mut words = text!(
                    "There is no adapter {number}; there are {there}.",
                    "没有适配器 {number}；共有 {there} 个。"
                );
                if there == 0 {
                    words =
                        Text::fixed("No adapter was given with --adapter.", "未用 --adapter 指定适配器。");
                }
                return screen.tell(&words);
            }
        }
        screen.tell(&self.speaker());
    }

    fn weigh(&mut self, weights: Vec<f64>, screen: &Screen) {
        let (there, given) = (self.model.adapters.len(), weights.len());
        if given != there || there == 0 {
            return screen.tell(&text!(
                "There are {there} adapters, and {given} numbers.",
                "共有 {there} 个适配器，却给了 {given} 个数。"
            ));
        }
        self.model.weights = weights;
        self.adapter = Some(0);
        screen.tell(&self.speaker());
    }

    fn speaker(&self) -> Text {
        if self.adapter.is_some() && !self.model.weights.is_empty() {
            let weights: Vec<String> = self.model.weights.iter().map(f64::to_string).collect();
            let weights = weights.join(", ");
            return text!(
                "All adapters speak, with the weights {weights}.",
                "所有适配器同时起作用，权重为 {weights}。"
            );
        }
        match self.adapter.and_then(|index| Some((index + 1, self.model.adapters.get(index)?.display()))) {
            Some((number, dir)) => text!("Adapter {number} speaks: {dir}", "当前为适配器 {number}：{dir}"),
            None => Text::fixed("The base model speaks.", "当前为基础模型。"),
        }
    }
}

/// The next line that was typed or piped in; None at the end. Line editing is the terminal's.
fn read_line(interactive: bool, screen: &Screen) -> Result<Option<String>> {
    if interactive {
        screen.prompt("> ");
    }
    let mut line = Vec::new();
    let read = io::stdin().lock().read_until(b'\n', &mut line).map_err(|err| cannot_read(&err))?;
    Ok((read > 0).then(|| String::from_utf8_lossy(&line).into_owned()))
}

fn cannot_read(err: &io::Error) -> UserError {
    UserError::failure(text!("Could not read what was typed: {err}", "无法读取输入：{err}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_a_slash_are_orders() {
        assert_eq!(Order::read("  \n"), Order::Nothing);
        assert_eq!(Order::read(" hello /quit\n"), Order::Say("hello /quit"));
        assert_eq!(Order::read("/quit"), Order::Quit);
        assert_eq!(Order::read("/base"), Order::Use(None));
        assert_eq!(Order::read("/adapter  2"), Order::Use(Some(2)));
        assert_eq!(Order::read("/adapter two"), Order::Unknown("/adapter two"));
        assert_eq!(Order::read("/weights 1, -0.5"), Order::Weigh(vec![1.0, -0.5]));
        assert_eq!(Order::read("/weights one"), Order::Unknown("/weights one"));
        assert_eq!(Order::read("/unmerge"), Order::Merge(false));
        assert_eq!(Order::read("/reste"), Order::Unknown("/reste"));
    }
}
