//! Who may send through a listener. Pure: facts of the connection in, a reply or nothing out.
//!
//! No listener is ever an open relay. Submission wants a log-in that the provider accepted; mx takes mail for the council's
//! domains only; a connector believes a network, a certificate or a secret header, and even then only mail whose sender or whose
//! every recipient is the council's, since a provider's tenants share its addresses and certificates.

use std::net::IpAddr;

use crate::config::Settings;
use crate::config::settings::{Council, Listener, Role};
use crate::message::view::View;
use crate::smtp::address::normal_domain;
use crate::smtp::{Address, Reply, ReversePath, wording};
use crate::transport::tls::name_matches;

/// What is known of the other end.
#[derive(Clone, Debug)]
pub struct Peer {
    pub address: IpAddr,
    /// DNS names of a client certificate that was verified.
    pub certificate_names: Vec<String>,
    pub logged_in: bool,
    /// Whether the upstream offers AUTH at all.
    pub upstream_has_auth: bool,
}

fn is_council(council: &Council, address: &Address) -> bool {
    let domain = address.domain();
    // Nearly all are plain: what is equal in any case needs no normal form, and what has no "xn--" has no other.
    if council.domains.iter().any(|d| d.eq_ignore_ascii_case(domain)) {
        return true;
    }
    let plain = domain.is_ascii() && !domain.ends_with('.') && !domain.contains("--");
    !plain && council.domains.contains(&normal_domain(domain))
}

/// Whether a connector believes this connection by network or certificate.
pub fn is_trusted(listener: &Listener, peer: &Peer) -> bool {
    let trust = &listener.trust;
    trust.networks.iter().any(|network| network.contains(peer.address))
        || trust.client_certificates.iter().any(|pattern| peer.certificate_names.iter().any(|name| name_matches(pattern, name)))
}

/// MAIL: a refusal, or nothing.
pub fn mail(listener: &Listener, peer: &Peer) -> Option<Reply> {
    match listener.role {
        Role::Mx => None,
        // RFC 6409 §4.3. A provider that trusted the gateway's own address must not make it a relay for the world.
        Role::Submission => {
            let free = !peer.upstream_has_auth && peer.address.to_canonical().is_loopback();
            (!peer.logged_in && !free).then_some(wording::AUTH_REQUIRED)
        }
        // A secret header can only be seen with the content.
        Role::Connector => (!is_trusted(listener, peer) && listener.trust.header.is_none()).then_some(wording::NOT_TRUSTED),
    }
}

/// Whether mail of this sender (normal form), or of whoever logged in so, is refused: the council has suspended the account. `settings` are
/// those of now, which a session may have outlived. At mx nobody sends as the council: a name there is a stranger's word.
pub fn is_suspended(listener: &Listener, settings: &Settings, sender: Option<&str>, login: Option<&str>) -> bool {
    let at_desk = &settings.at_desk;
    if !at_desk.suspends() || listener.role == Role::Mx {
        return false;
    }
    // The one look at the clock here, and only where it decides.
    let now = jiff::Timestamp::now;
    sender.is_some_and(|sender| at_desk.is_suspended(sender, now))
        || login.is_some_and(|login| at_desk.is_suspended_login(login, &settings.council.domains, now))
}

/// RCPT: a refusal, or nothing.
pub fn rcpt(listener: &Listener, council: &Council, from: &ReversePath, to: &Address) -> Option<Reply> {
    let allowed = match listener.role {
        Role::Submission => true,
        Role::Mx => is_council(council, to),
        // An empty reverse path says nothing: the From author decides when the content is there.
        Role::Connector => match from {
            ReversePath::Null => true,
            ReversePath::Address(sender) => is_council(council, sender) || is_council(council, to),
        },
    };
    (!allowed).then_some(wording::NOT_YOUR_RELAY)
}

/// The content of a connector's message: a refusal, or nothing. `header_is_right` says whether the secret header was there.
pub fn content(
    listener: &Listener,
    peer: &Peer,
    header_is_right: bool,
    sender_is_council: bool,
    every_recipient_is_council: bool,
) -> Option<Reply> {
    if listener.role != Role::Connector {
        return None;
    }
    // On networks that tenants share, the secret header is what tells this tenant from the others: where one is configured, it is
    // wanted beside the network.
    let believed = match &listener.trust.header {
        Some(_) => {
            header_is_right
                && (is_trusted(listener, peer) || (listener.trust.networks.is_empty() && listener.trust.client_certificates.is_empty()))
        }
        None => is_trusted(listener, peer),
    };
    if !believed {
        return Some(wording::NOT_TRUSTED);
    }
    (!sender_is_council && !every_recipient_is_council).then_some(wording::NOT_YOUR_RELAY)
}

/// Whether the message bears the listener's secret field: exactly once, since a client that adds its own beside the provider's proves
/// nothing.
pub fn header_is_right(listener: &Listener, view: &View<'_>) -> bool {
    listener.trust.header.as_ref().is_some_and(|(name, value)| {
        let given: Vec<&[u8]> = view.named(name).map(|f| view.raw_body(f).trim_ascii()).collect();
        matches!(given.as_slice(), [only] if subtle::ConstantTimeEq::ct_eq(*only, value.as_bytes()).into())
    })
}

/// Whether every recipient is the council's.
pub fn every_is_council<'a>(council: &Council, mut recipients: impl Iterator<Item = &'a Address>) -> bool {
    recipients.all(|address| is_council(council, address))
}
