//! The one integration-test binary (linking twenty costs more than running them): rules and diagnostics as cases, and the real
//! `lychgate` on loopback between real and scripted peers.
//!
//! A test against a real peer runs wherever that peer is installed. Where it is missing it is skipped aloud; with
//! `LYCHGATE_PEERS=required` (which `make test` sets) or `CI=true` a missing peer is a failure.

mod support;

mod architecture;
mod bad_sites;
mod console;
mod custody;
mod demo;
mod dialogs;
mod evasions;
mod evidence;
mod features;
mod fuzz;
mod given;
mod kill9;
mod legitimate;
mod lifecycle;
mod peers;
mod policy_in_words;
mod replay;
mod rule_cases;
mod smuggling;
mod switched_off;
