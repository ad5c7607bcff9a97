//! People sign in at a real identity provider, Debian's SimpleSAMLphp, in a real browser. It is another site to the console: its address
//! is 127.0.0.2.

use super::*;

struct Provider {
    process: Child,
    base: String,
    metadata: String,
    _folder: Scratch,
}

impl Provider {
    /// For the console at this address. None where it is not there, which is said aloud.
    fn start(url: &str) -> Option<Provider> {
        let what = "signing in at an identity provider";
        if !have(what, &["php", "openssl", "simplesamlphp"]) {
            return None;
        }
        let (folder, port) = (Scratch::new("simplesamlphp"), port());
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers/simplesamlphp.sh");
        let process = Command::new(script)
            .arg(cache())
            .arg(folder.path())
            .args(["127.0.0.2", &port.to_string(), url])
            .stdin(Stdio::null())
            .spawn()
            .expect("it can be started");
        let address = format!("127.0.0.2:{port}");
        let metadata = eventually("the identity provider", || {
            let mut curl = Command::new("curl");
            curl.args(["-sf", &format!("http://{address}/simplesamlphp/saml2/idp/metadata.php")]);
            let output = curl.output().expect("curl runs");
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
        });
        Some(Provider { process, base: format!("http://{address}/simplesamlphp"), metadata, _folder: folder })
    }

    /// Gives a name and a password on its page, and goes where that leads.
    fn password(&self, browser: &Browser, script: bool, name: &str, password: &str) {
        eventually("its page", || browser.has("#password").then_some(()));
        assert!(browser.url().starts_with(&self.base), "{}", browser.url());
        browser.write("#username", name);
        browser.write("#password", password);
        browser.run("document.querySelector('#password').form.requestSubmit()");
        if !script {
            // Without scripts of its own its page waits for a button.
            eventually("its button", || browser.has("#postLoginSubmitButton").then_some(()));
            browser.run("document.querySelector('#postLoginSubmitButton').click()");
        }
        eventually("the way back", || (!browser.url().starts_with(&self.base)).then_some(()));
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A console and its identity provider. With TLS the console is bound to 127.0.0.1 by its other name, which it takes for the world.
fn lab(name: &str, tls: bool, tables: &str) -> Option<(Council, Provider)> {
    let port = port();
    let (bind, url) = if tls {
        (format!("[::ffff:127.0.0.1]:{port}"), format!("https://127.0.0.1:{port}"))
    } else {
        (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}"))
    };
    let provider = Provider::start(&url)?;
    let council = Council::at(name, &bind, url, &format!("{SAML}{tables}"), &[("idp.xml", &provider.metadata)]);
    Some((council, provider))
}

#[test]
fn the_clerk_signs_in_and_out_at_both_ends() {
    for (size, script) in WAYS {
        let what = "signing in at an identity provider";
        let Some((council, provider)) = lab("saml-clerk", size == Size::Desktop, "") else { return };
        let Some(browser) = Browser::start(what, size, script) else { return };
        browser.go(&format!("{}/sign-in", council.url));
        assert!(browser.text().contains("Send me a link"), "the mailed link stays: {}", browser.text());
        browser.press_what_says("Sign in with the council");
        provider.password(&browser, script, "clerk", "Secret-1");
        assert!(
            browser.url() == format!("{}/", council.url) && browser.text().contains("Sign out"),
            "{} {}",
            browser.url(),
            browser.text()
        );
        assert!(browser.text().contains(CLERK), "{}", browser.text());
        browser.press_what_says("Held");
        assert!(browser.text().contains("Nothing waits"), "a page later they are signed in still: {}", browser.text());
        // Out there as well: it asks for the password again.
        browser.press_what_says("Sign out");
        eventually("the way back", || browser.url().ends_with("/sign-in").then_some(()));
        browser.go(&council.url);
        assert!(browser.url().ends_with("/sign-in"), "{}", browser.url());
        browser.press_what_says("Sign in with the council");
        provider.password(&browser, script, "clerk", "Secret-1");
        assert!(browser.text().contains("Sign out"), "{}", browser.text());
        // And the other way: who signs out there is out here.
        browser.go(&format!("{}/saml2/idp/initSLO.php?RelayState=/simplesamlphp/", provider.base));
        eventually("signed out by the identity provider", || council.gateway.log().contains("saml_signed_out").then_some(()));
        browser.go(&council.url);
        assert!(browser.url().ends_with("/sign-in"), "{}", browser.url());
        assert!(!council.gateway.log().contains("saml_refused"), "{}", council.gateway.tail(20));
    }
}

#[test]
fn strangers_are_told_that_they_have_no_role() {
    for (size, script) in WAYS {
        let Some((council, provider)) = lab("saml-stranger", size == Size::Desktop, "[console.saml.roles]\nClerks = [\"clerk\"]\n") else {
            return;
        };
        let Some(browser) = Browser::start("signing in at an identity provider", size, script) else { return };
        browser.go(&format!("{}/saml/sign-in", council.url));
        // Of a group that has a role, but not of the council.
        provider.password(&browser, script, "stranger", "Secret-3");
        assert!(browser.text().contains("You have no role here"), "{}", browser.text());
        browser.go(&council.url);
        assert!(browser.url().ends_with("/sign-in"), "{}", browser.url());
    }
}

#[test]
fn a_group_at_the_identity_provider_gives_a_role() {
    let roles = "[console.saml.roles]\nClerks = [\"clerk\"]\nEverybody = [\"auditor\"]\n";
    let Some((council, provider)) = lab("saml-roles", true, roles) else { return };
    let Some(browser) = Browser::start("signing in at an identity provider", Size::Phone, true) else { return };
    browser.go(&format!("{}/saml/sign-in", council.url));
    provider.password(&browser, true, "elm", "Secret-2");
    assert!(browser.text().contains("Access log") && !browser.text().contains("Held"), "{}", browser.text());
    browser.press_what_says("Access log");
    browser.write("#purpose", "a look at the log");
    browser.press_what_says("Read it");
    assert!(browser.text().contains(&format!("{ELM} (proven)")), "{}", browser.text());
}
