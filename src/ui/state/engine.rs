//! The engine: what it offers, where it computes, how busy it is.

use protocol::{Catalog, Descriptor, DeviceReport, DeviceStats, Event, Language, UserError};

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
}

impl EngineState {
    pub fn is_ready(&self) -> bool {
        self.device.is_some() && !self.ended
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
                *self = Self {
                    catalog: (**catalog).clone(),
                    device: Some(device.clone()),
                    devices: devices.clone(),
                    ..Self::default()
                };
            }
            Event::Device { stats } => self.stats = Some(*stats),
            Event::Failed { request: None, error } => self.error = Some((**error).clone()),
            Event::Stopped => self.ended = true,
            _ => {}
        }
    }
}
