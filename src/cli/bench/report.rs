//! What the burst came to: medians of the runs, each gateway run held against the direct run beside it.

use std::fmt::Write;

use serde::Serialize;

/// One run of the load.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    pub messages: usize,
    pub errors: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_error: Option<String>,
    /// Recipients that were acknowledged but did not reach the sink, and those that reached it twice; null without a sink.
    pub lost: Option<u64>,
    pub doubled: Option<u64>,
    pub seconds: f64,
    pub messages_per_second: f64,
    pub recipients_per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// CPU seconds for 1,000 messages: of the load and the sink together.
    pub ends_cpu: Option<f64>,
    /// CPU seconds for 1,000 messages: of the gateway's process.
    pub gateway_cpu: Option<f64>,
}

/// Medians of several runs.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub messages_per_second: f64,
    pub recipients_per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub cpu_per_1000: Option<f64>,
}

/// Medians over the pairs of one gateway run and one direct run. All are "more is better".
#[derive(Clone, Debug, Serialize)]
pub struct Ratios {
    /// Messages a second, gateway ÷ direct.
    pub speed: f64,
    /// CPU seconds a message, load and sink of the direct run ÷ gateway: the steadier figure.
    pub thrift: Option<f64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub load: serde_json::Value,
    pub gateway: Option<Summary>,
    pub direct: Option<Summary>,
    pub ratios: Option<Ratios>,
    /// Octets.
    pub gateway_peak_memory: Option<u64>,
    pub errors: usize,
    pub lost: u64,
    pub doubled: u64,
    pub gateway_runs: Vec<Run>,
    pub direct_runs: Vec<Run>,
}

impl Report {
    pub fn new(load: serde_json::Value, gateway_runs: Vec<Run>, direct_runs: Vec<Run>, gateway_peak_memory: Option<u64>) -> Report {
        let all = || gateway_runs.iter().chain(&direct_runs);
        Report {
            load,
            gateway: summary(&gateway_runs, |r| r.gateway_cpu),
            direct: summary(&direct_runs, |r| r.ends_cpu),
            ratios: ratios(&gateway_runs, &direct_runs),
            gateway_peak_memory,
            errors: all().map(|r| r.errors).sum(),
            lost: all().filter_map(|r| r.lost).sum(),
            doubled: all().filter_map(|r| r.doubled).sum(),
            gateway_runs,
            direct_runs,
        }
    }

    /// For a person to read.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let _ =
            writeln!(out, "{:<9} {:>12} {:>12} {:>9} {:>9} {:>14}", "", "messages/s", "recipients/s", "p50 ms", "p99 ms", "CPU-s per 1000");
        for (name, summary) in [("direct", &self.direct), ("gateway", &self.gateway)] {
            let Some(s) = summary else { continue };
            let cpu = s.cpu_per_1000.map_or("–".to_owned(), |c| format!("{c:.4}"));
            let _ = writeln!(
                out,
                "{name:<9} {:>12.0} {:>12.0} {:>9.2} {:>9.2} {cpu:>14}{}",
                s.messages_per_second,
                s.recipients_per_second,
                s.p50_ms,
                s.p99_ms,
                if name == "direct" && s.cpu_per_1000.is_some() { "  (load and sink)" } else { "" }
            );
        }
        if let Some(ratios) = &self.ratios {
            let _ = write!(out, "gateway ÷ direct: {:.3} of the messages a second", ratios.speed);
            if let Some(thrift) = ratios.thrift.filter(|t| *t > 0.0) {
                let _ = write!(out, "; {:.2} times the CPU of load and sink", 1.0 / thrift);
            }
            out.push('\n');
        }
        if let Some(peak) = self.gateway_peak_memory {
            let _ = writeln!(out, "gateway's peak memory: {:.1} MiB", peak as f64 / 1_048_576.0);
        }
        if self.errors + self.lost as usize + self.doubled as usize > 0 {
            let first = self.gateway_runs.iter().chain(&self.direct_runs).find_map(|r| r.first_error.as_deref()).unwrap_or("none");
            let _ =
                writeln!(out, "errors: {}, recipients lost: {}, doubled: {}; first error: {first}", self.errors, self.lost, self.doubled);
        }
        out
    }

    /// Whether everything that was sent arrived once.
    pub fn is_clean(&self) -> bool {
        self.errors == 0 && self.lost == 0 && self.doubled == 0
    }
}

fn summary(runs: &[Run], cpu: impl Fn(&Run) -> Option<f64>) -> Option<Summary> {
    Some(Summary {
        messages_per_second: median(runs.iter().map(|r| r.messages_per_second))?,
        recipients_per_second: median(runs.iter().map(|r| r.recipients_per_second))?,
        p50_ms: median(runs.iter().map(|r| r.p50_ms))?,
        p99_ms: median(runs.iter().map(|r| r.p99_ms))?,
        cpu_per_1000: median(runs.iter().filter_map(cpu)),
    })
}

fn ratios(gateway: &[Run], direct: &[Run]) -> Option<Ratios> {
    let pairs = || gateway.iter().zip(direct);
    let quotient = |above: f64, below: f64| if below > 0.0 { above / below } else { 0.0 };
    Some(Ratios {
        speed: median(pairs().map(|(g, d)| quotient(g.messages_per_second, d.messages_per_second)))?,
        thrift: median(pairs().filter_map(|(g, d)| Some(quotient(d.ends_cpu?, g.gateway_cpu?)))),
    })
}

/// None of nothing; the mean of the middle two of an even number.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => sorted.get(middle).copied(),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(speed: f64, ends: f64, gateway: Option<f64>) -> Run {
        Run {
            messages: 10,
            errors: 0,
            first_error: None,
            lost: Some(0),
            doubled: Some(0),
            seconds: 1.0,
            messages_per_second: speed,
            recipients_per_second: speed,
            p50_ms: 1.0,
            p99_ms: 2.0,
            ends_cpu: Some(ends),
            gateway_cpu: gateway,
        }
    }

    #[test]
    fn ratios_are_taken_pair_by_pair() {
        let gateway = vec![run(50.0, 9.0, Some(2.0)), run(10.0, 9.0, Some(4.0)), run(60.0, 9.0, Some(1.0))];
        let direct = vec![run(100.0, 1.0, None), run(100.0, 1.0, None), run(200.0, 1.0, None)];
        let report = Report::new(serde_json::Value::Null, gateway, direct, None);
        let ratios = report.ratios.clone().unwrap();
        assert_eq!((ratios.speed, ratios.thrift), (0.3, Some(0.5)));
        assert!(report.is_clean());
        assert!(report.text().contains("0.300 of the messages a second; 2.00 times the CPU"), "{}", report.text());
        assert_eq!(median([1.0, 4.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }
}
