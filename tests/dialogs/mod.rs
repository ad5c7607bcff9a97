//! Protocol dialogs: a file for each behaviour, run against the real gateway between a scripted client and a scripted upstream.
//! `README.md` beside this file has the language.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use regex_automata::meta::Regex;

use crate::support::gateway::{Gateway, Site};
use crate::support::wire::{Heard, PATIENCE, Wire};
use crate::support::{CLERK, GATEWAY, PASSWORD, base64, listen, loopback, say};

#[test]
fn every_dialog_goes_as_written() {
    let wanted = std::env::var("LYCHGATE_DIALOG").unwrap_or_default();
    let mut paths: Vec<_> = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogs"))
        .expect("the dialogs are there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|p| p.extension().is_some_and(|e| e == "dialog") && p.to_string_lossy().contains(&wanted))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no dialog is called {wanted}");
    let (count, queue, failures) = (paths.len(), Mutex::new(paths.into_iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(path) = { queue.lock().expect("no other panics").next() } {
                    let text = std::fs::read_to_string(&path).expect("a dialog is text");
                    let name = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
                    // A gateway that does not start panics inside the harness: that fails this dialog, not the others' turn.
                    let result =
                        std::panic::catch_unwind(|| play(&name, &text)).unwrap_or_else(|_| Err(format!("{name}: could not be played")));
                    if let Err(failure) = result {
                        failures.lock().expect("no other panics").push(failure);
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().expect("all are done");
    failures.sort();
    assert!(failures.is_empty(), "{} of {count} dialogs failed\n\n{}", failures.len(), failures.join("\n\n"));
    say(&format!("dialogs: {count} played"));
}

/// What stands above the line in a dialog file.
struct Head {
    role: String,
    tls: String,
    upstream_tls: String,
    offers: Vec<String>,
    limits: Vec<(String, String)>,
    listener: String,
    upstream: String,
    rules: String,
    no_upstream: bool,
}

type Lines<'a> = Vec<(usize, &'a str)>;

fn parse(text: &str) -> Result<(Head, Lines<'_>), String> {
    let mut head = Head {
        role: "connector".into(),
        tls: "none".into(),
        upstream_tls: "none".into(),
        offers: Vec::new(),
        limits: Vec::new(),
        listener: String::new(),
        upstream: String::new(),
        rules: String::new(),
        no_upstream: false,
    };
    let mut lines = text.lines().enumerate().map(|(i, l)| (i + 1, l));
    for (number, line) in lines.by_ref() {
        if line == "---" {
            return Ok((head, lines.filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#')).collect()));
        }
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        match key {
            _ if line.starts_with("    ") => head.rules += &format!("{}\n", &line[4..]),
            "" | "#" | "rules" => {}
            "role" => head.role = value.into(),
            "tls" => head.tls = value.into(),
            "upstream-tls" => head.upstream_tls = value.into(),
            "offers" => head.offers = value.split(" | ").map(|k| k.trim().to_string()).filter(|k| !k.is_empty()).collect(),
            "limit" => {
                let (key, value) = value.split_once('=').ok_or(format!("line {number}: limit KEY = VALUE"))?;
                head.limits.push((key.trim().into(), value.trim().into()));
            }
            "listener" => head.listener += &format!("{value}\n"),
            "upstream" => head.upstream += &format!("{value}\n"),
            "no-upstream" => head.no_upstream = true,
            _ if key.starts_with('#') => {}
            _ => return Err(format!("line {number}: unknown setting {key}")),
        }
    }
    Err("no --- between settings and dialog".into())
}

/// Plays one dialog against a gateway of its own.
fn play(name: &str, text: &str) -> Result<(), String> {
    let (head, lines) = parse(text).map_err(|e| format!("{name}: {e}"))?;
    let listener = listen();
    let upstream = listener.local_addr().expect("it is bound");
    let mut site = Site::new(name)
        .one_worker()
        .listener("front", &head.role, &head.tls, "back", &head.listener)
        .upstream("back", upstream, &head.upstream_tls, &head.upstream)
        .rules(&head.rules);
    for (key, value) in &head.limits {
        site = site.limit(key, value);
    }
    let gateway = site.start();
    let listener = (!head.no_upstream).then_some(listener);
    let mut stage = Stage::new(head, gateway.address("front"), upstream, listener);
    stage.run(&lines).map_err(|fault| stage.report(name, fault, Some(&gateway)))
}

/// Who is on stage: the client's end, and the upstream's.
struct Stage {
    head: Head,
    gateway: SocketAddr,
    upstream: SocketAddr,
    listener: Option<TcpListener>,
    client: Option<Wire>,
    server: Option<Wire>,
    /// Lines that leave together, and whether they are the client's.
    pending: Option<(bool, Vec<u8>)>,
    /// Whether the gateway has heard the upstream's EHLO before.
    known: bool,
    transcript: Vec<String>,
    line: usize,
}

type Played = Result<(), String>;

impl Stage {
    fn new(head: Head, gateway: SocketAddr, upstream: SocketAddr, listener: Option<TcpListener>) -> Stage {
        Stage {
            head,
            gateway,
            upstream,
            listener,
            client: None,
            server: None,
            pending: None,
            known: false,
            transcript: Vec::new(),
            line: 0,
        }
    }

    fn report(&self, name: &str, fault: String, gateway: Option<&Gateway>) -> String {
        let from = self.transcript.len().saturating_sub(14);
        let said = self.transcript[from..].iter().map(|l| format!("   {l}\n")).collect::<String>();
        format!("tests/dialogs/{name}.dialog:{}: {fault}\n{said}{}", self.line, gateway.map(|g| g.tail(12)).unwrap_or_default())
    }

    fn run(&mut self, lines: &Lines<'_>) -> Played {
        self.connect()?;
        for &(number, line) in lines {
            if !sends(line, true) && !sends(line, false) || self.pending.as_ref().is_some_and(|(client, _)| !sends(line, *client)) {
                self.flush()?;
            }
            self.line = number;
            self.step(line)?;
        }
        self.flush()
    }

    fn step(&mut self, line: &str) -> Played {
        match line {
            "hello" => return self.hello(),
            "upstream" => return self.take_upstream(),
            "auth" => return self.auth(),
            "mail" => return self.mail(),
            "data" => return self.all(&["C: DATA", "S:~ 354 .*"]),
            "C:connect" => return self.connect(),
            "C:close" => return self.leave(true),
            "C:starttls" => return self.start_tls(true),
            "U:accept" => return self.accept(),
            "U:close" => return self.leave(false),
            "U:starttls" => return self.start_tls(false),
            "U:unvisited" => return self.unvisited(),
            "U:deaf" => {
                self.listener = None;
                return Ok(());
            }
            "U:listen" => {
                self.listener = Some(TcpListener::bind(self.upstream).map_err(|e| format!("cannot listen again: {e}"))?);
                return Ok(());
            }
            "S:nothing" => return self.silence(true),
            "U>nothing" => return self.silence(false),
            "U>quiet" => return self.quiet(),
            "S:eof" => return self.end(true),
            "U>eof" => return self.end(false),
            "U>received" => return self.received(),
            "U>?rset" => return self.optional_rset(),
            _ => {}
        }
        if let Some(ms) = line.strip_prefix("pause ") {
            std::thread::sleep(Duration::from_millis(ms.parse().map_err(|_| "pause N")?));
            return Ok(());
        }
        if let Some(keywords) = line.strip_prefix("S:ehlo ") {
            return self.ehlo(keywords);
        }
        if let Some((client, bytes)) = outgoing(line)? {
            self.pending.get_or_insert((client, Vec::new())).1.extend_from_slice(&bytes);
            return Ok(());
        }
        for (prefix, client, pattern) in [("S:~ ", true, true), ("U>~ ", false, true), ("S: ", true, false), ("U> ", false, false)] {
            if let Some(want) = line.strip_prefix(prefix) {
                return self.expect(client, want, pattern);
            }
        }
        match line {
            "U>" | "S:" => self.expect(line == "S:", "", false),
            _ => Err(format!("not in the language: {line}")),
        }
    }

    fn all(&mut self, lines: &[&str]) -> Played {
        for line in lines {
            self.step(line)?;
            if sends(line, true) || sends(line, false) {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn wire(&mut self, client: bool) -> Result<&mut Wire, String> {
        let wire = if client { &mut self.client } else { &mut self.server };
        wire.as_mut().ok_or_else(|| format!("there is no {} connection", side(client)))
    }

    fn note(&mut self, client: bool, arrow: &str, bytes: &[u8]) {
        let text = bytes[..bytes.len().min(200)].escape_ascii().to_string();
        self.transcript.push(format!("{}{arrow} {text}", if client { "C" } else { "                    U" }));
    }

    fn flush(&mut self) -> Played {
        let Some((client, bytes)) = self.pending.take() else { return Ok(()) };
        self.note(client, if client { ">" } else { "<" }, &bytes);
        self.wire(client)?.send(&bytes).map_err(|e| format!("{} cannot send: {e}", side(client)))
    }

    fn heard(&mut self, client: bool) -> Result<Vec<u8>, String> {
        let heard = self.wire(client)?.line(PATIENCE);
        match heard {
            Heard::Line(line) => {
                self.note(client, if client { "<" } else { ">" }, &line);
                Ok(line)
            }
            Heard::Closed(rest) => Err(format!("the gateway closed towards the {}{}", side(client), left(&rest))),
            Heard::Silence(rest) => Err(format!("the gateway says nothing to the {}{}", side(client), left(&rest))),
        }
    }

    fn expect(&mut self, client: bool, want: &str, pattern: bool) -> Played {
        let line = self.heard(client).map_err(|e| format!("wanted {want:?}, but {e}"))?;
        let good = if pattern { matches(want, &line)? } else { line == unescape(want)? };
        if good { Ok(()) } else { Err(format!("wanted {want:?}, heard \"{}\"", line.escape_ascii())) }
    }

    fn silence(&mut self, client: bool) -> Played {
        match self.wire(client)?.line(Duration::from_millis(150)) {
            Heard::Silence(rest) if rest.is_empty() => Ok(()),
            other => Err(format!("wanted silence towards the {}, heard {}", side(client), show(&other))),
        }
    }

    /// Nothing is said to the upstream, unless the gateway takes its leave.
    fn quiet(&mut self) -> Played {
        match self.wire(false)?.line(Duration::from_millis(150)) {
            Heard::Silence(rest) | Heard::Closed(rest) if rest.is_empty() => Ok(()),
            Heard::Line(line) if matches(r"(?i)QUIT|RSET", &line)? => Ok(()),
            other => Err(format!("wanted nothing said to the upstream, heard {}", show(&other))),
        }
    }

    fn end(&mut self, client: bool) -> Played {
        loop {
            match self.wire(client)?.line(PATIENCE) {
                Heard::Closed(rest) if rest.is_empty() => {
                    *(if client { &mut self.client } else { &mut self.server }) = None;
                    return Ok(());
                }
                Heard::Line(line) if !client && line.eq_ignore_ascii_case(b"QUIT") => {
                    let _ = self.wire(false)?.send(b"221 2.0.0 bye\r\n");
                }
                other => return Err(format!("wanted the end towards the {}, heard {}", side(client), show(&other))),
            }
        }
    }

    fn received(&mut self) -> Played {
        let line = self.heard(false)?;
        if !line.starts_with(b"Received: ") {
            return Err(format!("wanted the Received field, heard \"{}\"", line.escape_ascii()));
        }
        let mut field = line;
        while self.wire(false)?.continues(PATIENCE) {
            field.extend_from_slice(&self.heard(false)?);
        }
        let field = String::from_utf8_lossy(&field).into_owned();
        // RFC 5321 §4.4: who took it, by which protocol, and when.
        if matches(
            &format!(r"Received: from .*\bby {}\b.*\bwith (UTF8)?E?SMTPS?A?\b.*;\s.*\d\d:\d\d:\d\d .*", GATEWAY.replace('.', r"\.")),
            field.as_bytes(),
        )? {
            Ok(())
        } else {
            Err(format!("not a Received field of ours: {field}"))
        }
    }

    fn optional_rset(&mut self) -> Played {
        let wire = self.wire(false)?;
        // Only where a whole RSET is the next thing is it taken.
        if wire.peek_line(PATIENCE).is_some_and(|l| l.eq_ignore_ascii_case(b"RSET")) {
            self.all(&["U>~ (?i)RSET", "U< 250 2.0.0 reset"])?;
        }
        Ok(())
    }

    fn ehlo(&mut self, keywords: &str) -> Played {
        let mut lines = Vec::new();
        loop {
            let line = String::from_utf8_lossy(&self.heard(true)?).into_owned();
            if !line.starts_with("250") {
                return Err(format!("wanted a reply to EHLO, heard {line:?}"));
            }
            lines.push(line[4.min(line.len())..].to_string());
            if line.as_bytes().get(3) != Some(&b'-') {
                break;
            }
        }
        let mut offered: Vec<_> = lines.into_iter().skip(1).collect();
        if keywords.starts_with(['+', '-']) {
            for word in keywords.split_whitespace() {
                let has = offered.iter().any(|o| o.split([' ', '=']).next() == Some(&word[1..]));
                if has != word.starts_with('+') {
                    return Err(format!("wanted {word}, offered {offered:?}"));
                }
            }
            return Ok(());
        }
        for want in keywords.split(" | ").map(str::trim).filter(|w| !w.is_empty()) {
            let mut at = None;
            for (i, have) in offered.iter().enumerate() {
                if want.strip_prefix('~').map_or(Ok(want == have), |p| matches(p, have.as_bytes()))? {
                    at = Some(i);
                }
            }
            offered.remove(at.ok_or_else(|| format!("{want} is not offered in {offered:?}"))?);
        }
        if offered.is_empty() { Ok(()) } else { Err(format!("{offered:?} ought not to be offered")) }
    }

    fn connect(&mut self) -> Played {
        let mut wire = Wire::connect(self.gateway).map_err(|e| format!("the gateway cannot be reached: {e}"))?;
        if self.head.tls == "implicit" {
            wire = wire.start_tls_as_client().map_err(|e| format!("no TLS with the gateway: {e}"))?;
        }
        self.client = Some(wire);
        Ok(())
    }

    fn leave(&mut self, client: bool) -> Played {
        self.wire(client)?.close();
        if client {
            self.client = None;
        } else {
            self.server = None;
        }
        Ok(())
    }

    fn start_tls(&mut self, client: bool) -> Played {
        let wire = if client { self.client.take() } else { self.server.take() }.ok_or("no connection to put under TLS")?;
        let wire = if client { wire.start_tls_as_client() } else { wire.start_tls_as_server() };
        let wire = wire.map_err(|e| format!("no TLS with the {}: {e}", side(client)))?;
        if client {
            self.client = Some(wire);
        } else {
            self.server = Some(wire);
        }
        Ok(())
    }

    fn accept(&mut self) -> Played {
        self.server = Some(self.accepted(PATIENCE)?.ok_or("the gateway does not come to the upstream")?);
        if self.head.upstream_tls == "implicit" {
            self.start_tls(false)?;
        }
        Ok(())
    }

    fn accepted(&self, patience: Duration) -> Result<Option<Wire>, String> {
        let listener = self.listener.as_ref().ok_or("no upstream listens")?;
        listener.set_nonblocking(true).map_err(|e| e.to_string())?;
        let end = Instant::now() + patience;
        loop {
            match listener.accept() {
                Ok((socket, _)) => return Wire::new(socket).map(Some).map_err(|e| e.to_string()),
                Err(_) if Instant::now() < end => std::thread::sleep(Duration::from_millis(2)),
                Err(_) => return Ok(None),
            }
        }
    }

    fn unvisited(&mut self) -> Played {
        match self.accepted(Duration::from_millis(100))? {
            None => Ok(()),
            Some(_) => Err("the gateway came to the upstream".into()),
        }
    }

    fn hello(&mut self) -> Played {
        self.all(&[&format!("S:~ 220 {GATEWAY} ESMTP.*"), "C: EHLO client.example"])?;
        // A submission listener dials for each session; the others until they know what the upstream offers.
        if self.listener.is_some() && self.server.is_none() && (self.head.role == "submission" || !self.known) {
            self.take_upstream()?;
        }
        self.ehlo("+PIPELINING +ENHANCEDSTATUSCODES")
    }

    /// Takes the gateway's next connection up to the reply to EHLO, unless one is open.
    fn take_upstream(&mut self) -> Played {
        if self.server.is_some() {
            return Ok(());
        }
        self.known = true;
        self.accept()?;
        let hello = format!("U> EHLO {GATEWAY}");
        self.all(&["U< 220 mail.provider.test ESMTP ready", &hello])?;
        if matches!(self.head.upstream_tls.as_str(), "starttls" | "opportunistic") {
            self.all(&[
                "U<| 250-mail.provider.test\\r\\n250 STARTTLS\\r\\n",
                "U> STARTTLS",
                "U< 220 2.0.0 go ahead",
                "U:starttls",
                &hello,
            ])?;
        }
        let mut reply = String::from("mail.provider.test");
        let offers = self.head.offers.clone();
        let mut wire = String::new();
        for offer in &offers {
            wire += &format!("250-{}\r\n", std::mem::replace(&mut reply, offer.clone()));
        }
        wire += &format!("250 {reply}\r\n");
        self.pending = Some((false, wire.into_bytes()));
        self.flush()
    }

    fn auth(&mut self) -> Played {
        let token = base64(format!("\0{CLERK}\0{PASSWORD}").as_bytes());
        self.all(&[&format!("C: AUTH PLAIN {token}"), &format!("U> AUTH PLAIN {token}"), "U< 235 2.7.0 welcome", "S: 235 2.7.0 welcome"])
    }

    fn mail(&mut self) -> Played {
        self.all(&[&format!("C: MAIL FROM:<{CLERK}>")])?;
        if self.server.is_none() {
            self.take_upstream()?;
        } else {
            self.optional_rset()?;
        }
        self.all(&[&format!("U> MAIL FROM:<{CLERK}>"), "U< 250 2.1.0 sender ok", "S: 250 2.1.0 sender ok"])?;
        self.all(&[
            "C: RCPT TO:<jo@outside.test>",
            "U> RCPT TO:<jo@outside.test>",
            "U< 250 2.1.5 recipient ok",
            "S: 250 2.1.5 recipient ok",
        ])
    }
}

fn side(client: bool) -> &'static str {
    if client { "client" } else { "upstream" }
}

fn left(rest: &[u8]) -> String {
    if rest.is_empty() { String::new() } else { format!(" after \"{}\"", rest.escape_ascii()) }
}

fn show(heard: &Heard) -> String {
    match heard {
        Heard::Line(line) => format!("\"{}\"", line.escape_ascii()),
        Heard::Closed(rest) => format!("the end{}", left(rest)),
        Heard::Silence(rest) => format!("nothing more{}", left(rest)),
    }
}

/// Whether the line is one that the client (or the upstream) sends.
fn sends(line: &str, client: bool) -> bool {
    if client {
        line == "C:" || line.starts_with("C: ") || line.starts_with("C| ") || line.starts_with("C*")
    } else {
        line == "U<" || line.starts_with("U< ") || line.starts_with("U<| ")
    }
}

/// The octets of a line that is sent, and whether by the client.
fn outgoing(line: &str) -> Result<Option<(bool, Vec<u8>)>, String> {
    let ended = |text: &str| {
        unescape(text).map(|mut b| {
            b.extend_from_slice(b"\r\n");
            b
        })
    };
    if matches!(line, "C:" | "U<") {
        return Ok(Some((line == "C:", b"\r\n".to_vec())));
    }
    for (prefix, client) in [("C: ", true), ("U< ", false)] {
        if let Some(text) = line.strip_prefix(prefix) {
            return Ok(Some((client, ended(text)?)));
        }
    }
    for (prefix, client) in [("C| ", true), ("U<| ", false)] {
        if let Some(text) = line.strip_prefix(prefix) {
            return Ok(Some((client, unescape(text)?)));
        }
    }
    if let Some(rest) = line.strip_prefix("C*") {
        let (count, text) = rest.split_once(':').ok_or("C*N: text")?;
        let count: usize = count.parse().map_err(|_| "C*N: text")?;
        return Ok(Some((true, ended(text.strip_prefix(' ').unwrap_or(text))?.repeat(count))));
    }
    Ok(None)
}

fn matches(pattern: &str, line: &[u8]) -> Result<bool, String> {
    let regex = Regex::new(&format!("^(?:{pattern})$")).map_err(|e| format!("the pattern {pattern}: {e}"))?;
    Ok(regex.is_match(line))
}

fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match rest.next() {
            Some('r') => out.push(b'\r'),
            Some('n') => out.push(b'\n'),
            Some('t') => out.push(b'\t'),
            Some('0') => out.push(0),
            Some('\\') => out.push(b'\\'),
            Some('x') => {
                let hex: String = rest.by_ref().take(2).collect();
                out.push(u8::from_str_radix(&hex, 16).map_err(|_| format!("\\x{hex}"))?);
            }
            other => return Err(format!("unknown escape {other:?}")),
        }
    }
    Ok(out)
}

mod tests {
    use super::*;

    /// A stand-in that greets and refuses everything, to show that a dialog which is not kept to is noticed.
    fn stand_in() -> SocketAddr {
        let listener = listen();
        let address = listener.local_addr().expect("it is bound");
        std::thread::spawn(move || {
            let mut wire = Wire::new(listener.accept().expect("one comes").0).expect("a wire");
            let _ = wire.send(b"220 gate.wragby.test ESMTP\r\n");
            while let Heard::Line(line) = wire.line(Duration::from_secs(2)) {
                let reply = if line == b"QUIT" { "221 2.0.0 bye\r\n" } else { "250-gate\r\n250-SIZE 1000\r\n250 HELP\r\n" };
                let _ = wire.send(reply.as_bytes());
            }
        });
        address
    }

    fn played(dialog: &str) -> Played {
        let (head, lines) = parse(dialog)?;
        let mut stage = Stage::new(head, stand_in(), loopback(1), None);
        stage.run(&lines)
    }

    #[test]
    fn a_dialog_that_is_kept_to_passes_and_another_does_not() {
        assert_eq!(played("---\nS:~ 220 .*\nC: EHLO x\nS:ehlo ~SIZE \\d+ | HELP\nS:nothing\nC| QU\nC: IT\nS: 221 2.0.0 bye\n"), Ok(()));
        for (dialog, fault) in [
            ("---\nS: 221 x\n", "wanted \"221 x\", heard"),
            ("---\nS:~ 220 .*\nC: EHLO x\nS:ehlo HELP\n", "ought not to be offered"),
            ("---\nS:~ 220 .*\nC: EHLO x\nS:ehlo HELP | SIZE 1000 | DSN\n", "DSN is not offered"),
            ("---\nS:~ 220 .*\nC: EHLO x\nS:ehlo +SIZE -HELP\n", "wanted -HELP"),
            ("---\nS:nothing\n", "wanted silence"),
            ("---\nS:~ 220 .*\nX: what\n", "not in the language"),
        ] {
            let result = played(dialog);
            assert!(result.as_ref().is_err_and(|e| e.contains(fault)), "{dialog}: {result:?}");
        }
    }
}
