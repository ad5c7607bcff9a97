//! A signed receipt of a purge or of an erasure, and whether all of them hold.

use askama::Template;
use axum::extract::{Path, Query};

use super::frame::{Answer, Frame, Signed, show};
use crate::office::retention;
use crate::office::rights::STAYS;
use crate::office::roles::Right;
use crate::records::Keeping;

#[derive(Template)]
#[template(path = "receipt.html", config = "src/console/askama.toml")]
struct Page {
    frame: Frame,
    number: u64,
    back: (String, String),
    of_erasure: bool,
    says: Vec<String>,
    stays: &'static [&'static str],
    whole: bool,
    verdict: Vec<String>,
    body: String,
    signature: String,
    key: String,
}

#[derive(serde::Deserialize)]
pub(super) struct From {
    #[serde(default)]
    request: Option<u32>,
}

pub(super) async fn one(signed: Signed, Path(number): Path<u64>, Query(from): Query<From>) -> Answer {
    signed.must(&[Right::Rights, Right::Retention])?;
    let (receipt, verified, key) = signed
        .ask(move |_, options| {
            let receipt = retention::receipt_of(options, number)?;
            Ok((receipt, retention::verify(options)?, Keeping::open(options)?.receipt_key()?))
        })
        .await?;
    let read = receipt.receipt()?;
    let says = retention::receipt_words(&read, &signed.settings.time_zone).lines().map(|line| line.trim().to_string()).collect();
    let whole = verified.faults.is_empty();
    let verdict = if whole {
        vec![format!(
            "Each of {} receipts, {} to {}, is as it was signed and in its place.",
            verified.receipts, verified.first, verified.last
        )]
    } else {
        verified.faults
    };
    let back = match from.request {
        Some(id) => (format!("/rights/{id}"), format!("Request {id}")),
        None if signed.may(Right::Retention) => ("/retention".into(), "Retention".into()),
        None => ("/rights".into(), "All requests".into()),
    };
    show(&Page {
        frame: signed.frame(if from.request.is_some() { "/rights" } else { "/retention" }),
        number,
        back,
        of_erasure: read.erasure.is_some(),
        says,
        stays: &STAYS,
        whole,
        verdict,
        signature: receipt.signature.iter().map(|b| format!("{b:02x}")).collect(),
        body: receipt.body,
        key,
    })
}
