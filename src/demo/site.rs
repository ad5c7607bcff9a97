//! The demo's ports and its site in a temporary folder.

use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use super::shipped;

/// The council's domain.
pub const DOMAIN: &str = "wragbyparishcouncil.gov.uk";

/// Where everything listens.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    pub submission: SocketAddr,
    pub mx: SocketAddr,
    pub mailbox: SocketAddr,
    pub console: SocketAddr,
    /// Whether all are the usual ones.
    pub usual: bool,
}

const USUAL: [u16; 4] = [2525, 2527, 2526, 8025];

impl Ports {
    /// The usual ports, and others for those that are taken.
    pub fn choose() -> io::Result<Ports> {
        let listen = |port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        // All are held until all are chosen, so that none is chosen twice.
        let mut held = Vec::new();
        for port in USUAL {
            held.push(listen(port).or_else(|_| listen(0))?);
        }
        let chosen = held.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
        let usual = chosen.iter().map(|a| a.port()).eq(USUAL);
        Ok(Ports { submission: chosen[0], mx: chosen[1], mailbox: chosen[2], console: chosen[3], usual })
    }
}

/// The folder with site file, rules and secrets; it goes when this is dropped.
pub struct Site {
    folder: PathBuf,
}

impl Site {
    pub fn write(ports: &Ports) -> io::Result<Site> {
        let site = Site { folder: new_folder()? };
        fs::create_dir(site.folder.join("rules"))?;
        for (name, text) in shipped::RULES {
            fs::write(site.folder.join("rules").join(name), text)?;
        }
        fs::write(site.folder.join("rules/council.toml"), COUNCIL_RULES)?;
        let mut password = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(site.folder.join("outbox.password"))?;
        password.write_all(b"demo\n")?;
        fs::write(site.file(), site_file(ports))?;
        Ok(site)
    }

    pub fn file(&self) -> PathBuf {
        self.folder.join("lychgate.toml")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A new folder that only this user can read.
fn new_folder() -> io::Result<PathBuf> {
    let process = std::process::id();
    for n in 0..1000 {
        let folder = std::env::temp_dir().join(format!("lychgate-demo-{process}-{n}"));
        match fs::DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            result => return result.map(|()| folder),
        }
    }
    Err(io::Error::other("no name is free in the temporary folder"))
}

/// What a council adds to the shipped rules: whom it trusts.
const COUNCIL_RULES: &str = r#"[[list]]
name    = "partners"
entries = ["lincolnshire.gov.uk", "e-lindsey.gov.uk", ".police.uk"]
"#;

fn site_file(ports: &Ports) -> String {
    let Ports { submission, mx, mailbox, console, .. } = ports;
    format!(
        r#"[council]
name    = "Wragby Parish Council"
domains = ["{DOMAIN}"]
clerk   = "clerk@{DOMAIN}"
chair   = "alice.thorn@{DOMAIN}"

[rules]
paths = ["rules"]
mode  = "enforce"

[[listener]]
name     = "submission"
role     = "submission"
bind     = "{submission}"
tls      = "none"
upstream = "provider"

[[listener]]
name     = "mx"
role     = "mx"
bind     = "{mx}"
tls      = "none"
upstream = "provider"

[upstream.provider]
address = "{mailbox}"
tls     = "none"

[outbox]
upstream      = "provider"
from          = "gateway@{DOMAIN}"
username      = "gateway@{DOMAIN}"
password-file = "outbox.password"

[console]
bind = "{console}"
url  = "http://{console}"

[monitoring]
purposes          = ["effective-operation", "unauthorised-use"]
notice-version    = "2026-05"
notice-date       = 2026-05-14
impact-assessment = "Minute 2026/41"

[records]
database = "sqlite:data/lychgate.db"
key-file = "data/site.key"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_given_way_to() {
        let first = Ports::choose().unwrap();
        let _taken = TcpListener::bind(first.submission).unwrap();
        let second = Ports::choose().unwrap();
        assert_ne!(first.submission, second.submission);
        assert!(!second.usual);
    }

    #[test]
    fn the_site_is_toml_and_goes_at_the_end() {
        let site = Site::write(&Ports::choose().unwrap()).unwrap();
        let text = fs::read_to_string(site.file()).unwrap();
        toml::from_str::<toml::Table>(&text).unwrap();
        for (name, text) in shipped::RULES.iter().chain(&[("council.toml", COUNCIL_RULES)]) {
            toml::from_str::<toml::Table>(text).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        let folder = site.folder.clone();
        drop(site);
        assert!(!folder.exists());
    }
}
