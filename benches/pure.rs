//! Pure benchmarks: no socket, no file, no clock within what is measured, so that instructions can be counted.
//!
//! `pure NAME ITERATIONS` does one of them that often and prints nothing; `benches/floor.py` runs it under callgrind with two
//! iteration counts and takes the difference. `pure list` names them. Without arguments (`cargo bench`) each is timed.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use lychgate::message::{EditPlan, RawMessage, Splice};

/// One benchmark: sets up, and gives back what one iteration does.
type Set = fn() -> Box<dyn FnMut()>;

const ALL: &[(&str, Set)] = &[("splice-untouched", splice_untouched), ("splice-hide", splice_hide)];

fn main() -> ExitCode {
    // `cargo bench` adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => time_all(),
        ["list"] => ALL.iter().for_each(|(name, _)| println!("{name}")),
        [name, iterations] => {
            let (Some((_, set)), Ok(iterations)) = (ALL.iter().find(|(n, _)| n == name), iterations.parse::<u64>()) else {
                return usage();
            };
            let mut once = set();
            (0..iterations).for_each(|_| once());
        }
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("pure [list | NAME ITERATIONS]");
    ExitCode::FAILURE
}

fn time_all() {
    for (name, set) in ALL {
        let mut once = set();
        let mut iterations = 1u64;
        let nanoseconds = loop {
            let start = Instant::now();
            (0..iterations).for_each(|_| once());
            let spent = start.elapsed();
            if spent.as_millis() >= 200 {
                break spent.as_nanos() as f64 / iterations as f64;
            }
            iterations *= 2;
        };
        println!("{name:<24} {nanoseconds:>12.1} ns each");
    }
}

/// An agenda to seventeen residents, 10 KiB.
fn agenda() -> RawMessage {
    let mut text = String::from(
        "Received: from laptop ([192.0.2.7]) by mail.example; Thu, 14 May 2026 10:11:12 +0100\r\nFrom: The Clerk <clerk@council.example>\r\nTo: ",
    );
    for k in 0..17 {
        text.push_str(&format!("{}Resident {k} <resident{k}@village.example>", if k > 0 { ",\r\n " } else { "" }));
    }
    text.push_str("\r\nSubject: Agenda\r\nDate: Thu, 14 May 2026 10:11:12 +0100\r\nMessage-ID: <1.bench@council.example>\r\n\r\n");
    while text.len() < 10_240 {
        text.push_str("The council will consider the hedge, the drain and the footpath.\r\n");
    }
    RawMessage::new(text.into_bytes())
}

/// The common case: one Received field in front, nothing else.
fn splice_untouched() -> Box<dyn FnMut()> {
    let message = agenda();
    Box::new(move || {
        let mut plan = EditPlan::new();
        plan.prefix(b"Received: from a by b with ESMTPA id 7F3K; Thu, 14 May 2026 10:11:12 +0100\r\n");
        let splice = Splice::apply(black_box(&message), &plan);
        black_box(splice.slices().iter().map(|s| s.len()).sum::<usize>());
    })
}

/// To replaced, one Received field in front.
fn splice_hide() -> Box<dyn FnMut()> {
    let message = agenda();
    let find = |what: &[u8]| memchr::memmem::find(message.as_bytes(), what).expect("the field stands in the message");
    let to = find(b"\r\nTo:") + 2..find(b"\r\nSubject:") + 2;
    Box::new(move || {
        let mut plan = EditPlan::new();
        plan.prefix(b"Received: from a by b with ESMTPA id 7F3K; Thu, 14 May 2026 10:11:12 +0100\r\n");
        plan.edit(to.clone(), &b"To: undisclosed-recipients:;\r\n"[..]).expect("one edit overlaps no other");
        let splice = Splice::apply(black_box(&message), &plan);
        black_box(splice.slices().iter().map(|s| s.len()).sum::<usize>());
    })
}
