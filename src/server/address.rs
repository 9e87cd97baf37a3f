//! Where engines of this user listen: a folder that only the user may enter.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use directories::ProjectDirs;
use interprocess::local_socket::{Listener, ListenerOptions, Name, Stream, prelude::*};
use protocol::{Result, Text, UserError};

use super::connection::Connection;

const EXTENSION: &str = "sock";
/// A socket that refuses and is older than this belongs to a process that was killed.
const ABANDONED: Duration = Duration::from_secs(5);
/// Longest path that every Unix takes for a socket (104 bytes on macOS), less the file's own name.
const LONGEST_FOLDER: usize = 60;

/// The folder of sockets.
#[derive(Clone, Debug)]
pub struct Sockets {
    dir: PathBuf,
}

/// This user's own.
impl Default for Sockets {
    fn default() -> Self {
        let dirs = ProjectDirs::from("", "", "emberwright");
        let own = dirs.as_ref().map(|dirs| match dirs.runtime_dir() {
            Some(runtime) => runtime.to_owned(),
            None => dirs.cache_dir().join("sockets"),
        });
        let fits = |dir: &PathBuf| !cfg!(unix) || dir.as_os_str().len() <= LONGEST_FOLDER;
        Self { dir: own.filter(fits).unwrap_or_else(fallback) }
    }
}

/// The user's name keeps users apart; [`Sockets::prepare`] keeps out whoever takes another's name.
fn fallback() -> PathBuf {
    let user = ["USER", "USERNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let user: String = user.unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).collect();
    std::env::temp_dir().join(format!("emberwright-{user}"))
}

impl Sockets {
    /// A folder of the caller's choice.
    pub fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// To be called before anything else: makes the folder if it is missing.
    ///
    /// # Errors
    /// When it cannot be made, or others than the user may enter it or own it.
    pub fn prepare(&self) -> Result<()> {
        let dir = &self.dir;
        let using = |err: &io::Error| {
            UserError::io(Text::fixed("use the folder of sockets", "使用套接字文件夹"), dir, err)
        };
        make_private(dir).map_err(|err| using(&err))?;
        if is_private(dir).map_err(|err| using(&err))? {
            return Ok(());
        }
        let what = Text::fixed(
            "The folder of sockets belongs to somebody else, or others may enter it",
            "套接字文件夹属于他人，或允许他人进入",
        );
        Err(UserError::bad_input(what).in_file(dir).mend(Text::fixed(
            "remove it, or make it your own with access for nobody else",
            "请删除该文件夹，或将其改为仅自己可访问",
        )))
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Listens under a name.
    ///
    /// # Errors
    /// When the name is taken or no name, or the system refuses.
    pub fn listen(&self, name: &str) -> io::Result<Listener> {
        let listener = ListenerOptions::new().name(self.name(name)?).create_sync()?;
        if cfg!(not(unix)) {
            // Pipes have no place in a folder: the file says that this one is there.
            fs::write(self.file(name), b"")?;
        }
        Ok(listener)
    }

    /// # Errors
    /// When nobody listens under this name.
    pub fn connect(&self, name: &str) -> io::Result<Connection> {
        Stream::connect(self.name(name)?).map(Connection::new)
    }

    /// Removes a name, so that nobody tries it any more.
    pub fn forget(&self, name: &str) {
        if let Err(err) = fs::remove_file(self.file(name)) {
            tracing::debug!("the socket {name} is gone already: {err}");
        }
    }

    /// Removes the name of a process that was killed.
    pub fn forget_abandoned(&self, name: &str) {
        let made = fs::symlink_metadata(self.file(name)).and_then(|file| file.modified());
        let age = made.ok().and_then(|made| SystemTime::now().duration_since(made).ok());
        if age.is_some_and(|age| age > ABANDONED) {
            self.forget(name);
        }
    }

    /// Names under which somebody listens, or once did; the newest first.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries
            .filter_map(|entry| {
                let path = entry.path();
                let name = path.file_stem()?.to_str().filter(|name| is_name(name))?.to_owned();
                let ours = path.extension().is_some_and(|extension| extension == EXTENSION);
                let made = fs::symlink_metadata(&path).and_then(|file| file.modified()).ok();
                ours.then_some((made, name))
            })
            .collect();
        names.sort();
        names.into_iter().rev().map(|(_, name)| name).collect()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.{EXTENSION}"))
    }

    fn name(&self, name: &str) -> io::Result<Name<'static>> {
        use interprocess::local_socket::{GenericFilePath, GenericNamespaced};
        if !is_name(name) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("`{name}` is no name for a socket"),
            ));
        }
        if cfg!(unix) {
            self.file(name).into_os_string().to_fs_name::<GenericFilePath>()
        } else {
            format!("emberwright-{name}").to_ns_name::<GenericNamespaced>()
        }
    }
}

/// Short, and nothing that a path could mean.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=32).contains(&name.len()) && name.chars().all(plain)
}

#[cfg(unix)]
fn make_private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(err) if err.kind() != io::ErrorKind::AlreadyExists => Err(err),
        _ => Ok(()),
    }
}

/// A folder that nobody else may enter and that has the owner of a file that we make in it.
#[cfg(unix)]
fn is_private(dir: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let folder = fs::symlink_metadata(dir)?;
    if !folder.is_dir() || folder.mode() & 0o077 != 0 {
        return Ok(false);
    }
    let trial = dir.join(format!(".owner-{}-{:?}", std::process::id(), std::thread::current().id()));
    let owner = fs::File::create(&trial).and_then(|file| file.metadata()).map(|file| file.uid());
    fs::remove_file(&trial)?;
    Ok(owner? == folder.uid())
}

/// The user's own folders are private on Windows.
#[cfg(not(unix))]
fn make_private(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

#[cfg(not(unix))]
fn is_private(dir: &Path) -> io::Result<bool> {
    Ok(fs::symlink_metadata(dir)?.is_dir())
}
