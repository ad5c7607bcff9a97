//! Real messages that nobody here wrote (`LYCHGATE_GIVEN`), through one gateway with no rules: each must leave byte for byte below
//! the one field that the gateway adds, whether it came by DATA or by BDAT; what holds a NUL or a bare CR must be refused.

use std::collections::HashMap;
use std::path::Path;

use crate::support::client::{Client, stuffed};
use crate::support::gateway::Site;
use crate::support::sink::Sink;
use crate::support::{DOMAIN, below_received, difference, given, say};

struct Given {
    path: String,
    content: Vec<u8>,
    /// Why it must be refused, if it must.
    refused: Option<&'static str>,
}

#[test]
fn every_given_message_leaves_byte_for_byte() {
    let Some(folder) = given("given messages byte for byte") else { return };
    let messages = read(&folder);
    assert!(messages.len() > 1000, "only {} messages are given", messages.len());
    let sink = Sink::start(&["8BITMIME", "PIPELINING", "SMTPUTF8", "SIZE 100000000"]);
    // One of the given messages has passed through more servers than any limit on loops allows; here all must pass.
    let gateway =
        Site::new("given").listener("in", "mx", "none", "out", "").upstream("out", sink.address, "none", "").limit("hops", "1000").start();
    let address = gateway.address("in");

    let failures: Vec<String> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..4)
            .map(|lane| {
                let messages = &messages;
                scope.spawn(move || {
                    let mut client = None;
                    let of_lane = messages.iter().enumerate().filter(|(i, _)| i % 4 == lane);
                    of_lane
                        .filter_map(|(i, given)| send(&mut client, address, i, given).err().map(|e| format!("{}: {e}", given.path)))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        lanes.into_iter().flat_map(|lane| lane.join().expect("a lane does not panic")).collect()
    });
    let mut failures = failures;

    let mut arrived: HashMap<usize, Vec<Vec<u8>>> = HashMap::new();
    for captured in sink.take() {
        let number = captured.recipients[0].trim_start_matches("RCPT TO:<m").split('@').next().and_then(|n| n.parse().ok());
        arrived.entry(number.expect("the recipient as it was sent")).or_default().push(captured.content);
    }
    for (i, given) in messages.iter().enumerate() {
        let got = arrived.remove(&i).unwrap_or_default();
        let fault = match (given.refused, &got[..]) {
            (Some(_), []) => continue,
            (Some(why), _) => format!("has {why} and was relayed"),
            (None, [one]) => match below_received(one) {
                Ok((_, rest)) if rest == given.content => continue,
                Ok((_, rest)) => format!("was changed: {}", difference(&given.content, rest)),
                Err(fault) => fault,
            },
            (None, all) => format!("arrived {} times", all.len()),
        };
        failures.push(format!("{}: {fault}", given.path));
    }
    let refused = messages.iter().filter(|m| m.refused.is_some()).count();
    assert!(
        failures.is_empty(),
        "{} of {} given messages\n{}\n{}",
        failures.len(),
        messages.len(),
        failures[..failures.len().min(30)].join("\n"),
        gateway.tail(10)
    );
    say(&format!("given: {} messages byte for byte, {refused} refused", messages.len() - refused));
}

fn read(folder: &Path) -> Vec<Given> {
    let truth = std::fs::read_to_string(folder.join("TRUTH.tsv")).expect("the list of given messages is text");
    let paths = truth.lines().skip(1).filter_map(|line| {
        let mut fields = line.split('\t');
        Some((fields.next()?, fields.next()?)).filter(|(_, kind)| *kind == "message").map(|(path, _)| path.to_string())
    });
    paths
        .map(|path| {
            let content = crlf(&std::fs::read(folder.join(&path)).expect("a given message can be read"));
            let refused = if content.contains(&0) {
                Some("a NUL")
            } else if content.iter().enumerate().any(|(i, &b)| b == b'\r' && content.get(i + 1) != Some(&b'\n')) {
                Some("a bare CR")
            } else {
                None
            };
            Given { path, content, refused }
        })
        .collect()
}

/// Files hold LF or CRLF: as they go over the wire.
fn crlf(file: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(file.len() + file.len() / 40 + 2);
    for (i, &b) in file.iter().enumerate() {
        if b == b'\n' && (i == 0 || file[i - 1] != b'\r') {
            out.push(b'\r');
        }
        out.push(b);
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// One message in one group of commands: by DATA, every third by BDAT in two chunks.
fn send(client: &mut Option<Client>, address: std::net::SocketAddr, number: usize, given: &Given) -> Result<(), String> {
    let mut connected = match client.take() {
        Some(client) => client,
        None => {
            let mut client = Client::connect(address).map_err(|e| e.to_string())?;
            client.command("EHLO client.example").map_err(|e| e.to_string())?;
            client
        }
    };
    let io = |e: std::io::Error| e.to_string();
    let envelope = format!("MAIL FROM:<jo@outside.test>\r\nRCPT TO:<m{number}@{DOMAIN}>\r\n");
    let reply = if number.is_multiple_of(3) {
        let (one, two) = given.content.split_at(given.content.len() / 2);
        let group = [
            envelope.as_bytes(),
            format!("BDAT {}\r\n", one.len()).as_bytes(),
            one,
            format!("BDAT {} LAST\r\n", two.len()).as_bytes(),
            two,
        ]
        .concat();
        connected.send(&group).map_err(io)?;
        for what in ["MAIL", "RCPT", "BDAT"] {
            let reply = connected.reply().map_err(io)?;
            if !reply.ok() {
                return Err(format!("{what}: {reply:?}"));
            }
        }
        connected.reply().map_err(io)?
    } else {
        connected.send(&[envelope.as_bytes(), b"DATA\r\n"].concat()).map_err(io)?;
        for (what, code) in [("MAIL", 2), ("RCPT", 2), ("DATA", 3)] {
            let reply = connected.reply().map_err(io)?;
            if reply.code / 100 != code {
                return Err(format!("{what}: {reply:?}"));
            }
        }
        connected.send(&stuffed(&given.content)).map_err(io)?;
        connected.reply().map_err(io)?
    };
    *client = Some(connected);
    match (given.refused, reply.code / 100) {
        (None, 2) | (Some(_), 5) => Ok(()),
        (None, _) => Err(format!("refused: {reply:?}")),
        (Some(why), _) => Err(format!("has {why} and was answered {reply:?}")),
    }
}
