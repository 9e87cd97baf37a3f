//! Hubs against a server of our own on the loopback that breaks off, refuses, redirects and lies.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod bench;
mod broken;
mod cache;
mod download;
mod fake;
mod lies;
mod modelscope;
mod modelscope_push;
mod publish;
mod refusals;
mod secrets;
mod server;
mod support;
mod waiting;
