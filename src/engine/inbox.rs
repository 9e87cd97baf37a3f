//! A thread's commands, in the order in which they came.

use std::collections::VecDeque;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use protocol::{Command, Control};

/// Commands that may wait here; those that follow stay in the channel.
const WAITING: usize = 64;

/// Where a thread finds its commands. A run under way looks into it for questions to its model, which it answers between two of
/// its steps; everything else is kept for after the run.
pub struct Inbox {
    commands: Receiver<Command>,
    waiting: VecDeque<Command>,
}

impl Inbox {
    pub fn new(commands: Receiver<Command>) -> Self {
        Self { commands, waiting: VecDeque::new() }
    }

    /// The next command, waited for; None when there will be no more.
    pub fn next(&mut self) -> Option<Command> {
        self.waiting.pop_front().or_else(|| self.commands.recv().ok())
    }

    /// The next command, waited for at most for `time`.
    ///
    /// # Errors
    /// When none came, or there will be no more.
    pub fn next_within(&mut self, time: Duration) -> Result<Command, RecvTimeoutError> {
        self.waiting.pop_front().map_or_else(|| self.commands.recv_timeout(time), Ok)
    }

    /// The next question to a model of those that came before a shutdown, if there is one: a prompt, or a row whose tokens
    /// are to be scored.
    pub fn take_question(&mut self) -> Option<Command> {
        self.collect();
        let is_wanted = |command: &Command| {
            matches!(command, Command::Generate { .. } | Command::ScoreRow { .. } | Command::Shutdown)
        };
        let index = self.waiting.iter().position(is_wanted)?;
        if self.waiting.get(index) == Some(&Command::Shutdown) {
            return None;
        }
        self.waiting.remove(index)
    }

    /// Waits for a command to come, at most for `time`.
    pub fn wait(&mut self, time: Duration) {
        match self.commands.recv_timeout(time) {
            Ok(command) => self.waiting.push_back(command),
            Err(RecvTimeoutError::Timeout) => {}
            // Without a client nothing comes any more, and this returns at once.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(time),
        }
    }

    /// Forgets the wishes about a run that has ended; they would disturb the work that follows. A shutdown's wish
    /// to stop stays.
    pub fn run_is_over(&mut self, control: &Control) {
        self.collect();
        if !self.waiting.contains(&Command::Shutdown) {
            control.reset();
        }
    }

    fn collect(&mut self) {
        while self.waiting.len() < WAITING
            && let Ok(command) = self.commands.try_recv()
        {
            self.waiting.push_back(command);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{GenerateRequest, ModelRef, Prompt, RequestId, RunConfig, Sampling};

    fn prompt(request: u64) -> Command {
        let generate = GenerateRequest {
            model: ModelRef::default(),
            adapter: None,
            live: Some(true),
            prompt: Prompt::Text(String::new()),
            sampling: Sampling::default(),
        };
        Command::Generate { request: RequestId(request), generate }
    }

    fn row(request: u64) -> Command {
        Command::ScoreRow {
            request: RequestId(request),
            config: Box::new(RunConfig::default()),
            base: "".into(),
            row: 1,
            model: ModelRef::default(),
            live: true,
        }
    }

    fn other(request: u64) -> Command {
        Command::Inspect { request: RequestId(request), model: ModelRef::default() }
    }

    #[test]
    fn questions_are_taken_out_and_the_rest_keeps_its_order() {
        let (sender, receiver) = crossbeam_channel::unbounded();
        let mut inbox = Inbox::new(receiver);
        for command in [other(1), prompt(2), other(3), row(4), Command::Shutdown, prompt(5)] {
            sender.send(command).unwrap();
        }
        let taken = std::iter::from_fn(|| inbox.take_question()).map(|command| command.request().unwrap().0);
        assert_eq!(taken.collect::<Vec<_>>(), [2, 4], "what follows a shutdown is not answered");
        drop(sender);
        let rest: Vec<Command> = std::iter::from_fn(|| inbox.next()).collect();
        assert_eq!(rest, [other(1), other(3), Command::Shutdown, prompt(5)]);
    }

    #[test]
    fn a_run_takes_its_wishes_along_but_not_a_shutdowns() {
        let (sender, receiver) = crossbeam_channel::unbounded();
        let mut inbox = Inbox::new(receiver);
        let control = Control::default();
        control.stop();
        control.pause();
        inbox.run_is_over(&control);
        assert!(!control.stop_wanted() && !control.pause_wanted());
        control.stop();
        sender.send(Command::Shutdown).unwrap();
        inbox.run_is_over(&control);
        assert!(control.stop_wanted());
    }
}
