//! Debian's Chromium, driven by its own driver over WebDriver (W3C), as somebody at a desk or with a telephone would use it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Scratch, port, skip};

/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    Desktop,
    /// The narrowest that WCAG 2.2 asks for (1.4.10).
    Phone,
}

pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    /// Links and buttons that were pressed.
    clicks: std::cell::Cell<u32>,
    _profile: Scratch,
}

impl Browser {
    /// None where there is no Chromium, which is said aloud, and a failure where peers are required.
    pub fn start(what: &str, size: Size, script: bool) -> Option<Browser> {
        let found = ["chromium", "chromedriver"].iter().all(|program| Path::new("/usr/bin").join(program).exists());
        if !found {
            skip(what, "chromium and chromium-driver missing (tests/peers/install.sh brings them)");
            return None;
        }
        let profile = Scratch::new("browser");
        let port = port();
        let driver = Command::new("chromedriver")
            .args([format!("--port={port}"), "--allowed-ips=127.0.0.1".into(), "--silent".into()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the driver runs");
        let mut browser = Browser { driver, port, session: String::new(), clicks: Default::default(), _profile: profile };
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "chromedriver does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        let (width, height) = if size == Size::Desktop { (1280, 900) } else { (320, 640) };
        let mut options = json!({
            "binary": "/usr/bin/chromium",
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-sync",
                     "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--hide-scrollbars",
                     "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE 127.0.0.2", "--ignore-certificate-errors",
                     format!("--user-data-dir={}", browser._profile.path().display()), format!("--window-size={width},{height}")],
        });
        if size == Size::Phone {
            options["mobileEmulation"] = json!({ "deviceMetrics": { "width": width, "height": height, "pixelRatio": 2.0, "touch": true } });
        }
        let asked = json!({ "capabilities": { "alwaysMatch": { "browserName": "chrome", "acceptInsecureCerts": true, "goog:chromeOptions": options } } });
        let made = browser.call("POST", "/session", &asked);
        browser.session = made["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {made}")).to_string();
        // The window of a headless browser is never in front; what has the focus is to show it all the same.
        browser.ask("POST", "/goog/cdp/execute", &json!({ "cmd": "Emulation.setFocusEmulationEnabled", "params": { "enabled": true } }));
        if !script {
            // All scripts of the pages are files (their policy allows no others): without the files there is none.
            browser.ask("POST", "/goog/cdp/execute", &json!({ "cmd": "Network.enable", "params": {} }));
            browser.ask("POST", "/goog/cdp/execute", &json!({ "cmd": "Network.setBlockedURLs", "params": { "urls": ["*.js"] } }));
        }
        Some(browser)
    }

    pub fn go(&self, url: &str) {
        self.ask("POST", "/url", &json!({ "url": url }));
    }

    pub fn url(&self) -> String {
        self.ask("GET", "/url", &Value::Null).as_str().expect("a text").to_string()
    }

    pub fn title(&self) -> String {
        self.ask("GET", "/title", &Value::Null).as_str().expect("a text").to_string()
    }

    /// The whole page as one reads it.
    pub fn text(&self) -> String {
        self.run("return document.body.innerText").as_str().expect("a text").to_string()
    }

    pub fn has(&self, css: &str) -> bool {
        let found = self.ask("POST", "/elements", &json!({ "using": "css selector", "value": css }));
        found.as_array().is_some_and(|a| !a.is_empty())
    }

    /// The first link or button that says this.
    pub fn press_what_says(&self, words: &str) {
        let path = format!(
            "//a[contains(normalize-space(.), {words:?})] | //button[contains(normalize-space(.), {words:?})] | //summary[contains(normalize-space(.), {words:?})] | //label[contains(normalize-space(.), {words:?})]"
        );
        let found = self.ask("POST", "/element", &json!({ "using": "xpath", "value": path }));
        let element = found[ELEMENT].as_str().unwrap_or_else(|| panic!("nothing says {words:?} in\n{}", self.text())).to_string();
        self.press(&element);
    }

    /// Clicks, and waits for the page that a link or a button leads to.
    fn press(&self, element: &str) {
        let tag = self.ask("GET", &format!("/element/{element}/name"), &Value::Null);
        let leads = matches!(tag.as_str(), Some("a" | "button"));
        if leads {
            self.run("window.before = true");
        }
        // What a person cannot see they cannot press.
        let clicked = self.ask("POST", &format!("/element/{element}/click"), &json!({}));
        assert!(clicked.is_null(), "{clicked}");
        self.clicks.set(self.clicks.get() + 1);
        let end = Instant::now() + Duration::from_secs(20);
        while leads && self.run("return window.before === undefined && document.readyState === 'complete'") != true {
            assert!(Instant::now() < end, "no page came from {}", self.url());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// How often something was pressed since this was asked last.
    pub fn clicks(&self) -> u32 {
        self.clicks.take()
    }

    pub fn write(&self, css: &str, text: &str) {
        let element = self.find(css);
        self.ask("POST", &format!("/element/{element}/clear"), &json!({}));
        self.ask("POST", &format!("/element/{element}/value"), &json!({ "text": text }));
    }

    /// Runs a script in the page; what it returns.
    pub fn run(&self, script: &str) -> Value {
        self.ask("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Runs a script that calls its last argument when it is done.
    pub fn run_async(&self, script: &str) -> Value {
        self.ask("POST", "/execute/async", &json!({ "script": script, "args": [] }))
    }

    /// A cookie's value, which no script of a page is shown.
    pub fn cookie(&self, name: &str) -> String {
        let found = self.ask("GET", &format!("/cookie/{name}"), &Value::Null);
        found["value"].as_str().unwrap_or_else(|| panic!("no cookie {name}: {found}")).to_string()
    }

    /// The page as it is printed on A4, PDF. The page's own margins hold.
    pub fn print(&self) -> Vec<u8> {
        let asked = json!({ "page": { "width": 21.0, "height": 29.7 }, "margin": { "top": 1, "bottom": 1, "left": 1, "right": 1 }, "background": true });
        let made = self.ask("POST", "/print", &asked);
        super::unbase64(made.as_str().unwrap_or_else(|| panic!("no PDF: {made}")))
    }

    /// A picture of the whole page, PNG.
    pub fn picture(&self, path: &Path) {
        let shot =
            self.ask("POST", "/goog/cdp/execute", &json!({ "cmd": "Page.captureScreenshot", "params": { "captureBeyondViewport": true } }));
        let data = shot["data"].as_str().expect("a picture");
        std::fs::write(path, super::unbase64(data)).expect("a file can be written");
    }

    fn find(&self, css: &str) -> String {
        let found = self.ask("POST", "/element", &json!({ "using": "css selector", "value": css }));
        found[ELEMENT]
            .as_str()
            .unwrap_or_else(|| panic!("no {css} on {}: {found}\n{}", self.url(), self.run("return document.body.innerText")))
            .to_string()
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        self.call(method, &format!("/session/{}{path}", self.session), body)
    }

    /// One exchange; the value of the answer, faults included.
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the driver answers");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out can be set");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.port,
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("it is sent");
        // The driver keeps its connections: the length says where the answer ends.
        let (mut answer, mut piece) = (Vec::new(), [0; 65_536]);
        let body = loop {
            let read = stream.read(&mut piece).expect("an answer");
            answer.extend_from_slice(&piece[..read]);
            let head = answer.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4);
            let length = head.and_then(|head| {
                let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
                text.lines().find_map(|l| l.strip_prefix("content-length:")?.trim().parse::<usize>().ok())
            });
            match (head, length) {
                (Some(head), Some(length)) if answer.len() >= head + length => break answer[head..head + length].to_vec(),
                _ => assert!(read > 0, "the driver broke off"),
            }
        };
        let json = String::from_utf8_lossy(&body).into_owned();
        let value: Value = serde_json::from_str(&json).unwrap_or_else(|e| panic!("{e}: {json}"));
        value["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            self.call("DELETE", &format!("/session/{}", self.session), &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        // After a test that failed the browser is still there: it is known by its profile.
        let profile = self._profile.path().as_os_str().as_encoded_bytes().to_vec();
        for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            if command.windows(profile.len()).any(|w| w == profile) {
                let _ = Command::new("kill").args(["-KILL".as_ref(), process.file_name().as_os_str()]).stderr(Stdio::null()).status();
            }
        }
    }
}
