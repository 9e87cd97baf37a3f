//! What a panel's form was left with, for the next window.

use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Left<C: Default> {
    choices: C,
    /// What was left in an earlier window was taken up.
    #[serde(skip)]
    taken_up: bool,
}

impl<C: Clone + Default + PartialEq> Left<C> {
    /// Keeps what is chosen `now`. The first time: gives back what was left, unless somebody was quicker.
    pub fn take_up(&mut self, now: &C) -> Option<C> {
        if !std::mem::replace(&mut self.taken_up, true) {
            return (*now == C::default() && self.choices != *now).then(|| self.choices.clone());
        }
        if self.choices != *now {
            self.choices = now.clone();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_comes_back_once_and_only_into_an_untouched_form() {
        let mut left: Left<u32> = serde_json::from_str("{\"choices\":3}").unwrap();
        assert_eq!((left.take_up(&0), left.take_up(&3)), (Some(3), None));
        assert_eq!(left.take_up(&5), None);
        let kept = serde_json::to_string(&left).unwrap();
        let mut next: Left<u32> = serde_json::from_str(&kept).unwrap();
        assert_eq!(next.take_up(&1), None, "somebody was quicker");
        assert_eq!(serde_json::from_str::<Left<u32>>(&kept).unwrap().take_up(&0), Some(5));
    }
}
