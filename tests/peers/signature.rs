//! An independent verifier, dkimpy, takes what the gateway signs with an RSA key, and nothing that was changed after.

use super::*;
use crate::evidence::send_to;
use crate::support::sink::Sink;

#[test]
fn dkimpy_takes_the_councils_signature() {
    let what = "dkimpy as the verifier";
    if !have(what, &["python3", "openssl", "dkimpy"]) {
        return;
    }
    let scratch = Scratch::new("dkimpy");
    let (key, public) = (scratch.path().join("dkim.key"), scratch.path().join("public.der"));
    let openssl = |words: &[&str]| {
        let output = Command::new("openssl").args(words).stdin(Stdio::null()).output().expect("openssl runs");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let path = |p: &Path| p.display().to_string();
    openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", &path(&key)]);
    openssl(&["pkey", "-in", &path(&key), "-pubout", "-outform", "DER", "-out", &path(&public)]);
    let record = format!("v=DKIM1; k=rsa; p={}", crate::support::base64(&std::fs::read(&public).expect("the public key")));

    let sink = Sink::start(&["PIPELINING", "8BITMIME"]);
    let gateway = Site::new("signature")
        .listener("connector", "connector", "none", "out", "")
        .upstream("out", sink.address, "none", "")
        .rules("[[rule]]\nid = \"sign\"\ntitle = \"Signed\"\nwhen = \"always\"\nthen.sign = \"dkim\"\nthen.tag-subject = \"[Wragby]\"\n")
        .file("dkim.key", std::fs::read(&key).expect("the key"))
        .table("[[dkim]]\ndomain = \"wragby.test\"\nselector = \"gate1\"\nkey-file = \"dkim.key\"")
        .start();
    let head = format!("From: Clerk <{CLERK}>\r\nTo: {OUTSIDER}\r\nSubject: Minutes of\r\n  the   meeting\r\n");
    let mut files = Vec::new();
    for (n, body) in ["", "\r\n", "Text \t \r\n\r\n\r\n", ".\r\n..\r\n", "Ein Caf\u{e9}.\r\n"].iter().enumerate() {
        assert!(send_to(&gateway, "connector", CLERK, OUTSIDER, format!("{head}\r\n{body}").as_bytes()).ok());
        let content = sink.take().pop().expect("it was relayed").content;
        assert!(String::from_utf8_lossy(&content).contains("[Wragby]"));
        files.push(scratch.file(&format!("{n}.eml"), &content));
        let changed = String::from_utf8_lossy(&content).replace("Minutes", "Money");
        files.push(scratch.file(&format!("{n}-changed.eml"), changed));
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/dkim_verify.py");
    let output = Command::new("/usr/bin/python3")
        .arg(script)
        .arg("gate1._domainkey.wragby.test")
        .arg(&record)
        .args(&files)
        .output()
        .expect("python3 runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["pass", "fail"].repeat(5), "{}", String::from_utf8_lossy(&output.stderr));
}
