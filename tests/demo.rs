//! `lychgate demo`, as somebody who tries it for the first time would run it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lychgate"));
    command.arg("demo").args(arguments).env_remove("LYCHGATE_LOG").stdin(Stdio::null());
    command
}

#[test]
fn once_every_sample_comes_out_as_it_should_and_says_why() {
    let child = demo(&["--once"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let process = child.id();
    let ran = child.wait_with_output().unwrap();
    let account = String::from_utf8(ran.stdout).unwrap();
    let log = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{account}\n{log}");
    assert_eq!(log, "", "the log has nothing to say where all is well");
    // Lines are broken to fit a terminal.
    let flat = account.split_whitespace().collect::<Vec<_>>().join(" ");
    for told in [
        "delivered to 18 recipients, its text untouched To is now: undisclosed-recipients:;",
        "Nobody outside the council can see another's address.",
        "Why Hide residents' addresses from one another: 17 external addresses are visible",
        "Policy “Using BCC in outgoing email ensures that the email addresses of all recipients are hidden from one another. This is particularly important",
        "refused: nobody received it. The mail program shows: 550 5.7.1 Not sent: marked confidential but not encrypted.",
        "Why Confidential mail must be encrypted: does not apply, since its attachments are protected",
        "Why Confidential mail must be encrypted: does not apply, since the message is encrypted",
        "Why Council mail was forwarded to a personal account",
        "Why Hide residents' addresses from one another: does not apply",
        "delivered to 13 recipients, byte for byte as it was sent, one Received line in front",
        "All 8 messages came out as they should.",
    ] {
        assert!(flat.contains(told), "{told:?} is missing in\n{account}");
    }
    assert_eq!(account.matches("✓ as it should be").count(), 8, "{account}");
    assert_eq!(account.matches("   Notice ").count(), 3, "{account}");
    assert!(!account.contains('✗') && !account.contains('\u{1b}'), "{account}");
    assert!(!std::env::temp_dir().join(format!("lychgate-demo-{process}-0")).exists(), "its folder is left behind");
}

#[test]
fn it_stays_up_tells_of_other_mail_and_ends_when_asked() {
    let mut child = demo(&[]).stdout(Stdio::piped()).spawn().unwrap();
    let mut told = Account { lines: BufReader::new(child.stdout.take().unwrap()), so_far: String::new() };
    let mx = told.until("where mail from outside comes in").split_whitespace().next().unwrap().to_owned();
    told.until("Mail from outside, with swaks:");

    let mut wire = BufReader::new(TcpStream::connect(mx).unwrap());
    wire.get_ref().set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(said(&mut wire, "", "220"), "220");
    for (command, code) in [
        ("EHLO village.example\r\n", "250"),
        ("MAIL FROM:<tom@village.example>\r\n", "250"),
        ("RCPT TO:<edith@village.example>\r\n", "550"),
        ("RCPT TO:<clerk@wragbyparishcouncil.gov.uk>\r\n", "250"),
        ("DATA\r\n", "354"),
        ("From: tom@village.example\r\nSubject: The hedge\x1b[2J\r\n\r\nIt is too high.\r\n.\r\n", "250"),
        ("QUIT\r\n", "221"),
    ] {
        assert_eq!(said(&mut wire, command, code), code, "{command}");
    }

    assert_eq!(told.until("A message from"), "A message from tom@village.example arrived");
    assert_eq!(told.until("Subject"), "Subject    The hedge[2J");
    assert_eq!(told.until("Delivered"), "Delivered  to clerk@wragbyparishcouncil.gov.uk");
    assert_eq!(told.until("Reference").get(..14), Some("Reference  LG-"));

    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert!(told.rest(&mut child), "{}", told.so_far);
}

/// Says it, hears a whole reply, and gives back its code.
fn said(wire: &mut BufReader<TcpStream>, command: &str, expected: &str) -> String {
    wire.get_mut().write_all(command.as_bytes()).unwrap();
    let mut line = String::new();
    loop {
        line.clear();
        assert_ne!(wire.read_line(&mut line).unwrap(), 0, "closed where {expected} was to come");
        if line.as_bytes()[3] == b' ' {
            return line[..3].to_owned();
        }
    }
}

struct Account {
    lines: BufReader<ChildStdout>,
    so_far: String,
}

impl Account {
    /// The next line that has this in it.
    fn until(&mut self, what: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "{what:?} never came:\n{}", self.so_far);
            self.so_far.push_str(&line);
            if line.contains(what) {
                return line.trim().to_owned();
            }
        }
    }

    /// Reads to the end; true if it ended well.
    fn rest(&mut self, child: &mut Child) -> bool {
        self.lines.read_to_string(&mut self.so_far).unwrap();
        child.wait().unwrap().success()
    }
}
