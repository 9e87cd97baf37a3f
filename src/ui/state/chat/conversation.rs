//! Turns, the answers of both models to each, and who is to answer next.

use std::collections::VecDeque;

use protocol::{ChatMessage, GenerateRequest, GenerateStats, RequestId, Text, UserError};

use crate::state::Progress;

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    Base,
    Tuned,
}

impl Side {
    pub const BOTH: [Self; 2] = [Self::Base, Self::Tuned];

    fn index(self) -> usize {
        match self {
            Self::Base => 0,
            Self::Tuned => 1,
        }
    }
}

/// What the user said, and what was answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Turn {
    pub user: String,
    answers: [Option<Answer>; 2],
}

#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Of the request that asked for it; tells answers apart.
    pub request: RequestId,
    /// Who spoke.
    pub by: Text,
    pub text: String,
    pub state: AnswerState,
    pub stats: Option<GenerateStats>,
    /// What was asked of whom, for the raw view; None when nobody could be asked.
    pub asked: Option<Box<GenerateRequest>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum AnswerState {
    /// Sent; perhaps the model is being loaded.
    Waiting(Option<Progress>),
    Writing,
    Done,
    Failed(Box<UserError>),
    /// Broken off before a word, or the engine has gone.
    Stopped,
}

impl Turn {
    pub fn answer(&self, side: Side) -> Option<&Answer> {
        self.answers[side.index()].as_ref()
    }
}

impl Answer {
    pub fn is_open(&self) -> bool {
        matches!(self.state, AnswerState::Waiting(_) | AnswerState::Writing)
    }

    /// Words that can be read and answered to.
    pub fn said(&self) -> Option<&str> {
        let read = !matches!(self.state, AnswerState::Failed(_)) && !self.text.is_empty();
        read.then_some(self.text.as_str())
    }
}

/// A conversation in two columns that share the user's words.
#[derive(Debug, Default)]
pub struct Conversation {
    pub turns: Vec<Turn>,
    /// Who is still to answer, in order; sent one after the other.
    queue: VecDeque<(usize, Side)>,
    /// Whose answer is under way.
    current: Option<(RequestId, usize, Side)>,
    /// An answer that nobody waits for any more: until the engine has ended it, the next one is not sent, or the
    /// wish to stop would meet that one.
    abandoned: Option<RequestId>,
}

impl Conversation {
    pub fn is_busy(&self) -> bool {
        self.current.is_some() || !self.queue.is_empty() || self.abandoned.is_some()
    }

    pub fn current(&self) -> Option<(RequestId, usize, Side)> {
        self.current
    }

    /// Whether this answer is asked for and not yet sent.
    pub fn is_queued(&self, turn: usize, side: Side) -> bool {
        self.queue.contains(&(turn, side))
    }

    /// A new turn of the user, to be answered by these.
    pub fn say(&mut self, user: String, sides: &[Side]) {
        self.turns.push(Turn { user, ..Turn::default() });
        self.ask(self.turns.len() - 1, sides);
    }

    /// Other words at this turn: what followed is dropped.
    pub fn edit(&mut self, turn: usize, user: String, sides: &[Side]) {
        if turn < self.turns.len() {
            self.turns.truncate(turn);
            self.forget_dropped();
            self.say(user, sides);
        }
    }

    /// The last turn's answers anew; what the others said stays.
    pub fn again(&mut self, sides: &[Side]) {
        if let Some(turn) = self.turns.len().checked_sub(1) {
            self.ask(turn, sides);
        }
    }

    fn ask(&mut self, turn: usize, sides: &[Side]) {
        for side in sides {
            if let Some(place) = self.turns.get_mut(turn) {
                place.answers[side.index()] = None;
            }
            self.queue.retain(|waiting| *waiting != (turn, *side));
            self.queue.push_back((turn, *side));
        }
        self.abandon(|place| sides.contains(&place.1) && place.0 == turn);
    }

    /// Waits no longer for the answer under way, if it is this one.
    fn abandon(&mut self, which: impl Fn((usize, Side)) -> bool) {
        if let Some((request, ..)) = self.current.take_if(|(_, turn, side)| which((*turn, *side))) {
            self.abandoned = Some(request);
        }
    }

    fn forget_dropped(&mut self) {
        let turns = self.turns.len();
        self.queue.retain(|(turn, _)| *turn < turns);
        self.abandon(|(turn, _)| turn >= turns);
    }

    /// Nobody waiting is asked any more; the answer under way is the engine's to end.
    pub fn stop(&mut self) {
        self.queue.clear();
    }

    pub fn clear(&mut self) {
        self.turns.clear();
        self.forget_dropped();
    }

    /// Whose turn it is, if nobody is speaking.
    pub fn next_to_answer(&mut self) -> Option<(usize, Side)> {
        let speaks = self.current.is_some() || self.abandoned.is_some();
        if speaks { None } else { self.queue.pop_front() }
    }

    /// The request for an answer was sent.
    pub fn sent(
        &mut self,
        request: RequestId,
        turn: usize,
        side: Side,
        by: Text,
        asked: Option<Box<GenerateRequest>>,
    ) {
        let Some(place) = self.turns.get_mut(turn) else { return };
        let state = AnswerState::Waiting(None);
        let answer = Answer { request, by, text: String::new(), state, stats: None, asked };
        place.answers[side.index()] = Some(answer);
        self.current = Some((request, turn, side));
    }

    /// An answer that could not be asked for.
    pub fn refused(&mut self, request: RequestId, turn: usize, side: Side, by: Text, error: UserError) {
        self.sent(request, turn, side, by, None);
        self.fail(request, &error);
    }

    /// What one side has heard and said before its answer to `turn`. Turns it has no answer to are left out, so that
    /// user and assistant take turns, as templates demand.
    pub fn messages(&self, system: &str, turn: usize, side: Side) -> Vec<ChatMessage> {
        let message = |role: &str, content: &str| ChatMessage { role: role.into(), content: content.into() };
        let mut messages = Vec::new();
        if !system.trim().is_empty() {
            messages.push(message("system", system));
        }
        for earlier in self.turns.iter().take(turn) {
            if let Some(said) = earlier.answer(side).and_then(Answer::said) {
                messages.push(message("user", &earlier.user));
                messages.push(message("assistant", said));
            }
        }
        if let Some(turn) = self.turns.get(turn) {
            messages.push(message("user", &turn.user));
        }
        messages
    }

    fn open(&mut self, request: RequestId) -> Option<&mut Answer> {
        let (_, turn, side) = self.current.filter(|(current, ..)| *current == request)?;
        self.turns.get_mut(turn)?.answers[side.index()].as_mut()
    }

    pub fn progress(&mut self, request: RequestId, progress: Progress) {
        if let Some(answer) = self.open(request)
            && matches!(answer.state, AnswerState::Waiting(_))
        {
            answer.state = AnswerState::Waiting(Some(progress));
        }
    }

    pub fn delta(&mut self, request: RequestId, text: &str) {
        if let Some(answer) = self.open(request) {
            answer.text.push_str(text);
            answer.state = AnswerState::Writing;
        }
    }

    pub fn done(&mut self, request: RequestId, text: &str, stats: &GenerateStats) {
        if let Some(answer) = self.open(request) {
            text.clone_into(&mut answer.text);
            answer.stats = Some(stats.clone());
            answer.state = AnswerState::Done;
            self.current = None;
        } else {
            self.ended(request);
        }
    }

    /// True if the request was one of an answer.
    pub fn fail(&mut self, request: RequestId, error: &UserError) -> bool {
        let ours =
            self.current.is_some_and(|(current, ..)| current == request) || self.abandoned == Some(request);
        if let Some(answer) = self.open(request) {
            answer.state = AnswerState::Failed(Box::new(error.clone()));
        }
        self.ended(request);
        ours
    }

    fn ended(&mut self, request: RequestId) {
        self.current.take_if(|(current, ..)| *current == request);
        self.abandoned.take_if(|abandoned| *abandoned == request);
    }

    /// The engine has gone: nobody will answer.
    pub fn broken_off(&mut self) {
        self.queue.clear();
        if let Some((request, ..)) = self.current
            && let Some(answer) = self.open(request)
        {
            answer.state = AnswerState::Stopped;
        }
        self.current = None;
        self.abandoned = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats() -> GenerateStats {
        GenerateStats {
            prompt_tokens: 4,
            new_tokens: 2,
            prefill_seconds: 0.1,
            decode_seconds: 0.5,
            finish: "end-token".into(),
        }
    }

    /// Sends the next one's request, as `apply` does.
    fn send(talk: &mut Conversation, number: u64) -> (RequestId, usize, Side) {
        let (turn, side) = talk.next_to_answer().unwrap();
        talk.sent(RequestId(number), turn, side, Text::fixed("x", "x"), None);
        (RequestId(number), turn, side)
    }

    fn answer(talk: &mut Conversation, number: u64, text: &str) -> Side {
        let (request, _, side) = send(talk, number);
        talk.delta(request, &text[..1]);
        talk.done(request, text, &stats());
        side
    }

    #[test]
    fn one_answers_after_the_other() {
        let mut talk = Conversation::default();
        talk.say("hi".into(), &Side::BOTH);
        let (first, _, side) = send(&mut talk, 1);
        assert_eq!((side, talk.next_to_answer(), talk.is_queued(0, Side::Tuned)), (Side::Base, None, true));
        talk.delta(first, "wo");
        talk.delta(RequestId(77), "not ours");
        talk.delta(first, "rd");
        assert_eq!(talk.turns[0].answer(Side::Base).unwrap().text, "word");
        talk.done(first, "word!", &stats());
        assert_eq!(answer(&mut talk, 2, "other"), Side::Tuned);
        assert_eq!(talk.turns[0].answer(Side::Base).unwrap().text, "word!");
        assert!(!talk.is_busy());
    }

    #[test]
    fn each_column_goes_on_with_its_own_words() {
        let mut talk = Conversation::default();
        talk.say("one".into(), &Side::BOTH);
        answer(&mut talk, 1, "base");
        answer(&mut talk, 2, "tuned");
        talk.say("two".into(), &Side::BOTH);
        let said: Vec<_> = Side::BOTH
            .map(|side| {
                let messages = talk.messages("be brief", 1, side);
                messages.iter().map(|message| message.content.clone()).collect::<Vec<_>>().join("|")
            })
            .into();
        assert_eq!(said, ["be brief|one|base|two", "be brief|one|tuned|two"]);
    }

    #[test]
    fn a_turn_without_an_answer_is_left_out() {
        let mut talk = Conversation::default();
        talk.say("one".into(), &[Side::Base]);
        let (request, ..) = send(&mut talk, 1);
        assert!(talk.fail(request, &UserError::failure(Text::fixed("x", "x"))));
        talk.say("two".into(), &[Side::Base]);
        let roles: Vec<_> = talk.messages("", 1, Side::Base).into_iter().map(|m| m.content).collect();
        assert_eq!(roles, ["two"]);
    }

    #[test]
    fn an_edit_drops_what_followed_and_waits_for_the_engine_to_stop() {
        let mut talk = Conversation::default();
        talk.say("one".into(), &Side::BOTH);
        answer(&mut talk, 1, "base");
        let (late, ..) = send(&mut talk, 2);
        talk.edit(0, "other".into(), &[Side::Base]);
        assert_eq!((talk.turns.len(), talk.next_to_answer()), (1, None), "the old answer is still under way");
        talk.delta(late, "late words");
        talk.done(late, "late words", &stats());
        assert!(talk.turns[0].answer(Side::Tuned).is_none());
        assert_eq!(answer(&mut talk, 3, "new"), Side::Base);
        assert!(!talk.is_busy());
    }

    #[test]
    fn regenerating_one_side_keeps_the_other() {
        let mut talk = Conversation::default();
        talk.say("one".into(), &Side::BOTH);
        answer(&mut talk, 1, "base");
        answer(&mut talk, 2, "tuned");
        talk.again(&[Side::Tuned]);
        assert_eq!(answer(&mut talk, 3, "again"), Side::Tuned);
        assert_eq!(talk.turns[0].answer(Side::Base).unwrap().text, "base");
        assert_eq!(talk.turns[0].answer(Side::Tuned).unwrap().text, "again");
    }

    #[test]
    fn when_the_engine_goes_nobody_waits() {
        let mut talk = Conversation::default();
        talk.say("one".into(), &Side::BOTH);
        let (request, ..) = send(&mut talk, 1);
        talk.delta(request, "half a wo");
        talk.broken_off();
        let answer = talk.turns[0].answer(Side::Base).unwrap();
        assert_eq!((&answer.state, answer.said()), (&AnswerState::Stopped, Some("half a wo")));
        assert!(!talk.is_busy());
        talk.clear();
        assert!(talk.turns.is_empty() && talk.next_to_answer().is_none());
    }
}
