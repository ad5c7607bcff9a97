//! A message of 20 MiB whose archives would unpack to gigabytes, judged by rules that read everything, in bounded memory and time.

use std::io::{Cursor, Read, Write};

use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, ZipArchive};

use super::*;
use crate::support::{Random, base64, say};

/// What judging may take beside the message itself, which is held once (the gateway's own memory is counted apart).
const BESIDE: u64 = 128 << 20;

/// Rules that ask for every text and every file.
const RULES: &str = r#"
[[rule]]
id = "reads-texts"
when.text.words = ["no such phrase in it"]
then.notify = ["clerk"]

[[rule]]
id = "reads-numbers"
when.identifiers = { kinds = ["nhs", "payment-card"], at-least = 1000000 }
then.notify = ["clerk"]

[[rule]]
id = "reads-addresses"
when.addresses-in-text.at-least = 1000000
then.notify = ["clerk"]

[[rule]]
id = "reads-files"
when.attachment = { kinds = ["macro", "encrypted-archive", "encrypted-document"] }
then.notify = ["clerk"]

[[rule]]
id = "asks-protection"
when.protected = "attachments"
then.notify = ["clerk"]
"#;

/// Archives in archives, documents that unpack to much more than they are, and octets that nothing shrinks.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    // 64 MiB that deflate to nearly nothing, thirty-two times.
    let zeros = archive(&mut [("zeros.txt", CompressionMethod::Deflated, &mut std::io::repeat(b'0').take(64 << 20))]);
    let mut bomb = ZipWriter::new(Cursor::new(Vec::new()));
    for i in 0..32 {
        let mut inner = ZipArchive::new(Cursor::new(&zeros)).expect("an archive");
        bomb.raw_copy_file_rename(inner.by_index_raw(0).expect("its one member"), format!("zeros-{i}.txt")).expect("a copy");
    }
    let bomb = bomb.finish().expect("an archive").into_inner();
    let text = "<w:p><w:r><w:t>The drain by the hall is blocked again, says Mrs Ashby.</w:t></w:r></w:p>";
    let mut words = Cursor::new(text.repeat((96 << 20) / text.len()).into_bytes());
    let document = archive(&mut [
        ("[Content_Types].xml", CompressionMethod::Deflated, &mut &b"<Types/>"[..]),
        ("word/document.xml", CompressionMethod::Deflated, &mut words),
    ]);
    // Members that nothing shrinks, in archives in archives.
    let mut random = Random::new(7);
    let noise: Vec<u8> = (0..(11 << 20) / 4).flat_map(|_| (random.below(1 << 32) as u32).to_le_bytes()).collect();
    let mut nested = archive(&mut [
        ("noise.bin", CompressionMethod::Stored, &mut &noise[..]),
        ("report.docx", CompressionMethod::Stored, &mut &document[..]),
    ]);
    for depth in 0..12 {
        nested = archive(&mut [(&format!("level-{depth}.zip"), CompressionMethod::Stored, &mut &nested[..])]);
    }
    // A directory of as many members as there can be.
    let many: Vec<String> = (0..10_000).map(|i| format!("minutes/{i}.txt")).collect();
    let mut crowd = ZipWriter::new(Cursor::new(Vec::new()));
    for name in &many {
        crowd.start_file(name.as_str(), SimpleFileOptions::default().compression_method(CompressionMethod::Stored)).expect("a member");
        crowd.write_all(b"x").expect("its content");
    }
    let page = "<p>Seen <b>by</b> everybody</p><div style='display:none'>jo@example.com</div>".repeat(12_000).into_bytes();
    vec![
        ("bomb.zip", bomb),
        ("report.docx", document),
        ("nested.zip", nested),
        ("crowd.zip", crowd.finish().expect("an archive").into_inner()),
        ("page.html", page),
    ]
}

fn archive(members: &mut [(&str, CompressionMethod, &mut dyn Read)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, method, content) in members {
        writer.start_file(*name, SimpleFileOptions::default().compression_method(*method)).expect("a member");
        std::io::copy(content, &mut writer).expect("its content");
    }
    writer.finish().expect("an archive").into_inner()
}

fn peak(gateway: &Gateway) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).expect("the gateway runs");
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).expect("Linux tells the peak");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") << 10
}

#[test]
fn twenty_mebibytes_of_archives_are_judged_in_bounded_memory() {
    let mut content = format!(
        "From: Parish Clerk <{CLERK}>\r\nTo: jo@outside.test\r\nSubject: Files\r\nMessage-ID: <large@wragby.test>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nThe files.\r\n"
    );
    for (name, file) in files() {
        let kind = if name.ends_with(".html") { "text/html" } else { "application/octet-stream" };
        content.push_str(&format!(
            "--b\r\nContent-Type: {kind}; name=\"{name}\"\r\nContent-Disposition: attachment; filename=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        ));
        for line in base64(&file).as_bytes().chunks(76) {
            content.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
            content.push_str("\r\n");
        }
    }
    content.push_str("--b--\r\n");
    let size = content.len() as u64;
    assert!((17 << 20..24 << 20).contains(&size), "{size} octets");

    let judged = |name: &str, rules: bool| {
        let sink = Sink::start(&["PIPELINING", "8BITMIME", "SIZE 100000000"]);
        let site = Site::new(name).listener("in", "connector", "none", "out", "").upstream("out", sink.address, "none", "");
        let gateway = if rules { site.wragby("").rules(RULES) } else { site }.start();
        let start = Instant::now();
        let reply = send(&gateway, "in", CLERK, &["jo@outside.test"], &content);
        // Not lost, and for no reason of the gateway's own: the rules ask, and nothing fits but what holds doubtful mail.
        assert!(matches!(reply.code, 250 | 451 | 550), "{reply:?}\n{}", gateway.tail(10));
        (peak(&gateway), start.elapsed(), reply)
    };
    let (relayed, ..) = judged("large-relayed", false);
    let (peak, took, reply) = judged("large-judged", true);
    let beside = peak.saturating_sub(relayed);
    say(&format!(
        "large: {} MiB judged in {took:.1?}, {} MiB at the peak, {} MiB more than unjudged ({})",
        size >> 20,
        peak >> 20,
        beside >> 20,
        reply.lines.join(" ")
    ));
    assert!(beside <= BESIDE, "judging took {} MiB beside the message", beside >> 20);
    assert!(took < Duration::from_secs(60), "{took:?}");
}
