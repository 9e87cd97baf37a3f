//! The desktop behind [`ui::Desktop`]: dialogs, files and the session's services, each off the window's thread.

mod dialogs;
mod dropped;
mod files;
mod session;

use std::path::PathBuf;
use std::thread;

use crossbeam_channel::{Receiver, Sender, unbounded};
use engine::Waker;
use protocol::{Text, UserError};
use ui::{Desktop, DesktopEvent, DesktopRequest};

use super::starter;
use dialogs::Dialogs;

/// Two threads do what is asked, each in the order in which it was asked: one the files, one the services of the
/// session, which may take long to answer. A dialog has a thread of its own.
pub struct RealDesktop {
    files: Sender<DesktopRequest>,
    session: Sender<DesktopRequest>,
    dialogs: Dialogs,
    events: Receiver<DesktopEvent>,
}

/// Where answers go.
#[derive(Clone)]
struct Answers {
    events: Sender<DesktopEvent>,
    waker: Waker,
}

impl RealDesktop {
    /// `data_dir` is where the starter project is unpacked, which begins at once. The waker is called after answers.
    pub fn new(waker: Waker, data_dir: PathBuf) -> Self {
        let (sender, events) = unbounded();
        let answers = Answers { events: sender, waker };
        let (files, file_requests) = unbounded();
        let (session, session_requests) = unbounded();
        let to = answers.clone();
        answers.spawn("starter", move || to.unpack(data_dir));
        let to = answers.clone();
        answers.spawn("desktop-files", move || {
            file_requests.iter().for_each(|request| files::perform(request, &to));
        });
        let to = answers.clone();
        answers.spawn("desktop-session", move || session::serve(&session_requests, &to));
        Self { files, session, dialogs: Dialogs::new(answers), events }
    }
}

impl Desktop for RealDesktop {
    fn request(&mut self, request: DesktopRequest) {
        let to = match request {
            DesktopRequest::PickFolder { .. }
            | DesktopRequest::PickFiles { .. }
            | DesktopRequest::PickSave { .. } => return self.dialogs.open(request),
            DesktopRequest::WriteText { .. }
            | DesktopRequest::WritePng { .. }
            | DesktopRequest::Classify(_) => &self.files,
            DesktopRequest::Open(_) | DesktopRequest::Notify { .. } | DesktopRequest::KeepAwake(_) => {
                &self.session
            }
        };
        if to.send(request).is_err() {
            tracing::error!("a thread of the desktop has ended");
        }
    }

    fn drain(&mut self, events: &mut Vec<DesktopEvent>) {
        events.extend(self.events.try_iter());
    }
}

impl Answers {
    fn tell(&self, event: DesktopEvent) {
        // A window that closes has no use for answers.
        self.events.send(event).ok();
        (self.waker)();
    }

    fn failed(&self, error: UserError) {
        self.tell(DesktopEvent::Failed(Box::new(error)));
    }

    fn spawn(&self, name: &str, body: impl FnOnce() + Send + 'static) {
        if let Err(err) = thread::Builder::new().name(name.into()).spawn(body) {
            let what = Text::fixed("The system has no thread to spare", "系统无法再创建线程");
            self.failed(UserError::failure(what).detail(err.to_string()));
        }
    }

    fn unpack(&self, data_dir: PathBuf) {
        match starter::unpack(&data_dir) {
            Ok(starter::StarterPaths { project, project_zh, .. }) => {
                self.tell(DesktopEvent::Starter { project, project_zh });
            }
            Err(error) => self.failed(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::{Duration, Instant};

    use ui::desktop::{DroppedKind, DroppedPath};

    use super::*;

    /// Waits for an event that `look` wants.
    fn wait<T>(desktop: &mut RealDesktop, mut look: impl FnMut(DesktopEvent) -> Option<T>) -> T {
        let began = Instant::now();
        let mut events = Vec::new();
        loop {
            desktop.drain(&mut events);
            if let Some(found) = events.drain(..).find_map(&mut look) {
                return found;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "waited in vain");
            thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn the_starter_files_and_drops_are_served_off_the_thread() {
        let home = tempfile::tempdir().unwrap();
        let woken = Arc::new(AtomicU32::new(0));
        let count = woken.clone();
        let waker: Waker = Arc::new(move || {
            count.fetch_add(1, Ordering::AcqRel);
        });
        let mut desktop = RealDesktop::new(waker, home.path().to_owned());
        let project = wait(&mut desktop, |event| match event {
            DesktopEvent::Starter { project, .. } => Some(project),
            other => panic!("{other:?}"),
        });
        assert!(project.is_file());

        let table = home.path().join("figures/loss.csv");
        desktop.request(DesktopRequest::WriteText { path: table.clone(), text: "step,loss\n".into() });
        wait(&mut desktop, |event| (event == DesktopEvent::Written(table.clone())).then_some(()));
        assert_eq!(std::fs::read_to_string(&table).unwrap(), "step,loss\n");

        let picture = home.path().join("plot.png");
        let rgba: Arc<[u8]> = (0..3 * 2 * 4).map(|byte| byte as u8).collect();
        let write =
            |height| DesktopRequest::WritePng { path: picture.clone(), width: 3, height, rgba: rgba.clone() };
        desktop.request(write(2));
        wait(&mut desktop, |event| (event == DesktopEvent::Written(picture.clone())).then_some(()));
        let decoder = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(&picture).unwrap()));
        let mut reader = decoder.read_info().unwrap();
        let mut back = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut back).unwrap();
        assert_eq!((frame.width, frame.height, &back[..]), (3, 2, &rgba[..]));
        desktop.request(write(3));
        wait(&mut desktop, |event| matches!(event, DesktopEvent::Failed(_)).then_some(()));

        let dropped = vec![project.parent().unwrap().join("model"), project.clone(), table];
        desktop.request(DesktopRequest::Classify(dropped.clone()));
        let kinds = wait(&mut desktop, |event| match event {
            DesktopEvent::Classified(kinds) => Some(kinds),
            _ => None,
        });
        let wanted = [DroppedKind::ModelFolder, DroppedKind::Project, DroppedKind::Data];
        let wanted: Vec<_> =
            dropped.into_iter().zip(wanted).map(|(path, kind)| DroppedPath { path, kind }).collect();
        assert_eq!(kinds, wanted);
        assert!(woken.load(Ordering::Acquire) >= 5);
    }
}
