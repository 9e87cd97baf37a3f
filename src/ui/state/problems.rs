//! What the engine has against a setting, wherever it was found out.

use protocol::UserError;

use super::AppState;

/// Whether an error is about a key of the run file, or about one below it. An error may name several keys.
pub fn concerns(error: &UserError, key: &str) -> bool {
    let of = |item: &str| item.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    error.place.item.as_deref().is_some_and(|items| items.split(',').any(|item| of(item.trim())))
}

impl AppState {
    /// All that the engine has against the settings by the model's headers alone.
    pub fn estimate_problems(&self) -> Vec<&UserError> {
        let estimate = &self.estimate;
        let told = estimate.value.iter().flat_map(|estimate| &estimate.problems);
        estimate.error.iter().chain(told.filter(|_| estimate.error.is_none())).collect()
    }

    /// What is said against a key, or against a table of the run file: each error once.
    pub fn problems_at(&self, key: &str) -> Vec<&UserError> {
        let read = [&self.data.page.error, &self.data.verdict.error].into_iter().flatten();
        let mut found: Vec<&UserError> = Vec::new();
        for error in self.estimate_problems().into_iter().chain(read) {
            if concerns(error, key) && !found.contains(&error) {
                found.push(error);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use protocol::Text;

    use super::*;

    fn error(item: &str) -> UserError {
        UserError::bad_input(Text::fixed("no", "不行")).at_item(item)
    }

    #[test]
    fn an_error_concerns_each_key_it_names_and_the_tables_above() {
        assert!(concerns(&error("vocabulary.train_on"), "vocabulary"));
        assert!(concerns(&error("method.kind, vocabulary"), "vocabulary"));
        assert!(concerns(&error("data.max_length, train.memory_budget"), "train.memory_budget"));
        assert!(!concerns(&error("vocabulary_size"), "vocabulary"));
        assert!(!concerns(&UserError::bad_input(Text::fixed("no", "不行")), "vocabulary"));
    }

    #[test]
    fn what_two_requests_found_is_said_once() {
        let mut state = AppState::default();
        state.estimate.error = Some(error("vocabulary.file"));
        state.data.page.error = Some(error("vocabulary.file"));
        state.data.verdict.error = Some(error("data.train"));
        assert_eq!(state.problems_at("vocabulary"), [&error("vocabulary.file")]);
    }
}
