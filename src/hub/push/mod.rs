//! Publishing: what would be sent is shown first, what is there already is not sent again, and the hub's listing is
//! held against the files at the end.

mod commit;
mod folder;
mod lfs;

use futures::future::BoxFuture;
use protocol::{PushFile, PushPlan, PushReport, PushRequest};

use crate::fault::Fault;
use crate::http::Line;
use crate::transfer::Progress;

pub(crate) use commit::Upload;

/// A hub that takes files.
pub trait Publisher: Send + Sync {
    /// What a push would do; nothing is sent.
    fn plan<'a>(&'a self, line: &'a Line, push: &'a PushRequest) -> BoxFuture<'a, Result<PushPlan, Fault>>;
    /// Does what a plan said: `agreed` is its digest.
    fn push<'a>(
        &'a self,
        line: &'a Line,
        push: &'a PushRequest,
        agreed: &'a str,
        progress: &'a Progress,
    ) -> BoxFuture<'a, Result<PushReport, Fault>>;
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
