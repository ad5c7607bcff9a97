//! The site key changed, a backup made and put back, through the command line, beside a gateway that runs.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;

use super::*;
use crate::support::gateway::binary;

fn run(gateway: &Gateway, words: &[&str]) -> String {
    let output = gateway.command(words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// What is said where it is not done, on standard error and with exit code 1.
fn refused(gateway: &Gateway, words: &[&str]) -> String {
    let output = gateway.command(words);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{words:?}");
    String::from_utf8(output.stderr).expect("UTF-8")
}

fn traced(gateway: &Gateway) -> usize {
    run(gateway, &["trace", "--json", "--recipient", ASHBY, "--purpose", "a test"]).lines().count()
}

fn mail(gateway: &Gateway, n: usize) {
    assert_eq!(send(gateway, "in", CLERK, &[ASHBY], &letter(&format!("m{n}"), ASHBY, "Agenda", "The agenda.")).code, 250);
}

#[test]
fn keys_change_and_backups_are_made_while_mail_runs_and_a_restore_needs_it_stopped() {
    let (_sink, mut gateway) = council("keys");
    let folder = gateway.scratch.path().to_owned();
    let path = |name: &str| folder.join(name).display().to_string();
    let (stop, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let prints: Vec<Value> = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                mail(&gateway, sent.fetch_add(1, Ordering::Relaxed));
            }
        });
        let after = |n: usize| eventually("mail", || Some(()).filter(|()| sent.load(Ordering::Relaxed) > n));
        let mut prints = Vec::new();
        for n in 0..3 {
            after(n * 5);
            prints.push(serde_json::from_str(&run(&gateway, &["keys", "rotate", "--json"])).expect("JSON"));
        }
        let before = sent.load(Ordering::Relaxed);
        after(before);
        run(&gateway, &["backup", "--out", &path("backup"), "--keyring-out", &path("ring-backup")]);
        let before = sent.load(Ordering::Relaxed);
        after(before);
        stop.store(true, Ordering::Relaxed);
        prints
    });
    let sent = sent.into_inner();
    assert!(prints.windows(2).all(|p| p[0]["print"] == p[1]["before"] && p[0]["print"] != p[0]["before"]), "{prints:?}");
    eventually("every row", || Some(()).filter(|()| traced(&gateway) == sent));
    let shown = run(&gateway, &["keys", "show"]);
    assert!(shown.contains(prints[2]["print"].as_str().expect("a print")) && shown.contains("the first dies on"), "{shown}");
    // Later mail is not in the backup.
    mail(&gateway, sent);
    eventually("the last row", || Some(()).filter(|()| traced(&gateway) == sent + 1));
    let words = ["restore", "--from", &path("backup"), "--replace", "--reason", "a test"];
    let told = refused(&gateway, &words);
    assert!(told.starts_with("lychgate: ") && told.ends_with("is in use: stop the gateway first. Nothing was changed\n"), "{told}");
    gateway.kill();
    let told = refused(&gateway, &[&words[..3], &words[4..]].concat());
    assert!(told.ends_with("is there already. To put the backup in its place: --replace\n"), "{told}");
    let told = run(&gateway, &words);
    assert!(told.contains("hold, each as it was signed") && told.ends_with("Now start the gateway.\n"), "{told}");
    gateway.restart();
    let restored = traced(&gateway);
    assert!((1..=sent).contains(&restored), "{restored} of {sent}");
    mail(&gateway, sent + 1);
    eventually("it records on", || Some(()).filter(|()| traced(&gateway) == restored + 1));
}

#[test]
fn a_change_of_the_site_key_that_is_killed_leaves_a_pair_that_opens() {
    let (_sink, mut gateway) = council("keys-killed");
    mail(&gateway, 0);
    eventually("its row", || Some(()).filter(|()| traced(&gateway) == 1));
    let mut killed = 0;
    for round in 0..24u64 {
        let mut command = Command::new(binary());
        command
            .args(["keys", "rotate", "--config"])
            .arg(gateway.scratch.path().join("lychgate.toml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("the program runs");
        std::thread::sleep(Duration::from_millis(3 * round));
        let _ = child.kill();
        killed += usize::from(!child.wait().expect("it ends").success());
        assert_eq!(traced(&gateway), 1, "round {round}");
        if round % 8 == 7 {
            gateway.restart();
            mail_is_recorded(&gateway, round);
        }
    }
    assert!(killed > 0, "each change was over before it was killed");
    run(&gateway, &["keys", "rotate"]);
    assert_eq!(traced(&gateway), 1);
}

/// The gateway that was started writes records under a pair that opens.
fn mail_is_recorded(gateway: &Gateway, round: u64) {
    let to = format!("r{round}@lincolnshire.gov.uk");
    assert_eq!(send(gateway, "in", CLERK, &[&to], &letter(&format!("r{round}"), &to, "x", "x")).code, 250);
    let words = ["trace", "--json", "--recipient", &to, "--purpose", "a test"];
    eventually("its row", || Some(()).filter(|()| run(gateway, &words).lines().count() == 1));
}

#[test]
fn a_keyring_that_does_not_fit_ends_the_start_with_words_and_exit_code_1() {
    let (_sink, mut gateway) = council("keys-wrong");
    mail(&gateway, 0);
    eventually("its row", || Some(()).filter(|()| traced(&gateway) == 1));
    gateway.kill();
    let ring = std::fs::read_dir(gateway.scratch.path().join("data")).expect("the data folder");
    let ring = ring.map(|f| f.expect("a file").path()).find(|p| p.extension().is_some_and(|e| e == "ring")).expect("the keyring");
    let whole = std::fs::read(&ring).expect("it can be read");
    std::fs::write(&ring, &whole[..whole.len() / 2]).expect("it can be written");
    let told = refused(&gateway, &["serve"]);
    let wanted = format!(
        "the keyring {} is damaged: cut short, or no keyring. Stop the gateway and put the latest copy of it back; the database may stay as it is",
        ring.display()
    );
    assert!(told.contains(&wanted), "{told}");
    assert!(refused(&gateway, &["keys", "show"]).contains(&wanted));
    std::fs::write(&ring, whole).expect("it can be written");
    gateway.restart();
    assert_eq!(traced(&gateway), 1);
}
