//! What is asked of the desktop, as far as it can do it: files may lie on another machine.

use std::path::PathBuf;

use protocol::{Command, text};

use super::Apply;
use crate::desktop::{DesktopEvent, DesktopRequest};
use crate::state::browse::{Browse, BrowseAction};
use crate::state::toasts::Level;

impl Apply<'_> {
    /// Asks this machine's desktop, or the engine where the files are another machine's.
    pub(super) fn ask_desktop(&mut self, request: DesktopRequest) {
        let Some(host) = self.state.other_machine().map(str::to_owned) else {
            return self.desktop.request(request);
        };
        if let Some((browse, start)) = Browse::of(&request) {
            self.state.browse = Some(browse);
            return self.list_folder(start);
        }
        match request {
            DesktopRequest::Classify(_) => self.toast(
                Level::Warning,
                text!(
                    "The engine runs on {host}: a file of this machine cannot be used there. Copy it there (scp), then choose it there",
                    "引擎在 {host} 上运行，无法使用本机文件。请先复制过去（scp），再在那里选择"
                ),
            ),
            DesktopRequest::Open(what) if !is_page(&what) => {
                self.toast(Level::Info, text!("{what} lies on {host}", "{what} 位于 {host}"));
            }
            request => self.desktop.request(request),
        }
    }

    fn list_folder(&mut self, dir: Option<PathBuf>) {
        let request = self.state.next_request();
        if let Some(browse) = &mut self.state.browse {
            browse.ask(request);
            self.engine.send(Command::ListFolder { request, dir });
        }
    }

    pub(super) fn browse(&mut self, action: BrowseAction) {
        let Some(browse) = &mut self.state.browse else { return };
        match action {
            BrowseAction::Go(dir) => self.list_folder(Some(dir).filter(|dir| !dir.as_os_str().is_empty())),
            BrowseAction::Choose(name) => browse.choose(name),
            BrowseAction::Name(name) => browse.name = name,
            BrowseAction::ShowAll(all) => browse.all_files = all,
            BrowseAction::ShowHidden(hidden) => browse.hidden = hidden,
            BrowseAction::Take => {
                let (purpose, paths) = (browse.purpose.clone(), browse.taken());
                if !paths.is_empty() {
                    self.state.browse = None;
                    self.desktop_event(DesktopEvent::Picked { purpose, paths });
                }
            }
            BrowseAction::Close => self.state.browse = None,
        }
    }
}

fn is_page(what: &str) -> bool {
    what.starts_with("https://") || what.starts_with("http://")
}
