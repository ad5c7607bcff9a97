//! Mail programs, and one message through each of them into a mailbox.

use super::*;
use crate::support::base64;
use crate::support::client::{Client, stuffed};

pub const SUBJECT: &str = "Minutes of the extraordinary meeting";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Swaks,
    Curl,
    Msmtp,
    Smtplib,
    Nodemailer,
}

impl Program {
    pub const ALL: [Program; 5] = [Program::Swaks, Program::Curl, Program::Msmtp, Program::Smtplib, Program::Nodemailer];
}

/// The TLS of the gateway's listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    None,
    Starttls,
    Implicit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    None,
    Plain,
    Login,
    XOAuth2,
    OAuthBearer,
}

#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub program: Program,
    pub listener: &'static str,
    pub front: Front,
    pub auth: Auth,
    pub from: &'static str,
    pub to: &'static str,
}

impl Case {
    pub fn new(program: Program, listener: &'static str, front: Front, auth: Auth) -> Case {
        Case { program, listener, front, auth, from: CLERK, to: OUTSIDER }
    }
}

/// Sends one message by the case's program, waits for it in the mailbox, and compares.
pub fn deliver(gateway: &Gateway, case: &Case, number: usize, mailbox: &Path) -> Result<(), String> {
    let id = format!("{:?}-{number}", case.program).to_lowercase();
    let content = letter(&id, case);
    let output = send(gateway, case, &id, &content);
    if !output.status.success() {
        return Err(format!("the program failed:\n{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)));
    }
    let delivered = arrival(mailbox, &format!("Message-ID: <{id}@{DOMAIN}>"))?;
    let wanted = String::from_utf8_lossy(&content).replace("\r\n", "\n").into_bytes();
    let delivered = String::from_utf8_lossy(&delivered).replace("\r\n", "\n").into_bytes();
    let Some(above) = delivered.strip_suffix(&wanted[..]) else {
        let start = delivered.windows(11).position(|w| w == b"Message-ID:").unwrap_or(0);
        return Err(format!("was changed: {}", difference(&wanted, &delivered[start..])));
    };
    // Above it stand the provider's own fields and, as the lowest, the gateway's one Received.
    let above = String::from_utf8_lossy(above).replace('\n', "\r\n");
    let at = above.match_indices("Received: ").last().ok_or("has no Received field")?.0;
    let (received, rest) = below_received(&above.as_bytes()[at..])?;
    let received = String::from_utf8_lossy(received);
    let protocol = match (case.front, case.auth) {
        (Front::None, _) => "ESMTP",
        (_, Auth::None) => "ESMTPS",
        _ => "ESMTPSA",
    };
    if !rest.is_empty()
        || !received.contains(&format!("by {} ", crate::support::GATEWAY))
            && !received.contains(&format!("by {}\r", crate::support::GATEWAY))
    {
        return Err(format!("another field stands between the gateway's Received and the message:\n{above}"));
    }
    if !received.split([' ', '\t', '\r', '\n']).any(|word| word == protocol) {
        return Err(format!("the Received field does not say {protocol}: {received}"));
    }
    Ok(())
}

/// A message with much that a careless relay would mend.
fn letter(id: &str, case: &Case) -> Vec<u8> {
    let head = format!(
        "Message-ID: <{id}@{DOMAIN}>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nFrom: \"The Clerk, Wragby\" <{}>\r\nTO:  Jo <{}>\r\n\
         Subject:  {SUBJECT}\r\n\tand a fold  \r\n of blanks\r\nX-Odd:no blank;  two blanks, a\ttab\r\nx-LoWeR: Kept\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain;\r\n\tcharset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
        case.from, case.to
    );
    let body = format!(
        "Café – as read.\r\n.\r\n..two dots\r\n.one dot\r\nFrom the Chair\r\n  trailing blanks \t \r\n\r\n{}\r\n\r\n\r\nthe end of {id}\r\n",
        "x".repeat(900)
    );
    (head + &body).into_bytes()
}

fn send(gateway: &Gateway, case: &Case, id: &str, content: &[u8]) -> Output {
    let scratch = &gateway.scratch;
    let ca = scratch.path().join("tls/ca.pem").display().to_string();
    let port = gateway.address(case.listener).port().to_string();
    let crlf = scratch.file(&format!("mail/{id}.crlf"), content).display().to_string();
    let lf = scratch.file(&format!("mail/{id}.lf"), String::from_utf8_lossy(content).replace("\r\n", "\n")).display().to_string();
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    let front = match case.front {
        Front::None => "none",
        Front::Starttls => "starttls",
        Front::Implicit => "implicit",
    };
    let mechanism = match case.auth {
        Auth::None => "none",
        Auth::Plain => "PLAIN",
        Auth::Login => "LOGIN",
        Auth::XOAuth2 => "XOAUTH2",
        Auth::OAuthBearer => "OAUTHBEARER",
    };
    let secret = if matches!(case.auth, Auth::XOAuth2 | Auth::OAuthBearer) { TOKEN } else { PASSWORD };
    let mut command = Command::new("timeout");
    command.arg("40").stdin(Stdio::null());
    match case.program {
        Program::Swaks => {
            // Its file is sent as it is, so it carries the doubled dots and the end.
            let raw = scratch.file(&format!("mail/{id}.raw"), stuffed(content)).display().to_string();
            command.args([
                "swaks",
                "--server",
                "127.0.0.1",
                "--port",
                &port,
                "--ehlo",
                "client.example",
                "--from",
                case.from,
                "--to",
                case.to,
            ]);
            command.args(["--data", &format!("@{raw}"), "--no-data-fixup", "--timeout", "30"]);
            let tls: &[&str] = match case.front {
                Front::None => &[],
                Front::Starttls => &["--tls", "--tls-verify", "--tls-ca-path", &ca],
                Front::Implicit => &["--tls-on-connect", "--tls-verify", "--tls-ca-path", &ca],
            };
            command.args(tls);
            if case.auth != Auth::None {
                command.args(["--auth", mechanism, "--auth-user", CLERK, "--auth-password", secret]);
            }
        }
        Program::Curl => {
            let scheme = if case.front == Front::Implicit { "smtps" } else { "smtp" };
            command.args(["curl", "-sSv", "--url", &format!("{scheme}://127.0.0.1:{port}/client.example"), "--cacert", &ca]);
            command.args(["--mail-from", case.from, "--mail-rcpt", case.to, "--upload-file", &crlf]);
            if case.front == Front::Starttls {
                command.arg("--ssl-reqd");
            }
            match case.auth {
                Auth::None => {}
                Auth::Plain | Auth::Login => {
                    command.args(["--user", &format!("{CLERK}:{secret}"), "--login-options", &format!("AUTH={mechanism}")]);
                }
                Auth::XOAuth2 | Auth::OAuthBearer => {
                    command.args(["--user", CLERK, "--oauth2-bearer", secret, "--login-options", &format!("AUTH={mechanism}")]);
                }
            }
        }
        Program::Msmtp => {
            let password = scratch.file(&format!("mail/{id}.secret"), secret).display().to_string();
            command.args([
                "msmtp",
                "--host=127.0.0.1",
                &format!("--port={port}"),
                "--domain=client.example",
                &format!("--from={}", case.from),
            ]);
            command.args([&format!("--tls-trust-file={ca}"), "--timeout=30"]);
            command.args(match case.front {
                Front::None => ["--tls=off", "--tls-starttls=off"],
                Front::Starttls => ["--tls=on", "--tls-starttls=on"],
                Front::Implicit => ["--tls=on", "--tls-starttls=off"],
            });
            if case.auth == Auth::None {
                command.arg("--auth=off");
            } else {
                let method = format!("--auth={}", mechanism.to_lowercase());
                command.args([&method, &format!("--user={CLERK}"), &format!("--passwordeval=cat {password}")]);
            }
            command.args(["--", case.to]).stdin(std::fs::File::open(&lf).expect("it was just written"));
        }
        Program::Smtplib => {
            command.arg("python3").arg(here.join("smtplib_client.py"));
            command.args(["127.0.0.1", &port, front, &ca, mechanism, CLERK, secret, case.from, case.to, &crlf]);
        }
        Program::Nodemailer => {
            command.arg("node").arg(here.join("nodemailer_client.mjs")).arg(cache());
            command.args(["127.0.0.1", &port, front, &ca, mechanism, CLERK, secret, case.from, case.to, &crlf]);
        }
    }
    command.output().expect("the program runs")
}

/// The file in the mailbox that holds the line, once it is there.
fn arrival(mailbox: &Path, line: &str) -> Result<Vec<u8>, String> {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        for entry in std::fs::read_dir(mailbox).map_err(|e| format!("{}: {e}", mailbox.display()))? {
            let content = std::fs::read(entry.map_err(|e| e.to_string())?.path()).unwrap_or_default();
            if content.windows(line.len()).any(|w| w == line.as_bytes()) {
                return Ok(content);
            }
        }
        if Instant::now() > end {
            return Err("was acknowledged and did not arrive".into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A session with a STARTTLS submission listener, after its second EHLO.
pub fn submit(gateway: &Gateway, listener: &str) -> Client {
    let mut client = Client::connect(gateway.address(listener)).expect("the gateway answers");
    let before = client.command("EHLO client.example").expect("an answer");
    assert!(before.offers("STARTTLS") && !before.offers("AUTH"), "{before:?}");
    let mut client = client.start_tls().expect("STARTTLS goes");
    let after = client.command("EHLO client.example").expect("an answer");
    assert!(after.ok() && after.offers("AUTH"), "{after:?}");
    client
}

/// The response of PLAIN.
pub fn plain(user: &str, password: &str) -> String {
    base64(format!("\0{user}\0{password}").as_bytes())
}
