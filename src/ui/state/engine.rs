//! The engine: what it offers, where it computes, how busy it is.

use protocol::{Catalog, Descriptor, DeviceReport, DeviceStats, Event, Language, Text, UserError, text};

use crate::client::LinkState;
use crate::words::hosting as words;

#[derive(Debug, Default)]
pub struct EngineState {
    pub catalog: Catalog,
    /// None until the engine has started.
    pub device: Option<DeviceReport>,
    /// Those that a run may be given.
    pub devices: Vec<DeviceReport>,
    pub stats: Option<DeviceStats>,
    /// Why there is no engine.
    pub error: Option<UserError>,
    pub ended: bool,
    /// How the line to it is.
    pub link: LinkState,
    /// The line broke and has not been found again.
    pub broken: bool,
}

impl EngineState {
    pub fn is_ready(&self) -> bool {
        self.device.is_some() && !self.ended
    }

    /// The line to it in one line; None while nothing need be said of it.
    pub fn link_words(&self) -> Option<Text> {
        match &self.link {
            LinkState::Attached => None,
            LinkState::Connecting { said: None } => Some(words::CONNECTING.clone()),
            LinkState::Connecting { said: Some(said) } => {
                Some(text!("Connecting: {said}", "正在连接：{said}"))
            }
            LinkState::Silent { seconds } => {
                Some(text!("No word from the engine for {seconds} s", "引擎已 {seconds} 秒没有应答"))
            }
            LinkState::Lost { error, seconds } => {
                let Text { en, zh } = &error.what;
                Some(text!("{en}; again in {seconds} s", "{zh}；{seconds} 秒后重试"))
            }
            LinkState::Ended => Some(words::ENDED.clone()),
        }
    }

    /// What is known of a dataset format.
    pub fn format(&self, id: &str) -> Option<&Descriptor> {
        self.catalog.formats.iter().find(|format| format.id == id)
    }

    /// A format as people call it.
    pub fn format_name<'a>(&'a self, id: &'a str, language: Language) -> &'a str {
        self.format(id).map_or(id, |format| format.name.get(language))
    }

    pub fn reduce(&mut self, event: &Event) {
        match event {
            Event::Ready { catalog, device, devices } => {
                let (link, broken) = (std::mem::take(&mut self.link), self.broken);
                let (catalog, device) = ((**catalog).clone(), Some(device.clone()));
                *self = Self { catalog, device, devices: devices.clone(), link, broken, ..Self::default() };
            }
            Event::Device { stats } => self.stats = Some(*stats),
            Event::Failed { request: None, error } => self.error = Some((**error).clone()),
            Event::Stopped => self.ended = true,
            _ => {}
        }
    }
}
