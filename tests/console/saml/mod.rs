//! Signing in with the council's account: at a real identity provider in a real browser, and what answers are believed.
//!
//! The forger's documents are signed by the `xmlsec1` program with the identity provider's own key wherever the attack is about something
//! else, so that what is refused is refused for that alone. The same document without the attack is taken.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::security::{Reply, get, post};
use super::*;
use crate::peers::{cache, have};
use crate::support::Scratch;

mod answers;
mod attacks;
mod people;

pub(super) use answers::metadata;
use answers::{Answer, Forge};

/// Tables of the site file for an identity provider whose metadata is beside it.
pub(super) const SAML: &str = "[console.saml]\nmetadata-file = \"idp.xml\"\n";
