//! An upstream whose certificate bears another name, or comes from another authority, gets no credential and no mail.

use std::net::SocketAddr;
use std::sync::Arc;

use super::*;
use crate::support::client::Client;
use crate::support::listen;
use crate::support::wire::{Heard, Wire};

#[test]
fn a_wrong_certificate_gets_no_credential() {
    for (what, tls, keys) in [
        ("another name, implicit", "implicit", "server-name = \"other.provider.test\""),
        ("another name, STARTTLS", "starttls", "server-name = \"other.provider.test\""),
        ("another authority, implicit", "implicit", "ca-file = \"tls/gateway.pem\""),
        ("another authority, STARTTLS", "starttls", "ca-file = \"tls/gateway.pem\""),
    ] {
        let (address, heard) = listener_in(tls == "implicit");
        let gateway =
            Site::new("wrong-certificate").listener("in", "submission", "starttls", "out", "").upstream("out", address, tls, keys).start();
        refused(what, &gateway);
        let heard = heard.lock().expect("no other panics").clone();
        assert!(
            heard.iter().all(|line| line.starts_with("EHLO ") || line == "STARTTLS" || line == "QUIT"),
            "{what}: the upstream heard {heard:?}"
        );
    }
}

#[test]
fn postfix_under_another_name_gets_no_credential() {
    let what = "Postfix under another name";
    if !have(what, &["postfix", "dovecot", "root"]) {
        return;
    }
    let postfix = Postfix::start();
    for (tls, address) in [("starttls", postfix.sub), ("implicit", postfix.smtps)] {
        let keys = "server-name = \"other.provider.test\"";
        let gateway =
            Site::new("wrong-name").listener("in", "submission", "starttls", "out", "").upstream("out", address, tls, keys).start();
        refused(what, &gateway);
    }
    assert!(!postfix.log().to_lowercase().contains("sasl"), "a credential was tried:\n{}", postfix.log());
}

/// The client hears a 4xx at EHLO or AUTH, and never a success with its credential.
fn refused(what: &str, gateway: &Gateway) {
    let mut client = Client::connect(gateway.address("in")).expect("the gateway answers");
    assert!(client.command("EHLO client.example").expect("an answer").ok());
    let mut client = client.start_tls().expect("STARTTLS goes");
    let hello = client.command("EHLO client.example").expect("an answer");
    if hello.ok() {
        let login = client.command(&format!("AUTH PLAIN {}", mail::plain(CLERK, PASSWORD))).expect("an answer");
        assert_eq!(login.code / 100, 4, "{what}: {login:?}");
    } else {
        assert_eq!(hello.code / 100, 4, "{what}: {hello:?}");
    }
}

/// An upstream that would take anything, and remembers each line that it hears, in the clear or under TLS.
fn listener_in(implicit: bool) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = listen();
    let address = listener.local_addr().expect("it is bound");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let into = heard.clone();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let _ = serve(Wire::new(socket), implicit, &into);
        }
    });
    (address, heard)
}

fn serve(wire: std::io::Result<Wire>, implicit: bool, heard: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut wire = wire?;
    if implicit {
        wire = wire.start_tls_as_server()?;
    }
    wire.send(b"220 mail.provider.test ESMTP\r\n")?;
    while let Heard::Line(line) = wire.line(Duration::from_secs(5)) {
        let line = String::from_utf8_lossy(&line).into_owned();
        heard.lock().expect("no other panics").push(line.clone());
        match line.split(' ').next() {
            Some("EHLO") => wire.send(b"250-mail.provider.test\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n")?,
            Some("STARTTLS") => {
                wire.send(b"220 2.0.0 go\r\n")?;
                wire = wire.start_tls_as_server()?;
            }
            Some("AUTH") => wire.send(b"235 2.7.0 thank you\r\n")?,
            _ => wire.send(b"250 2.0.0 ok\r\n")?,
        }
    }
    Ok(())
}
