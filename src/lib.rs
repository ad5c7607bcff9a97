//! Lychgate holds a council's mail against the IT policy that the council adopted.
//!
//! # A message's journey
//!
//! ```text
//!  client ══TLS══▶ transport ─▶ smtp::server ─▶ gateway ─────────────────────────▶ smtp::client ─▶ transport ══TLS══▶ upstream
//!                   (bytes)      (asks)          │ 1 receive   RawMessage, Envelope   (commands)     (bytes)
//!                                                │ 2 gather    Facts, worked out when a rule asks for them; from outside only where the verdict hangs on it
//!                                                │ 3 judge     policy::evaluate(&Policy, &Facts) → Verdict
//!                                                │ 4 splice    RawMessage + EditPlan → slices, untouched bytes borrowed; the envelope, where a rule sends it elsewhere
//!                                                │ 5 commit    relay: the upstream's own reply; custody, for what is held or leaves in copies: durable on disk
//!                                                │ 6 record    one sealed record with what the message showed, by the retention rule
//!                                                └ 7 answer    only a Committed token can say 250
//! ```
//!
//! # Which room may import which
//!
//! `tests/architecture.rs` reads this table and holds every `use crate::` line against it.
//!
//! ```text
//! smtp      →
//! message   → smtp
//! policy    → message smtp
//! config    → policy message smtp
//! transport → config policy message smtp observe
//! records   → config policy message smtp observe
//! evidence  → config policy message smtp observe
//! outbox    → records transport config policy message smtp observe
//! documents → records config policy message smtp observe
//! office    → documents outbox records transport config policy message smtp observe
//! console   → documents office outbox records transport config policy message smtp observe
//! gateway   → evidence outbox records transport config policy message smtp observe
//! observe   → config policy smtp
//! app       → console documents office gateway evidence outbox records transport config policy message smtp observe
//! demo      → app console documents office gateway evidence outbox records transport config policy message smtp observe
//! cli       → demo app console documents office gateway evidence outbox records transport config policy message smtp observe
//! ```
//!
//! # Invariants
//!
//! - **Received bytes are never changed, only spliced.** What no rule touches leaves exactly as it came.
//! - **No 250 after a message without a `Committed` token**, which only an upstream's 2xx or a durable store hands out. Automatic mail that a rule drops is
//!   the one exception, and `Answer::Dropped` its only way.
//! - **No byte of a message goes upstream before it is judged.**
//! - **The core (`smtp`, `message`, `policy`) has no I/O, no clock and no randomness**; they come in as arguments.
//! - **A credential is never stored and never logged.**
//! - **Order never decides**: every rule is judged, and the strictest disposition wins.

pub mod app;
pub mod cli;
pub mod config;
pub mod console;
pub mod demo;
pub mod documents;
pub mod evidence;
pub mod gateway;
pub mod message;
pub mod observe;
pub mod office;
pub mod outbox;
pub mod policy;
pub mod records;
pub mod smtp;
pub mod transport;
