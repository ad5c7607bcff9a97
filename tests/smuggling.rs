//! Published end-of-data sequences (`LYCHGATE_GIVEN/end-of-data.tsv`), with a second message behind each: through a listener that
//! refuses bare line ends, one that mends them, and an mx. Never may one message become two, here or at the next server.

use crate::support::client::Client;
use crate::support::gateway::Site;
use crate::support::sink::{Captured, Sink};
use crate::support::{CLERK, DOMAIN, given, say, unbase64};

struct Sequence {
    id: String,
    bytes: Vec<u8>,
}

#[test]
fn no_sequence_but_crlf_dot_crlf_ends_a_message() {
    let Some(folder) = given("end-of-data sequences") else { return };
    let table = std::fs::read_to_string(folder.join("end-of-data.tsv")).expect("the sequences are text");
    let sequences: Vec<_> = table
        .lines()
        .skip(1)
        .map(|line| {
            let fields: Vec<_> = line.split('\t').collect();
            // The table's own verdict is what is asserted below; another kind of verdict must not pass unread.
            assert!(fields[4].starts_with("never end of data"), "{}: an expectation that this test does not know", fields[0]);
            Sequence { id: fields[0].to_string(), bytes: unbase64(fields[1]) }
        })
        .collect();
    assert!(sequences.len() >= 9, "only {} sequences", sequences.len());

    let sink = Sink::start(&["8BITMIME", "PIPELINING"]);
    let gateway = Site::new("smuggling")
        .listener("refuse", "connector", "none", "out", "")
        .listener("mend", "connector", "none", "out", "normalise-line-ends = true")
        .listener("world", "mx", "none", "out", "")
        .upstream("out", sink.address, "none", "")
        .start();
    let mut failures = Vec::new();
    for listener in ["refuse", "mend", "world"] {
        for sequence in &sequences {
            for chunked in [false, true] {
                let outcome = smuggle(gateway.address(listener), sequence, chunked).and_then(|ok| judge(ok, &sink.take()));
                if let Err(fault) = outcome {
                    failures.push(format!("{} at {listener}{}: {fault}", sequence.id, if chunked { " by BDAT" } else { "" }));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    say(&format!("smuggling: {} sequences at 3 listeners", sequences.len()));
}

/// Sends a message that hides another behind the sequence; tells whether the first was taken.
fn smuggle(address: std::net::SocketAddr, sequence: &Sequence, chunked: bool) -> Result<bool, String> {
    let io = |e: std::io::Error| e.to_string();
    let mut client = Client::connect(address).map_err(io)?;
    client.command("EHLO client.example").map_err(io)?;
    for line in [format!("MAIL FROM:<{CLERK}>"), format!("RCPT TO:<chair@{DOMAIN}>")] {
        let reply = client.command(&line).map_err(io)?;
        if !reply.ok() {
            return Err(format!("{line}: {reply:?}"));
        }
    }
    let hidden = format!("MAIL FROM:<evil@{DOMAIN}>\r\nRCPT TO:<chair@{DOMAIN}>\r\nDATA\r\nSubject: smuggled\r\n\r\nevil");
    let content = [b"Subject: honest\r\n\r\nbefore", &sequence.bytes[..], hidden.as_bytes()].concat();
    if chunked {
        client.send(format!("BDAT {} LAST\r\n", content.len() + 2).as_bytes()).map_err(io)?;
        client.send(&[&content[..], b"\r\nQUIT\r\n"].concat()).map_err(io)?;
    } else {
        let reply = client.command("DATA").map_err(io)?;
        if reply.code != 354 {
            return Err(format!("DATA: {reply:?}"));
        }
        client.send(&[&content[..], b"\r\n.\r\nQUIT\r\n"].concat()).map_err(io)?;
    }
    // One reply for the message, one for QUIT, and then the end: any other was said to a smuggled command.
    let replies: Vec<_> = std::iter::from_fn(|| client.reply().ok()).collect();
    match &replies[..] {
        [refused] if refused.code / 100 == 5 => Ok(false),
        [refused, bye] if refused.code / 100 == 5 && bye.code == 221 => Ok(false),
        [taken, bye] if taken.ok() && bye.code == 221 => Ok(true),
        _ => Err(format!("the client heard {replies:?}")),
    }
}

fn judge(taken: bool, arrived: &[Captured]) -> Result<(), String> {
    match (taken, arrived) {
        (false, []) => Ok(()),
        (true, [one]) if one.mail.contains(CLERK) => harmless(&one.wire),
        (taken, all) => Err(format!("the client heard {}, and {} messages arrived", if taken { "2xx" } else { "5xx" }, all.len())),
    }
}

/// No upstream, however lax, may see an end within this content.
fn harmless(wire: &[u8]) -> Result<(), String> {
    let bare = wire.iter().enumerate().find(|(i, b)| match b {
        b'\r' => wire.get(i + 1) != Some(&b'\n'),
        b'\n' => *i == 0 || wire[i - 1] != b'\r',
        _ => false,
    });
    if let Some((at, _)) = bare {
        return Err(format!(
            "a bare CR or LF went upstream at {at}: {}",
            wire[at.saturating_sub(10)..wire.len().min(at + 10)].escape_ascii()
        ));
    }
    // A NUL that a lax reader drops must not leave a lone dot either.
    let lone = wire.split(|&b| b == b'\n').any(|line| line.iter().copied().filter(|b| !matches!(b, 0 | b'\r')).eq(*b"."));
    if lone { Err("a lone dot stands on a line".into()) } else { Ok(()) }
}
