//! A provider that can be told to refuse, to ask for a log-in, or to stay away at first. Unlike the harness's honest sink it speaks
//! TLS and AUTH, and keeps the log-ins that it heard.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::sink::Captured;
use crate::support::wire::{Heard, Wire};
use crate::support::{loopback, port, unbase64};

/// Instead of saying anything it closes.
pub const CLOSES: &str = "closes";

#[derive(Default)]
pub struct Behaviour {
    /// Offers STARTTLS, and wants it before AUTH.
    pub tls: bool,
    /// The AUTH line, without the word.
    pub auth: Option<&'static str>,
    /// What it says to a verb instead of what an obliging provider says. `.` stands for the end of content.
    pub says: Vec<(&'static str, String)>,
    /// Refuses MAIL without a log-in.
    pub login_required: bool,
}

#[derive(Default)]
pub struct Visits {
    pub messages: Vec<Captured>,
    /// What followed AUTH, and the answers to challenges.
    pub auth: Vec<String>,
    /// The log-in under which each message came.
    pub by: Vec<bool>,
}

pub struct Provider {
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    heard: Arc<Mutex<Visits>>,
}

impl Provider {
    pub fn start(behaviour: Behaviour) -> Provider {
        Provider::start_at(loopback(port()), behaviour)
    }

    pub fn start_at(address: SocketAddr, behaviour: Behaviour) -> Provider {
        let listener = TcpListener::bind(address).expect("the port is free");
        let (stop, heard) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Visits>>::default());
        let (stopped, into, behaviour) = (stop.clone(), heard.clone(), Arc::new(behaviour));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (behaviour, into) = (behaviour.clone(), into.clone());
                if let Ok(wire) = stream.and_then(Wire::new) {
                    std::thread::spawn(move || session(wire, &behaviour, &into));
                }
            }
        });
        Provider { address, stop, heard }
    }

    pub fn heard(&self) -> std::sync::MutexGuard<'_, Visits> {
        self.heard.lock().expect("no session panics")
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn line(wire: &mut Wire) -> Option<String> {
    match wire.line(Duration::from_secs(60)) {
        Heard::Line(line) => Some(String::from_utf8_lossy(&line).into_owned()),
        Heard::Closed(_) | Heard::Silence(_) => None,
    }
}

fn session(mut wire: Wire, behaviour: &Behaviour, heard: &Mutex<Visits>) -> Option<()> {
    let says = |verb: &str, usual: &str| {
        let said = behaviour.says.iter().find(|(v, _)| *v == verb).map_or(usual, |(_, said)| said);
        format!("{said}\r\n").into_bytes()
    };
    let (mut tls, mut by) = (false, false);
    let (mut mail, mut recipients) = (String::new(), Vec::new());
    wire.send(&says("greeting", "220 mail.provider.test ESMTP")).ok()?;
    loop {
        let command = line(&mut wire)?;
        let verb = command.split([' ', ':']).next().unwrap_or("").to_ascii_uppercase();
        let reply = match verb.as_str() {
            "EHLO" => {
                let mut lines = vec!["mail.provider.test".to_string(), "PIPELINING".into(), "8BITMIME".into()];
                if behaviour.tls && !tls {
                    lines.push("STARTTLS".into());
                }
                if let Some(auth) = behaviour.auth.filter(|_| tls || !behaviour.tls) {
                    lines.push(format!("AUTH {auth}"));
                }
                let last = lines.len() - 1;
                let lines = lines.iter().enumerate().map(|(i, l)| format!("250{}{l}\r\n", if i == last { ' ' } else { '-' }));
                lines.collect::<String>().into_bytes()
            }
            "STARTTLS" => {
                wire.send(b"220 go ahead\r\n").ok()?;
                wire = wire.start_tls_as_server().ok()?;
                tls = true;
                continue;
            }
            "AUTH" => {
                heard.lock().ok()?.auth.push(command.clone());
                let words: Vec<&str> = command.split(' ').collect();
                match (words.get(1).copied(), words.len()) {
                    (Some("LOGIN"), 2) => {
                        for ask in ["334 VXNlcm5hbWU6\r\n", "334 UGFzc3dvcmQ6\r\n"] {
                            wire.send(ask.as_bytes()).ok()?;
                            let answer = line(&mut wire)?;
                            heard.lock().ok()?.auth.push(answer);
                        }
                    }
                    (Some(_), 2) => {
                        wire.send(b"334 \r\n").ok()?;
                        let answer = line(&mut wire)?;
                        heard.lock().ok()?.auth.push(answer);
                    }
                    _ => {}
                }
                let reply = says("AUTH", "235 2.7.0 welcome");
                by = reply.starts_with(b"235");
                reply
            }
            "MAIL" if behaviour.login_required && !by => b"530 5.7.0 log in\r\n".to_vec(),
            "MAIL" => {
                mail = command;
                recipients.clear();
                says("MAIL", "250 2.1.0 ok")
            }
            "RCPT" if command.contains("<gone@") => b"550 5.1.1 nobody of that name\r\n".to_vec(),
            "RCPT" => {
                let reply = says("RCPT", "250 2.1.5 ok");
                if reply[0] == b'2' {
                    recipients.push(command);
                }
                reply
            }
            "DATA" => {
                let reply = says("DATA", "354 go");
                if reply[0] == b'3' {
                    wire.send(&reply).ok()?;
                    let content = content(&mut wire)?;
                    let captured = Captured {
                        mail: mail.clone(),
                        recipients: std::mem::take(&mut recipients),
                        wire: content.clone(),
                        content,
                        session: 0,
                    };
                    let mut heard = heard.lock().ok()?;
                    heard.messages.push(captured);
                    heard.by.push(by);
                    drop(heard);
                    says(".", "250 2.0.0 kept")
                } else {
                    reply
                }
            }
            "QUIT" => {
                let _ = wire.send(b"221 2.0.0 bye\r\n");
                return None;
            }
            _ => b"250 2.0.0 ok\r\n".to_vec(),
        };
        if reply.starts_with(CLOSES.as_bytes()) {
            wire.close();
            return None;
        }
        wire.send(&reply).ok()?;
    }
}

fn content(wire: &mut Wire) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let Heard::Line(line) = wire.line(Duration::from_secs(60)) else { return None };
        if line == b"." {
            return Some(content);
        }
        content.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        content.extend_from_slice(b"\r\n");
    }
}

/// The octets of `AUTH MECHANISM initial`, as text with NUL and ^A shown.
pub fn initial(command: &str) -> String {
    let encoded = command.split(' ').nth(2).unwrap_or("");
    String::from_utf8_lossy(&unbase64(encoded)).replace(['\0', '\u{1}'], "|")
}
