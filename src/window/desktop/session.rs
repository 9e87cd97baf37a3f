//! Services of the desktop's session: opening things, notifications, staying awake.

use std::path::Path;
use std::process::{Command, Stdio};

use crossbeam_channel::Receiver;
use keepawake::KeepAwake;
use notify_rust::Notification;
use protocol::{Result, Text, UserError};
use ui::DesktopRequest;

use super::Answers;

const NAME: &str = "Emberwright";

pub fn serve(requests: &Receiver<DesktopRequest>, answers: &Answers) {
    // Held while the machine is to stay awake.
    let mut awake = None;
    for request in requests {
        match request {
            DesktopRequest::Open(what) => {
                if let Err(error) = open(&what) {
                    answers.failed(error);
                }
            }
            DesktopRequest::Notify { title, body } => notify(&title, &body),
            DesktopRequest::KeepAwake(wanted) => {
                awake = awake.take().filter(|_| wanted).or_else(|| keep(wanted));
            }
            _ => {}
        }
    }
}

/// A machine that may not be kept awake, or has no notifications, is no reason to disturb anybody.
fn keep(wanted: bool) -> Option<KeepAwake> {
    if !wanted {
        return None;
    }
    let mut builder = keepawake::Builder::default();
    let asked =
        builder.idle(true).sleep(true).reason("Training").app_name(NAME).app_reverse_domain("emberwright");
    asked.create().inspect_err(|err| tracing::warn!("the machine cannot be kept awake: {err}")).ok()
}

fn notify(title: &str, body: &str) {
    let shown = Notification::new().summary(title).body(body).appname(NAME).icon("emberwright").show();
    if let Err(err) = shown {
        tracing::warn!("no notification was shown: {err}");
    }
}

/// A page in the browser, or a folder or file in its program.
fn open(what: &str) -> Result<()> {
    let page = what.starts_with("https://") || what.starts_with("http://");
    let target = if page {
        what.into()
    } else {
        // From the root: a name that begins with a dash must not pass for a flag.
        std::path::absolute(what).unwrap_or_else(|_| what.into())
    };
    if !page && !target.exists() {
        let what = Text::fixed("There is nothing here any more", "此处已不存在任何内容");
        return Err(UserError::bad_input(what).in_file(target));
    }
    let mut command = opener(&target);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|err| cannot_open(&target, &err.to_string()))?;
    // Some of these programs stay until what they opened is closed; somebody must wait for them.
    let waited = std::thread::Builder::new().name("opened".into()).spawn(move || child.wait());
    waited.map(drop).map_err(|err| cannot_open(&target, &err.to_string()))
}

fn opener(target: &Path) -> Command {
    let program = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else {
        "xdg-open"
    };
    let mut command = Command::new(program);
    command.arg(target);
    command
}

fn cannot_open(target: &Path, reason: &str) -> UserError {
    UserError::failure(Text::fixed("The system could not open this", "系统无法打开此项"))
        .detail(reason.to_owned())
        .in_file(target)
        .mend(Text::fixed("open it by hand", "请手动打开"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_not_opened() {
        let error = open("/no/such/folder").unwrap_err();
        assert_eq!(error.place.file.as_deref(), Some(Path::new("/no/such/folder")));
        assert!(open("--help").is_err());
    }
}
