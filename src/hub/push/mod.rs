//! Publishing: what would be sent is shown first, what is there already is not sent again, and the hub's listing is
//! held against the files at the end.

mod card;
mod folder;
mod hugging_face;
mod lfs;
mod modelscope;
mod steps;

use std::sync::Arc;

use futures::future::BoxFuture;
use protocol::{PushFile, PushRequest};

use crate::fault::Fault;
use crate::http::Line;
use crate::hubs::Facts;
use crate::transfer::Meter;

pub(crate) use hugging_face::HuggingFace;
pub(crate) use modelscope::ModelScope;
pub(crate) use steps::{carry_out, plan};

/// How a hub takes files.
pub(crate) trait Publisher: Send + Sync {
    /// What the hub will list as the licence: of a repository as it is (None: it will be made), with this card.
    fn licence(&self, there: Option<&Facts>, card: Option<&str>) -> Option<String>;

    /// Makes the repository, with the licence of the plan.
    fn create<'a>(
        &'a self,
        line: &'a Line,
        push: &'a PushRequest,
        licence: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), Fault>>;

    /// Sends files and commits them on top of `parent`. Returns the commit, and how many bytes went over the network.
    fn send<'a>(
        &'a self,
        line: &'a Line,
        push: &'a PushRequest,
        news: &'a [&'a Local],
        parent: Option<String>,
        meter: &'a Arc<Meter>,
    ) -> BoxFuture<'a, Result<(String, u64), Fault>>;
}

/// A file of the folder, with its hashes.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub path: String,
    pub place: std::path::PathBuf,
    pub bytes: u64,
    pub sha256: String,
    pub git_sha1: String,
    /// What the hub judges by whether this is a text.
    pub sample: Vec<u8>,
}

impl Local {
    fn shown(&self, state: protocol::PushState) -> PushFile {
        PushFile { path: self.path.clone(), bytes: self.bytes, sha256: self.sha256.clone(), state }
    }
}
