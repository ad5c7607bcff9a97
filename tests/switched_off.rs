//! FIELD "What makes a Clerk switch such a gateway off": the lines that are no judgement over a message. `rules/switched-off.md` has
//! the others, and names the tests that stand elsewhere.

use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn an_expired_certificate_is_named_before_it_hurts() {
    let folder = std::env::temp_dir().join(format!("lychgate-expired-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let today = jiff::Zoned::now().date();
    let report = |days: i64| {
        let end = today.saturating_add(jiff::Span::new().days(days));
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(i32::from(end.year()), end.month() as u8, end.day() as u8);
        let key = rcgen::KeyPair::generate().expect("a key");
        std::fs::write(folder.join("gateway.pem"), params.self_signed(&key).expect("a certificate").pem()).expect("written");
        let key_file = folder.join("gateway.key");
        std::fs::write(&key_file, key.serialize_pem()).expect("written");
        std::fs::set_permissions(&key_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its mode");
        let site = folder.join("lychgate.toml");
        let text = "[council]\nname = \"Wragby\"\ndomains = [\"wragby.gov.uk\"]\nclerk = \"clerk@wragby.gov.uk\"\n\
                    [[listener]]\nname = \"mx\"\nrole = \"mx\"\nbind = \"127.0.0.1:2525\"\ntls = \"starttls\"\n\
                    [upstream.provider]\naddress = \"127.0.0.1:2526\"\ntls = \"none\"\n\
                    [tls]\ncertificate-file = \"gateway.pem\"\nkey-file = \"gateway.key\"\n";
        std::fs::write(&site, text).expect("a site file");
        lychgate::cli::check::report(&site)
    };
    let (ended, good) = report(-2);
    assert!(good && ended.contains("gateway.pem ended on") && ended.contains("Renew it"), "{ended}");
    let (ending, good) = report(10);
    assert!(good && ending.contains("gateway.pem ends on"), "{ending}");
    let (fresh, good) = report(60);
    assert!(good && !fresh.contains("gateway.pem"), "{fresh}");
    std::fs::remove_dir_all(&folder).expect("removed");
}

/// Every line of that list is a heading of the page, and every test that the page names is there.
#[test]
fn every_line_has_its_test() {
    let page = std::fs::read_to_string(root().join("tests/rules/switched-off.md")).expect("the page");
    let lines = [
        "Legal footers that say \"confidential\"",
        "A resident on Gmail flagged as a personal forward",
        "Partners who no longer see each other",
        "Mangled invitations",
        "Dates taken for sort codes",
        "Twenty notices for one stuck phone",
        "An agenda delayed past its three clear days",
        "A provider's 4xx turned into 5xx",
        "An expired certificate",
        "Locking oneself out with one's own TOML",
        "A rumour of spying",
    ];
    let headings: Vec<&str> = page.lines().filter_map(|l| l.strip_prefix("## ")).collect();
    assert_eq!(headings, lines);
    let mut sources = String::new();
    let mut open: Vec<PathBuf> = vec![root().join("tests"), root().join("src")];
    let mut dialogs = Vec::new();
    while let Some(folder) = open.pop() {
        for path in std::fs::read_dir(&folder).expect("a folder").filter_map(|e| e.ok().map(|e| e.path())) {
            match path.extension().and_then(|x| x.to_str()) {
                _ if path.is_dir() => open.push(path),
                Some("rs") => sources.push_str(&std::fs::read_to_string(&path).expect("a source")),
                Some("dialog") => dialogs.push(path.file_stem().unwrap_or_default().to_string_lossy().into_owned()),
                _ => {}
            }
        }
    }
    for section in page.split("\n## ").skip(1) {
        let named: Vec<&str> =
            section.lines().filter(|l| l.starts_with("Held by ")).flat_map(|l| l.split('`').skip(1).step_by(2)).collect();
        assert!(section.contains("```expect") || !named.is_empty(), "no test for: {}", section.lines().next().unwrap_or_default());
        for name in named {
            let is_there = sources.contains(&format!("fn {name}(")) || dialogs.iter().any(|d| d == name);
            assert!(is_there, "there is no test {name}");
        }
    }
}
