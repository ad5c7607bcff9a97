//! What the sender of a message in custody hears of its recipients (RFC 3461): deposits that come into custody in the transaction
//! which settles what they report.

use super::Options;
use super::desk::notice_to;
use super::lanes::LaneOptions;
use crate::message::report::{self, About, Action, Report};
use crate::records::custody::{Deposit, Fate, Parcel};
use crate::records::sealing::random_octets;

/// RFC 5321 §4.5.4.1 leaves it to us; four hours is what people are used to.
const LATE: i64 = 4 * 3_600_000;

/// Whether its sender is to hear now that it is late.
pub(super) fn is_late(parcel: &Parcel, now: i64) -> bool {
    !parcel.sheet.told_late && now - parcel.sheet.taken >= LATE
}

/// A report of those who will not get it.
pub(super) fn failed(options: &Options, lane: &LaneOptions, parcel: &Parcel, which: &[usize], content: &[u8], now: i64) -> Option<Deposit> {
    compose(options, lane, parcel, which, Action::Failed, content, now)
}

/// A report of those who have not got it yet.
pub(super) fn delayed(options: &Options, lane: &LaneOptions, parcel: &Parcel, content: &[u8], now: i64) -> Option<Deposit> {
    let open: Vec<usize> = parcel.sheet.recipients.iter().enumerate().filter(|(_, r)| r.state.is_open()).map(|(i, _)| i).collect();
    compose(options, lane, parcel, &open, Action::Delayed, content, now)
}

/// RFC 3461 §5.2.2: where the upstream makes no reports of success, the gateway says that it passed the message on.
pub(super) fn relayed(
    options: &Options,
    lane: &LaneOptions,
    parcel: &Parcel,
    fates: &[(usize, Fate)],
    content: &[u8],
    now: i64,
) -> Option<Deposit> {
    if lane.passes_dsn.load(std::sync::atomic::Ordering::Relaxed) {
        return None;
    }
    let taken: Vec<usize> = fates.iter().filter(|(_, f)| matches!(f, Fate::Delivered { .. })).map(|(i, _)| *i).collect();
    compose(options, lane, parcel, &taken, Action::Relayed, content, now)
}

fn compose(
    options: &Options,
    lane: &LaneOptions,
    parcel: &Parcel,
    which: &[usize],
    action: Action,
    content: &[u8],
    now: i64,
) -> Option<Deposit> {
    let sheet = &parcel.sheet;
    // RFC 5321 §4.5.5: nothing is said about what has no return path.
    if sheet.reverse_path.is_empty() {
        return None;
    }
    let about: Vec<About<'_>> = which
        .iter()
        .filter_map(|i| sheet.recipients.get(*i))
        .filter(|r| report::is_wanted(&r.parameters, action))
        .map(|r| {
            let (reply, expired) = match &r.state {
                Fate::Later { reply } | Fate::Delivered { reply } | Fate::Refused { reply } => (reply.as_str(), false),
                Fate::Expired { reply } => (reply.as_str(), true),
                Fate::Waiting => ("", false),
            };
            About { address: &r.address, parameters: &r.parameters, action, reply, expired }
        })
        .collect();
    if about.is_empty() {
        return None;
    }
    let name: String = random_octets::<12>().ok()?.iter().map(|b| format!("{b:02x}")).collect();
    let domain = options.from.rsplit_once('@').map_or("localhost", |(_, d)| d);
    let until = (action == Action::Delayed).then(|| date(parcel.ends, options));
    let report = Report {
        hostname: &options.hostname,
        council: &options.council,
        from: &options.from,
        to: &sheet.reverse_path,
        id: &format!("{name}@{domain}"),
        date: &date(now, options),
        arrival: &date(sheet.taken, options),
        until: until.as_deref(),
        reference: &sheet.reference,
        subject: sheet.origin.subject.as_deref().unwrap_or_default(),
        parameters: &sheet.mail_parameters,
        upstream: &lane.upstream.server_name,
        about: &about,
        message: content,
    };
    let message = report::compose(&report);
    let gives_up = now.saturating_add(i64::try_from(options.pace.gives_up.as_millis()).unwrap_or(i64::MAX / 2));
    Some(notice_to(&sheet.reverse_path, message, Vec::new(), now, gives_up, &sheet.reference))
}

/// RFC 5322 §3.3, in the council's time.
pub(super) fn date(milliseconds: i64, options: &Options) -> String {
    let time = jiff::Timestamp::from_millisecond(milliseconds).unwrap_or_default().to_zoned(options.time_zone.clone());
    jiff::fmt::rfc2822::to_string(&time).unwrap_or_default()
}
