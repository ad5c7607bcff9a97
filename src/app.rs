//! Builds all from `Settings`, runs, drains.

use std::path::PathBuf;

use crate::config::Settings;

/// Runs until SIGTERM. `config` is read again on SIGHUP.
pub fn serve(_config: PathBuf, _settings: Settings) -> anyhow::Result<()> {
    anyhow::bail!("serve is not part of this build")
}
