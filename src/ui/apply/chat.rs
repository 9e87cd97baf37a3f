//! Requests of the Chat panel.

use std::path::PathBuf;

use protocol::{Command, Text, UserError, Wish};

use super::Apply;
use crate::state::chat::ask::{Asked, asked, right};
use crate::state::chat::{ChatAction, Side};
use crate::state::toasts::Level;
use crate::state::tuned::Tuned;

impl Apply<'_> {
    pub(super) fn chat(&mut self, action: ChatAction) {
        match action {
            ChatAction::Send(text) => {
                let sides = self.sides();
                self.state.chat.conversation.say(text, &sides);
            }
            ChatAction::Edit { turn, text } => {
                self.break_off();
                let sides = self.sides();
                self.state.chat.conversation.edit(turn, text, &sides);
            }
            ChatAction::Regenerate(sides) => {
                self.break_off();
                let able = self.sides_able();
                let sides: Vec<_> = sides.into_iter().filter(|side| able.contains(side)).collect();
                self.state.chat.conversation.again(&sides);
            }
            ChatAction::Stop => self.break_off(),
            ChatAction::Clear => {
                self.break_off();
                self.state.chat.conversation.clear();
                self.state.chat.looked_at = None;
            }
            ChatAction::System(system) => self.state.chat.system = system,
            ChatAction::Sampling(sampling) => self.state.chat.sampling = *sampling,
            ChatAction::Show(columns) => self.state.chat.columns = columns,
            ChatAction::TunedFirst(first) => self.state.chat.tuned_first = first,
            ChatAction::UseRun { run, checkpoint } => match Tuned::of_run(&run, checkpoint.as_deref()) {
                Some(tuned) => self.speak_to(tuned),
                None => self.toast(Level::Warning, NOTHING_TO_LOAD.clone()),
            },
            ChatAction::UseFolder(folder) => self.chat_adapter_picked(folder),
            ChatAction::Use(tuned) => self.speak_to(*tuned),
            ChatAction::UseLive => self.speak_to(Tuned::live()),
            ChatAction::Render { turn, side } => self.render(turn, side),
            ChatAction::CloseRendered => {
                self.state.chat.looked_at = None;
                self.state.chat.rendered.clear();
            }
        }
    }

    /// A folder was chosen to speak beside the base.
    pub(super) fn chat_adapter_picked(&mut self, folder: PathBuf) {
        self.speak_to(Tuned::folder(folder));
    }

    /// A folder was chosen whose adapter joins who speaks now.
    pub(super) fn chat_joined(&mut self, folder: PathBuf) {
        if let Some(mut tuned) = right(self.state) {
            tuned.join(Tuned::folder(folder));
            self.speak_to(tuned);
        }
    }

    fn speak_to(&mut self, tuned: Tuned) {
        self.state.chat.tuned = Some(tuned);
    }

    /// Those who are shown and can speak.
    fn sides(&self) -> Vec<Side> {
        self.state.chat.asked(right(self.state).is_some())
    }

    fn sides_able(&self) -> Vec<Side> {
        let tuned = right(self.state).map(|_| Side::Tuned);
        std::iter::once(Side::Base).chain(tuned).collect()
    }

    /// Ends the answer under way and asks nobody who waits.
    fn break_off(&mut self) {
        self.state.chat.conversation.stop();
        if self.state.chat.conversation.is_busy() {
            self.engine.wish(Wish::StopAnswer);
        }
    }

    /// Asks for the next answer when the one before has ended.
    pub(crate) fn chat_follow(&mut self) {
        while let Some((turn, side)) = self.state.chat.conversation.next_to_answer() {
            let request = self.state.next_request();
            match asked(self.state, turn, side) {
                Some(Asked { by, generate }) => {
                    let kept = Some(Box::new(generate.clone()));
                    self.state.chat.conversation.sent(request, turn, side, by, kept);
                    return self.engine.send(Command::Generate { request, generate });
                }
                None => {
                    let by = Text::fixed("", "");
                    self.state.chat.conversation.refused(request, turn, side, by, nobody());
                }
            }
        }
    }

    /// The prompt of an answer as it was asked for, whatever was chosen since.
    fn render(&mut self, turn: usize, side: Side) {
        let turns = &self.state.chat.conversation.turns;
        let answer = turns.get(turn).and_then(|turn| turn.answer(side));
        let Some(asked) = answer.and_then(|answer| answer.asked.clone()) else { return };
        let request = self.state.next_request();
        self.state.chat.looked_at = Some((turn, side));
        self.state.chat.rendered.clear();
        self.state.chat.rendered.ask(request);
        self.engine.send(Command::RenderPrompt { request, model: asked.model, prompt: asked.prompt });
    }
}

static NOTHING_TO_LOAD: Text = Text::fixed(
    "There is nothing to talk to yet: the run has no result, or it is a full fine-tune, whose checkpoints are no models",
    "暂时没有可对话的模型：该训练尚无结果；若为全量微调，其检查点不能单独加载",
);

fn nobody() -> UserError {
    UserError::bad_input(Text::fixed("Nobody can answer here", "此处没有可回答的模型"))
        .mend(Text::fixed("choose a model, a run or an adapter", "请选择模型、训练结果或适配器"))
}
