//! The window: an eframe app that draws what the engine tells and sends what the user wants.
//!
//! A frame drains events into [`state::AppState`], draws it through read-only contexts, and applies the actions that
//! the panels pushed. No panel touches a file, a thread or a channel: what needs one goes through [`EngineClient`] or
//! [`Desktop`], which the program gives.

pub mod action;
pub mod app;
mod apply;
pub mod client;
pub mod command;
pub mod desktop;
mod dnd;
mod follow;
mod frame;
pub mod hosting;
pub mod layout;
pub mod panels;
pub mod persisted;
pub mod state;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(any(test, feature = "testing"))]
pub mod testing_rows;
pub mod theme;
pub mod widgets;
pub mod words;

pub use app::{App, Services};
pub use client::{EngineClient, LinkState};
pub use desktop::{Desktop, DesktopEvent, DesktopRequest, Purpose};
