//! The one place that orders a message's journey: receive, gather, judge, splice, commit, record, answer.
//!
//! `session` moves octets and questions between a client, the machines of `smtp` and the upstream; `journey` is what happens to
//! a message; `admission` says who may send through which listener. Nothing here decides about content: that is `policy`.

pub mod admission;
mod answers;
pub mod chronicle;
mod custody;
pub mod journey;
pub mod late;
mod past;
pub mod received;
mod reroute;
pub mod session;
pub mod site;
pub mod suspended;

pub use session::serve;
pub use site::{Shared, Site, SiteError, Worker, classes};
