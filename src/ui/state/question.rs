//! A question that waits for the user: a modal with a button a choice.

use protocol::Text;

use crate::action::Action;

#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    pub title: Text,
    pub body: Text,
    pub choices: Vec<Choice>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The verb, and the object where it matters: "Delete run-3".
    pub label: Text,
    /// Destroys something.
    pub danger: bool,
    pub then: Vec<Action>,
}
