//! The gateway under measurement: this very program, started with a site of its own in a temporary folder.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::load::COUNCIL_DOMAIN;
use super::process::{self, Cpu};
use super::wire::{Certificate, SERVER_NAME};
use crate::demo::shipped;

/// Which rules the gateway runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Rules {
    /// No rule at all.
    None,
    /// The rules that come with Lychgate.
    Shipped,
}

/// Where TLS is spoken.
#[derive(Clone, Copy)]
pub struct Tls {
    pub from_client: bool,
    pub to_upstream: bool,
}

/// A running gateway; it ends, and its folder goes, when this is dropped.
pub struct Gateway {
    address: SocketAddr,
    child: Child,
    folder: PathBuf,
}

/// A cold start reads rules and opens a database; on a busy machine that takes a while.
const START: Duration = Duration::from_secs(20);

impl Gateway {
    /// Starts a gateway in front of `upstream` and waits until it answers.
    pub fn start(upstream: SocketAddr, rules: Rules, tls: Tls, certificate: &Certificate) -> io::Result<Gateway> {
        let folder = temporary_folder()?;
        let address = free_port()?;
        write_site(&folder, address, upstream, rules, tls, certificate)?;
        let log = fs::File::create(folder.join("log"))?;
        let child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .arg("--config")
            .arg(folder.join("lychgate.toml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut gateway = Gateway { address, child, folder };
        gateway.wait_until_it_answers()?;
        Ok(gateway)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn cpu(&self) -> Option<Cpu> {
        Cpu::of(&self.child.id().to_string())
    }

    pub fn peak_memory(&self) -> Option<u64> {
        process::peak_memory(&self.child.id().to_string())
    }

    fn wait_until_it_answers(&mut self) -> io::Result<()> {
        let end = Instant::now() + START;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("the gateway ended at once ({status}):\n{}", self.last_words())));
            }
            if TcpStream::connect(self.address).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(io::Error::other(format!("the gateway did not answer within {START:?}:\n{}", self.last_words())))
    }

    /// The end of what it wrote.
    pub fn last_words(&self) -> String {
        let log = fs::read(self.folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(4000)..]).into_owned()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn write_site(folder: &Path, bind: SocketAddr, upstream: SocketAddr, rules: Rules, tls: Tls, certificate: &Certificate) -> io::Result<()> {
    let rules_folder = folder.join("rules");
    fs::create_dir(&rules_folder)?;
    let shown: &[(&str, &str)] = match rules {
        Rules::None => &[],
        Rules::Shipped => shipped::RULES,
    };
    for (name, text) in shown {
        fs::write(rules_folder.join(name), text)?;
    }
    fs::write(folder.join("gateway.pem"), &certificate.certificate_pem)?;
    fs::write(folder.join("gateway.key"), &certificate.key_pem)?;
    fs::write(folder.join("lychgate.toml"), site(bind, upstream, tls))
}

fn site(bind: SocketAddr, upstream: SocketAddr, tls: Tls) -> String {
    let (listener_tls, files) = match tls.from_client {
        true => ("starttls", "[tls]\ncertificate-file = \"gateway.pem\"\nkey-file = \"gateway.key\"\n"),
        false => ("none", ""),
    };
    let upstream_tls = match tls.to_upstream {
        true => format!("tls = \"starttls\"\nca-file = \"gateway.pem\"\nserver-name = \"{SERVER_NAME}\""),
        false => "tls = \"none\"".to_owned(),
    };
    format!(
        r#"[council]
name    = "Bench Parish Council"
domains = ["{COUNCIL_DOMAIN}"]
clerk   = "clerk@{COUNCIL_DOMAIN}"

[rules]
paths = ["rules"]
mode  = "enforce"

[[listener]]
name     = "burst"
role     = "connector"
bind     = "{bind}"
tls      = "{listener_tls}"
upstream = "sink"
trust    = {{ networks = ["127.0.0.0/8"] }}

[upstream.sink]
address = "{upstream}"
{upstream_tls}

{files}
[monitoring]
purposes          = ["effective-operation"]
notice-version    = "bench"
notice-date       = 2026-05-14
impact-assessment = "bench"

[records]
database = "sqlite:lychgate.db"
key-file = "site.key"
"#
    )
}

/// A port that was free a moment ago.
pub fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// A new folder that only this user can read.
fn temporary_folder() -> io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let base = std::env::temp_dir();
    let process = std::process::id();
    for n in 0..1000 {
        let folder = base.join(format!("lychgate-bench-{process}-{n}"));
        match fs::DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("no name is free in the temporary folder"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_site_file_is_toml_in_every_tls_mode() {
        for (from_client, to_upstream) in [(false, false), (true, false), (false, true), (true, true)] {
            let text = site("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap(), Tls { from_client, to_upstream });
            toml::from_str::<toml::Table>(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        }
    }
}
