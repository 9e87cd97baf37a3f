//! The model card: where a result comes from and how it was made.

use std::path::Path;

use protocol::{ExportRequest, Result};

use crate::files::AtomicFile;
use crate::train::{PlanFile, RunFolder, RunState};

/// README.md of a result.
#[derive(Clone, Debug, Default)]
pub struct Card {
    base: String,
    adapters: Vec<String>,
    run: Option<Box<(PlanFile, RunState)>>,
}

impl Card {
    pub fn of_run(plan: &PlanFile, state: &RunState) -> Self {
        Self {
            base: plan.config.model.path.display().to_string(),
            adapters: Vec::new(),
            run: Some(Box::new((plan.clone(), state.clone()))),
        }
    }

    /// Finds the run that an exported adapter or model came from, if it lies beside it.
    pub fn of_request(request: &ExportRequest) -> Self {
        let origin = request.model.adapters.first().unwrap_or(&request.model.path);
        let run = origin.parent().and_then(|dir| RunFolder::open(dir).ok()).map(|(folder, plan)| {
            let state = folder.last_state().unwrap_or_default();
            Box::new((plan, state))
        });
        let adapters: Vec<String> =
            request.model.adapters.iter().map(|dir| dir.display().to_string()).collect();
        // A model that a run wrote names what the run began with.
        let own = run.as_ref().filter(|_| adapters.is_empty()).map(|run| run.0.config.model.path.clone());
        let base = own.unwrap_or_else(|| request.model.path.clone());
        Self { base: base.display().to_string(), adapters, run }
    }

    /// Writes README.md and returns its name.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, dir: &Path) -> Result<String> {
        AtomicFile::write(&dir.join("README.md"), self.text().as_bytes())?;
        Ok("README.md".into())
    }

    fn text(&self) -> String {
        let base = name(&self.base);
        let from_scratch = self.run.as_ref().is_some_and(|run| run.0.config.model.from_scratch);
        let (line, title) = if from_scratch {
            (String::new(), "Trained from scratch".to_owned())
        } else {
            (format!("base_model: {base}\n"), format!("Fine-tuned from {base}"))
        };
        let mut text =
            format!("---\n{line}tags:\n- emberwright\n---\n\n# {title}\n\nMade with Emberwright.\n");
        for adapter in &self.adapters {
            text.push_str(&format!("\nMerged adapter: {}\n", name(adapter)));
        }
        if let Some(run) = &self.run {
            run_section(&mut text, &run.0, &run.1);
        }
        text
    }
}

/// The repository that a path of a hub's cache stands for, or its last part: a card travels, and the folders of one
/// machine mean nothing elsewhere.
fn name(path: &str) -> String {
    if let Some(repo) = hub::repo_of_snapshot(Path::new(path)) {
        return repo;
    }
    Path::new(path).file_name().map_or_else(|| path.to_owned(), |name| name.to_string_lossy().into_owned())
}

fn run_section(text: &mut String, plan: &PlanFile, state: &RunState) {
    text.push_str("\n## Training\n\n| | |\n|---|---|\n");
    let method = &plan.config.method;
    let train = &plan.config.train;
    let mut row = |key: &str, value: String| {
        text.push_str(&format!("| {key} | {value} |\n"));
    };
    row("method", method.kind.clone());
    for (key, value) in &method.params {
        row(key, value.to_string());
    }
    row("trained parameters", format!("{} of {}", plan.trainable_parameters, plan.parameters));
    row("steps", format!("{} of {}", state.step, plan.total_steps));
    row("learning rate", format!("{} ({})", train.learning_rate, train.scheduler));
    row("batch", format!("{} × {} accumulated", train.batch_size, train.gradient_accumulation));
    row("max length", plan.config.data.max_length.to_string());
    row("seed", train.seed.to_string());
    row("dtype", plan.dtype.clone());
    if plan.config.model.quantization != "none" {
        row("base model kept as", plan.config.model.quantization.clone());
    }
    row("rows", format!("{} to train on, {} to validate", plan.train_rows, plan.validation_rows));
    if let Some(template) = &plan.template {
        row("chat template", name(template));
    }
    if let Some(loss) = state.last_eval {
        row("validation loss", format!("{loss:.4}"));
        row("validation perplexity", format!("{:.3}", loss.exp()));
    }
    row("base model (SHA-256)", plan.model_sha256.clone());
    for file in &plan.data_files {
        let kind = if file.sampled { "sampled SHA-256" } else { "SHA-256" };
        row(&format!("data {}", file.name), format!("{kind} {}", file.sha256));
    }
}
