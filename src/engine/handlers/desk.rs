//! What the data thread keeps between two requests.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data::{Encoder, Extended, Gain, Library, Progress, TemplateChoice, Tokenizer};
use protocol::{PreviewRow, PreviewSource, RequestId, Result, RunConfig, Text, UserError};

/// Files, tokenizer and the preview that waits for its files to be counted.
#[derive(Default)]
pub struct Desk {
    pub library: Library,
    pub waiting: Option<Waiting>,
}

/// A preview that was answered before all rows were counted.
pub struct Waiting {
    pub request: RequestId,
    pub config: RunConfig,
    pub base: PathBuf,
    pub rows: Range<u64>,
}

/// How rows are made into tokens, and where the template comes from.
pub struct Encoding {
    pub encoder: Arc<Encoder>,
    pub tokenizer: Arc<Tokenizer>,
    pub template: Option<TemplateChoice>,
    /// Why there is no template although one was chosen.
    pub problem: Option<UserError>,
    /// The model's tokenizer as it is in its folder.
    own: Arc<Tokenizer>,
    extended: Option<Extended>,
}

impl Encoding {
    /// What new tokens change on rows that were encoded; None where there are none.
    pub fn gain(&self, rows: &[PreviewRow]) -> Option<Text> {
        let Extended { extension, tokenizer } = self.extended.as_ref()?;
        let texts = rows.iter().map(|row| Ok(&row.rendered));
        Gain::of(texts, &self.own, extension, tokenizer).ok().map(|gain| gain.told())
    }

    /// What a preview says of the template, as far as it is known without rows.
    pub fn source(&self) -> PreviewSource {
        PreviewSource {
            template: self.template.as_ref().map(|template| template.name.clone()),
            template_reason: self.template.as_ref().and_then(|template| template.reason.clone()),
            template_source: self
                .template
                .as_ref()
                .map(|template| template.source().to_owned())
                .unwrap_or_default(),
            ..PreviewSource::default()
        }
    }
}

impl Desk {
    /// The encoder of a run file with absolute paths. A template that cannot be used is an error.
    ///
    /// # Errors
    /// When tokenizer or template cannot be used.
    pub fn encoder(&mut self, config: &RunConfig, base: &Path) -> Result<Encoding> {
        let encoding = self.lenient_encoder(config, base)?;
        match encoding.problem {
            Some(problem) => Err(problem),
            None => Ok(encoding),
        }
    }

    /// As [`encoder`](Self::encoder); a template that cannot be used is only noted.
    ///
    /// # Errors
    /// When the tokenizer cannot be used.
    pub fn lenient_encoder(&mut self, config: &RunConfig, base: &Path) -> Result<Encoding> {
        self.encoding(config, base, &data::Silent)
    }

    /// As [`lenient_encoder`](Self::lenient_encoder), where tokens may have to be learned first.
    ///
    /// # Errors
    /// When the tokenizer cannot be used or extended, or the user stopped.
    pub fn encoding(&mut self, config: &RunConfig, base: &Path, progress: &dyn Progress) -> Result<Encoding> {
        let extended = self.library.extended(&config.model.path, &config.vocabulary, progress)?;
        let own = self.library.tokenizer(&config.model.path)?;
        let tokenizer = extended.as_ref().map_or(&own, |extended| &extended.tokenizer).clone();
        let (template, mut problem) = match TemplateChoice::find(&config.data.template, &tokenizer, base) {
            Ok(template) => (template, None),
            Err(err) => (None, Some(err)),
        };
        let compiled = template.as_ref().map(|template| template.compile(&tokenizer, None)).transpose();
        let compiled = compiled.unwrap_or_else(|err| {
            problem = Some(err);
            None
        });
        let encoder = Arc::new(Encoder::new(tokenizer.clone(), compiled, (&config.data).into())?);
        Ok(Encoding { encoder, tokenizer, template, problem, own, extended })
    }
}
