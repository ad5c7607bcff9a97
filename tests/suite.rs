//! The one integration-test binary: the real `lychgate` on loopback, between real and scripted peers.
//!
//! A test against a real peer runs wherever that peer is installed. Where it is missing it is skipped aloud; with
//! `LYCHGATE_PEERS=required` (which `make test` sets) or `CI=true` a missing peer is a failure.

mod support;

mod architecture;
mod dialogs;
mod given;
mod kill9;
mod peers;
mod smuggling;
