//! Nothing that was sent can be read from the disk: no address, no subject, no words of a body, in whatever encoding, in no file that the
//! gateway writes, while it runs, after a kill, and after it has closed.

use std::path::PathBuf;

use aho_corasick::AhoCorasick;

use super::*;
use crate::support::{base64, say};

const MESSAGES: usize = 1_000;
/// Who and what is to be found nowhere. Long enough that nothing has them by chance.
const SECRETS: [&str; 6] =
    ["zebedee.quillfeather", "outside.test", "clerk@wragby.test", "Quondam Marmalade", "Sesquipedalian ferret", "no-reply-marker"];

#[test]
fn a_thousand_messages_leave_nothing_that_can_be_read() {
    let (sink, arrivals) = Arrivals::upstream();
    let mut gateway = site("scan", sink.address).environment("TMPDIR", "{site}/tmp").monitored("subject = true").start();
    std::fs::create_dir_all(gateway.scratch.path().join("tmp")).expect("a folder can be made");
    let address = gateway.address("in");
    std::thread::scope(|scope| {
        for client in 0..4 {
            scope.spawn(move || {
                let mut connection = connect(address).expect("it answers");
                for n in 0..MESSAGES / 4 {
                    let fate = Fate::ALL[n % Fate::ALL.len()];
                    let content = content(&format!("scan-{client}-{n}"), fate)
                        .replace("Subject: ", "Subject: Quondam Marmalade ")
                        .replace("All the minutes", "Sesquipedalian ferret minutes")
                        .replace("Message-ID: <", "X-Marker: no-reply-marker\r\nMessage-ID: <");
                    let to = format!("zebedee.quillfeather{}@outside.test", n % 50);
                    let others = fate.recipients().iter().skip(1).map(|to| format!("RCPT TO:<{to}>"));
                    let lines = [format!("MAIL FROM:<{CLERK}>"), format!("RCPT TO:<{to}>")].into_iter().chain(others);
                    for line in lines.chain(["DATA".into()]) {
                        assert!(connection.command(&line).expect("an answer").code < 400);
                    }
                    connection.send(&stuffed(content.as_bytes())).expect("it is sent");
                    assert!(matches!(connection.reply().expect("an answer").code, 250 | 550));
                }
            });
        }
    });
    let files = gateway_files(&gateway);
    let running = read_out(&files);
    gateway.kill();
    let killed = read_out(&files);
    gateway.restart();
    // A thousand letters, one after another.
    assert!(drained(&gateway, PATIENCE * 4), "something stays in custody:\n{}", gateway.tail(20));
    gateway.signal("TERM");
    assert!(gateway.wait(PATIENCE).expect("it ends").success());
    let closed = read_out(&files);
    for (when, found) in [("while it ran", running), ("after a kill", killed), ("after it had closed", closed)] {
        let (octets, faults) = found;
        assert!(faults.is_empty(), "{when}: {}", faults.join("; "));
        assert!(octets > 100_000, "{octets} octets {when} are no record of a thousand messages");
        say(&format!("scan: {octets} octets {when}, nothing readable"));
    }
    assert!(arrivals.messages() >= MESSAGES * 9 / 10);
}

/// The test of the test: what is there is found, in every form.
#[test]
fn what_can_be_read_is_found_in_every_form() {
    let scratch = crate::support::Scratch::new("forms");
    for secret in SECRETS {
        for (n, form) in forms(secret).into_iter().enumerate() {
            let file = scratch.file("file", [&[0u8, 200, 13][..], &form, b"\xff\x00"].concat());
            assert!(!read_out(&[file]).1.is_empty(), "form {n} of {secret} is not found");
        }
    }
    for line in ["prefix zebedee.quillfeather7@outside.test", "xxSesquipedalian ferret"] {
        for skip in 0..3 {
            let file = scratch.file("file", base64(&line.as_bytes()[skip..]));
            assert!(!read_out(&[file]).1.is_empty(), "base64 of {line} is not found");
        }
    }
    let file = scratch.file("file", vec![7; 100_000]);
    assert!(read_out(&[file]).1.is_empty());
}

/// The folder of the databases and that of temporary files, and the log.
fn gateway_files(gateway: &Gateway) -> Vec<PathBuf> {
    ["data", "tmp", "gateway.log"].map(|name| gateway.scratch.path().join(name)).to_vec()
}

/// Reads all files at and below these paths; says how many octets there are, and what stands in them.
fn read_out(paths: &[PathBuf]) -> (usize, Vec<String>) {
    let needles: Vec<(&str, Vec<u8>)> = SECRETS.iter().flat_map(|s| forms(s).into_iter().map(move |form| (*s, form))).collect();
    let search = AhoCorasick::builder().ascii_case_insensitive(true).build(needles.iter().map(|(_, form)| form)).expect("few needles");
    let (mut octets, mut faults) = (0, Vec::new());
    let mut open: Vec<PathBuf> = paths.to_vec();
    while let Some(path) = open.pop() {
        if let Ok(entries) = std::fs::read_dir(&path) {
            open.extend(entries.flatten().map(|e| e.path()));
        } else if path.is_file()
            && let Ok(file) = std::fs::read(&path)
        {
            octets += file.len();
            if let Some(found) = search.find(&file) {
                faults.push(format!("{:?} stands in {} at {}", needles[found.pattern().as_usize()].0, path.display(), found.start()));
            }
        }
    }
    (octets, faults)
}

/// A text as it might stand in a file: plain, in UTF-16, in base64 wherever it begins, in hexadecimal, quoted (RFC 2045, RFC 3986).
fn forms(text: &str) -> Vec<Vec<u8>> {
    let octets = text.as_bytes();
    let mut out = vec![octets.to_vec()];
    out.push(octets.iter().flat_map(|b| [*b, 0]).collect());
    out.push(octets.iter().flat_map(|b| [0, *b]).collect());
    for skip in 0..3 {
        // Whole groups of three from there on: what stands around it changes nothing in between.
        let whole = octets.get(skip..).unwrap_or_default();
        let whole = &whole[..whole.len() / 3 * 3];
        out.push(base64(whole).into_bytes());
    }
    let hex = |separator: &str| octets.iter().map(|b| format!("{separator}{b:02x}")).collect::<String>().into_bytes();
    out.extend([hex(""), hex("="), hex("%")]);
    let quoted = |mark: char| {
        let quote =
            |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c.to_string() } else { format!("{mark}{:02X}", c as u32) };
        text.chars().map(quote).collect::<String>().into_bytes()
    };
    out.extend([quoted('='), quoted('%')]);
    out.push(text.replace(' ', "_").into_bytes());
    out
}
