//! The Clerk's desk: the office's acts as pages, on the same program, for a browser or a phone.
//!
//! Thin: a page asks the office, shows what comes back, and changes nothing but by a form of the session's own, sent by POST, with a
//! reason. What somebody may do is asked of the site file at each request ([`office::roles`]). Nothing that a message holds is ever shown
//! as HTML, and a fault shows no more than its own words.

mod access;
mod confirm;
mod erasure;
mod fields;
mod find;
mod frame;
mod held;
mod holds;
mod links;
mod mine;
mod papers;
mod people;
mod receipts;
mod retention;
mod rights;
mod rules;
#[cfg(feature = "saml")]
pub mod saml;
mod secure;
mod server;
mod session;
mod sign_in;
mod today;
mod wanted;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, header};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::watch;

use self::links::Links;
use self::people::{accounts, acting, suspended};
use self::secure::Cookie;
use self::session::Sessions;
use crate::config::Settings;
use crate::observe::Metrics;
use crate::office;
use crate::outbox::Outbox;

/// Octets of a form: a reason, a rule file, a message to be tried.
const FORM: usize = 1024 * 1024;

/// What the desk needs of the gateway around it.
pub struct Around {
    /// The site file.
    pub file: PathBuf,
    /// As they are now: a reload changes them.
    pub settings: Box<dyn Fn() -> Arc<Settings> + Send + Sync>,
    /// Reads the site file anew; errors say why the old stays. It takes its time.
    pub reload: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
    pub outbox: Option<Outbox>,
    pub metrics: Arc<Metrics>,
}

/// All that pages share.
struct Desk {
    around: Around,
    sessions: Sessions,
    links: Links,
    cookie: Cookie,
    #[cfg(feature = "saml")]
    saml: saml::SingleSignOn,
    /// How people reach it: what stands in links.
    url: String,
}

/// A desk that is being served.
pub struct Console {
    desk: Arc<Desk>,
}

impl Console {
    /// Serves until `stopped` says so. `tls` gives the gateway's own certificate as it is now; none is for loopback.
    pub fn start(
        listener: std::net::TcpListener,
        around: Around,
        tls: impl Fn() -> Option<Arc<rustls::ServerConfig>> + Send + Sync + 'static,
        stopped: watch::Receiver<bool>,
    ) -> std::io::Result<Console> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        let settings = (around.settings)();
        let url = settings.console.as_ref().and_then(|c| c.url.clone()).unwrap_or_else(|| default_url(address, tls().is_some()));
        let cookie = if url.starts_with("https://") { Cookie::Host } else { Cookie::Loopback };
        let desk = Arc::new(Desk {
            around,
            sessions: Sessions::default(),
            links: Links::default(),
            cookie,
            #[cfg(feature = "saml")]
            saml: saml::SingleSignOn::default(),
            url,
        });
        let app = router(desk.clone());
        tokio::spawn(server::serve(listener, tls, app, stopped));
        Ok(Console { desk })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.desk.url
    }

    /// A link that signs somebody in, once: for the demo, which prints it. None if nobody has that address.
    pub fn sign_in_link(&self, address: &str) -> Option<String> {
        let settings = self.desk.settings();
        office::roles::insider(&settings, address, Timestamp::now())?;
        let link = self.desk.links.make(address, Instant::now())?;
        Some(format!("{}/sign-in/link?key={}", self.desk.url, link.0))
    }
}

fn default_url(address: SocketAddr, tls: bool) -> String {
    format!("{}://{address}", if tls { "https" } else { "http" })
}

impl Desk {
    fn settings(&self) -> Arc<Settings> {
        (self.around.settings)()
    }
}

fn router(desk: Arc<Desk>) -> Router {
    let router = Router::new();
    #[cfg(feature = "saml")]
    let router = router
        .route("/saml/metadata", get(saml::metadata))
        .route("/saml/sign-in", get(saml::start))
        .route("/saml/acs", post(saml::enter))
        .route("/saml/logout", get(saml::logout));
    router
        .route("/", get(today::page))
        .route("/sign-in", get(sign_in::page).post(sign_in::send))
        .route("/sign-in/link", get(sign_in::followed).post(sign_in::enter))
        .route("/sign-out", post(sign_in::leave))
        .route("/held", get(held::list))
        .route("/held/{id}", get(held::one))
        .route("/held/{id}/release", post(held::release))
        .route("/held/{id}/refuse", post(held::refuse))
        .route("/held/{id}/ask", post(held::ask))
        .route("/held/{id}/question", post(held::question))
        .route("/held/{id}/open", post(held::open))
        .route("/find", get(find::page).post(find::look))
        .merge(rules::router())
        .route("/access", get(access::page).post(access::look))
        .route("/access/requests/{id}/approve", post(access::approve))
        .route("/access/requests/{id}/refuse", post(access::refuse))
        .route("/rights", get(rights::list).post(rights::receive))
        .route("/rights/{id}", get(rights::one))
        .route("/rights/{id}/export", post(rights::export))
        .route("/rights/{id}/rectify", post(rights::rectify))
        .route("/rights/{id}/erasure", post(erasure::preview))
        .route("/rights/{id}/erase", post(erasure::erase))
        .route("/rights/{id}/{act}", post(rights::change))
        .route("/receipts/{number}", get(receipts::one))
        .route("/retention", get(retention::page))
        .route("/retention/purge", post(retention::purge))
        .route("/retention/holds", post(holds::place))
        .route("/retention/holds/new", get(holds::new))
        .route("/retention/holds/ask", post(holds::ask))
        .route("/retention/holds/{id}", get(holds::one))
        .route("/retention/holds/{id}/prolong", post(holds::prolong))
        .route("/retention/holds/{id}/lift", post(holds::lift))
        .route("/papers", get(papers::list))
        .route("/papers/{name}", get(papers::one))
        .route("/people", get(people::list))
        .route("/people/suspended", get(suspended::page).post(suspended::suspend))
        .route("/people/suspended/lift", post(suspended::lift))
        .route("/people/acting", get(acting::page).post(acting::lend))
        .route("/people/acting/end", post(acting::end))
        .route("/people/accounts", get(accounts::page).post(accounts::register))
        .route("/people/accounts/remove", post(accounts::remove))
        .route("/mine", get(mine::page))
        .route("/mine/held/{id}", post(mine::choose))
        .route("/mine/export", post(mine::export))
        .route("/mine/request", post(mine::ask))
        .route("/mine/notice", get(mine::notice).post(mine::acknowledge))
        .route("/papers/{name}/adopt", post(papers::adopt))
        .route("/papers/{name}/adopted/{number}", get(papers::adopted))
        .route("/confirm/{key}", get(confirm::page).post(confirm::choose))
        .route("/assets/govuk-frontend.css", get(|| asset("text/css; charset=utf-8", include_str!("assets/govuk-frontend.css"))))
        .route("/assets/console.css", get(|| asset("text/css; charset=utf-8", include_str!("assets/console.css"))))
        .route("/assets/console.js", get(|| asset("text/javascript; charset=utf-8", include_str!("assets/console.js"))))
        .fallback(frame::nowhere)
        .layer(DefaultBodyLimit::max(FORM))
        .layer(from_fn(secure::same_site))
        .layer(from_fn(secure::headers))
        .with_state(desk)
}

async fn asset(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=3600")),
    ];
    (headers, text).into_response()
}
