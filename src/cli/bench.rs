//! `lychgate bench`: the burst benchmark. Load → gateway → counting sink on loopback, beside the same load straight to the sink.
//!
//! Absolute figures say more about the machine than about the gateway; the ratios to the direct run beside each run are what
//! to compare, and of these the CPU time is the steadier. Blocking sockets and plain threads keep the two ends cheap.

mod gateway;
mod load;
mod process;
mod report;
mod sink;
mod wire;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;

use gateway::{Gateway, Rules, Tls};
use load::{Load, Outcome};
use process::Cpu;
use report::{Report, Run};
use sink::Sink;
use wire::{Certificate, SERVER_NAME};

/// Drive a burst of messages through a gateway and print what it costs, beside the same burst with no gateway.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    burst: Burst,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run only the counting sink, until it is stopped.
    Sink {
        /// Where it listens.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:2600")]
        bind: String,
    },
}

#[derive(Debug, clap::Args)]
struct Burst {
    /// A gateway that runs already; without it one is started with a site of its own.
    #[arg(long, value_name = "ADDR")]
    to: Option<String>,
    /// Run the sink here, where the gateway given with --to sends its mail.
    #[arg(long, value_name = "ADDR")]
    sink: Option<String>,
    /// Rules of the gateway that is started. The monitoring record is kept either way.
    #[arg(long, value_enum, default_value_t = Rules::Shipped)]
    rules: Rules,
    /// Messages in one run.
    #[arg(long, default_value_t = 4000, value_parser = positive)]
    messages: usize,
    /// Octets of one message.
    #[arg(long, default_value_t = 10_240)]
    size: usize,
    /// Recipients of one message.
    #[arg(long, default_value_t = 1, value_parser = positive)]
    recipients: usize,
    /// How many of the recipients To names.
    #[arg(long, default_value_t = 1, value_parser = positive)]
    visible: usize,
    /// Connections at a time.
    #[arg(long, default_value_t = 20, value_parser = positive)]
    connections: usize,
    /// Messages on one connection; 0 keeps each open to the end.
    #[arg(long, default_value_t = 1)]
    per_connection: usize,
    /// MAIL, every RCPT and DATA in one write.
    #[arg(long)]
    pipelining: bool,
    /// STARTTLS from the client, a full handshake for each connection.
    #[arg(long)]
    tls: bool,
    /// STARTTLS from the gateway that is started to the sink.
    #[arg(long)]
    upstream_tls: bool,
    /// With --to and --tls: the roots (PEM) to believe.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// With --to and --tls: the name that the certificate bears.
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// Pairs of runs; medians are printed.
    #[arg(long, default_value_t = 3, value_parser = positive)]
    repeat: usize,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Put so many gateways more in the way, to see that a floor notices.
    #[arg(long, default_value_t = 0, hide = true)]
    handicap: usize,
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a number from 1 up".into()),
        Ok(n) => Ok(n),
    }
}

/// Exit 0 if everything that was sent arrived once.
pub fn run(args: Args) -> ExitCode {
    let result = match args.command {
        Some(Command::Sink { bind }) => count_for_ever(&bind),
        None => burst(&args.burst),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn burst(options: &Burst) -> io::Result<ExitCode> {
    let certificate = Certificate::make()?;
    let bench = Bench::set_up(options, &certificate)?;
    let mut gateway_runs = Vec::new();
    let mut direct_runs = Vec::new();
    // Caches fill, threads start, tables grow: not what is to be measured.
    let warm_up = (options.messages / 5).clamp(1, 1000);
    bench.run(&Load { messages: warm_up, ..bench.load.clone() }, Way::Gateway)?;
    for pair in 0..options.repeat {
        // Whatever slows the machine down by and by meets both.
        let order = if pair % 2 == 0 { [Way::Direct, Way::Gateway] } else { [Way::Gateway, Way::Direct] };
        for way in order {
            match way {
                Way::Gateway => gateway_runs.push(bench.run(&bench.load, way)?),
                Way::Direct if bench.sink.is_some() => direct_runs.push(bench.run(&bench.direct_load, way)?),
                Way::Direct => {}
            }
        }
    }
    let peak = bench.chain.iter().filter_map(Gateway::peak_memory).max();
    let report = Report::new(describe(options), gateway_runs, direct_runs, peak);
    if options.json {
        println!("{}", serde_json::to_string(&report).map_err(io::Error::other)?);
    } else {
        print!("{}", report.text());
    }
    if report.is_clean() {
        return Ok(ExitCode::SUCCESS);
    }
    for gateway in &bench.chain {
        eprintln!("{}", gateway.last_words());
    }
    Ok(ExitCode::FAILURE)
}

#[derive(Clone, Copy)]
enum Way {
    Gateway,
    Direct,
}

/// Everything that stands while the runs go by.
struct Bench {
    to: SocketAddr,
    sink: Option<Sink>,
    /// The gateways that were started, the first one the load's.
    chain: Vec<Gateway>,
    load: Load,
    direct_load: Load,
}

impl Bench {
    fn set_up(options: &Burst, certificate: &Certificate) -> io::Result<Bench> {
        let mut load = Load {
            messages: options.messages,
            size: options.size,
            recipients: options.recipients,
            visible: options.visible,
            connections: options.connections,
            per_connection: options.per_connection,
            pipelining: options.pipelining,
            tls: None,
        };
        let own_tls = Some((certificate.client.clone(), ServerName::try_from(SERVER_NAME).map_err(io::Error::other)?));
        let direct_load = Load { tls: own_tls.clone().filter(|_| options.tls), ..load.clone() };
        let sink_tls = (options.tls || options.upstream_tls).then(|| certificate.server.clone());
        if let Some(to) = &options.to {
            let sink = options.sink.as_deref().map(|a| Sink::start(resolve(a)?, sink_tls)).transpose()?;
            load.tls = if options.tls { Some(foreign_tls(options)?) } else { None };
            return Ok(Bench { to: resolve(to)?, sink, chain: Vec::new(), load, direct_load });
        }
        let bind = options.sink.as_deref().map_or_else(gateway::free_port, resolve)?;
        let sink = Sink::start(bind, sink_tls)?;
        let mut chain = Vec::new();
        let mut to = sink.address();
        for link in 0..=options.handicap {
            let tls = Tls { from_client: options.tls, to_upstream: if link == 0 { options.upstream_tls } else { options.tls } };
            let gateway = Gateway::start(to, options.rules, tls, certificate)?;
            to = gateway.address();
            chain.insert(0, gateway);
        }
        load.tls = own_tls.filter(|_| options.tls);
        Ok(Bench { to, sink: Some(sink), chain, load, direct_load })
    }

    fn run(&self, load: &Load, way: Way) -> io::Result<Run> {
        let to = match (way, &self.sink) {
            (Way::Direct, Some(sink)) => sink.address(),
            _ => self.to,
        };
        let counted = self.sink.as_ref().map(Sink::count).unwrap_or_default();
        let gateways: Vec<Option<Cpu>> = self.chain.iter().map(Gateway::cpu).collect();
        let own = process::living("self");
        let outcome = load::send(load, to)?;
        // The sending threads have ended and counted for themselves; the sink's threads live on.
        let ends = own.and_then(|before| Some(process::living("self")?.saturating_sub(before) + outcome.cpu));
        let mut finished = outcome.finished;
        let mut run = Run {
            messages: outcome.sent,
            errors: outcome.errors,
            first_error: outcome.first_error.clone(),
            lost: None,
            doubled: None,
            seconds: 0.0,
            messages_per_second: 0.0,
            recipients_per_second: 0.0,
            p50_ms: milliseconds(outcome.quantile(0.50)),
            p99_ms: milliseconds(outcome.quantile(0.99)),
            ends_cpu: None,
            gateway_cpu: None,
        };
        if let Some(sink) = &self.sink {
            let due = (outcome.sent * load.recipients) as u64;
            let seen = wait_for(sink, counted.recipients + due) - counted.recipients;
            run.lost = Some(due.saturating_sub(seen));
            // A message whose reply was lost may have arrived all the same: only without errors is more than was sent a double.
            run.doubled = Some(if outcome.errors == 0 { seen.saturating_sub(due) } else { 0 });
            if outcome.sent > 0 && sink.last() > outcome.started {
                // Behind a gateway that queues, delivery is what counts, not acceptance.
                finished = finished.max(sink.last());
            }
        }
        if matches!(way, Way::Gateway) {
            // What is left to do behind the reply, such as writing the record, is the gateway's cost too.
            std::thread::sleep(SETTLE);
            let spent = self.chain.iter().zip(gateways).map(|(g, before)| Some(g.cpu()?.since(before?)));
            run.gateway_cpu = spent.sum::<Option<Duration>>().filter(|_| !self.chain.is_empty()).map(|cpu| per_thousand(cpu, &outcome));
        }
        run.seconds = (finished - outcome.started).as_secs_f64();
        run.messages_per_second = outcome.sent as f64 / run.seconds;
        run.recipients_per_second = run.messages_per_second * load.recipients as f64;
        run.ends_cpu = ends.filter(|_| self.sink.is_some()).map(|cpu| per_thousand(cpu, &outcome));
        Ok(run)
    }
}

const SETTLE: Duration = Duration::from_millis(300);

fn per_thousand(cpu: Duration, outcome: &Outcome) -> f64 {
    cpu.as_secs_f64() * 1000.0 / outcome.sent.max(1) as f64
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Waits for the sink to have seen so many recipients, as long as there is progress, and says how many it has.
fn wait_for(sink: &Sink, recipients: u64) -> u64 {
    const PATIENCE: Duration = Duration::from_secs(10);
    let mut seen = sink.count().recipients;
    let mut since = Instant::now();
    while seen < recipients && since.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(2));
        let now = sink.count().recipients;
        if now > seen {
            (seen, since) = (now, Instant::now());
        }
    }
    seen
}

fn count_for_ever(bind: &str) -> io::Result<ExitCode> {
    let sink = Sink::start(resolve(bind)?, None)?;
    println!("The counting sink listens on {}.", sink.address());
    let mut shown = sink.count();
    let mut before = shown;
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let now = sink.count();
        // Say something when a burst is over, not in its midst.
        if now == before && now != shown {
            println!(
                "{} messages, {} recipients, {} octets over {} connections; {} cut off",
                now.messages, now.recipients, now.octets, now.connections, now.cut_off
            );
            shown = now;
        }
        before = now;
    }
}

fn resolve(address: &str) -> io::Result<SocketAddr> {
    let found = address.to_socket_addrs().map_err(|e| io::Error::new(e.kind(), format!("{address}: {e}")))?.next();
    found.ok_or_else(|| io::Error::other(format!("{address}: no such address")))
}

fn foreign_tls(options: &Burst) -> io::Result<(std::sync::Arc<rustls::ClientConfig>, ServerName<'static>)> {
    use rustls::pki_types::pem::PemObject;
    let (Some(ca), Some(name)) = (&options.ca, &options.server_name) else {
        return Err(io::Error::other("--tls with --to needs --ca FILE and --server-name NAME"));
    };
    let roots = rustls::pki_types::CertificateDer::pem_file_iter(ca)
        .and_then(|all| all.collect::<Result<Vec<_>, _>>())
        .map_err(io::Error::other)?;
    Ok((wire::client_that_trusts(&roots)?, ServerName::try_from(name.clone()).map_err(io::Error::other)?))
}

fn describe(options: &Burst) -> serde_json::Value {
    serde_json::json!({
        "messages": options.messages, "size": options.size, "recipients": options.recipients, "visible": options.visible,
        "connections": options.connections, "per_connection": options.per_connection, "pipelining": options.pipelining,
        "tls": options.tls, "upstream_tls": options.upstream_tls, "repeat": options.repeat, "handicap": options.handicap,
        "rules": match options.rules { Rules::None => "none", Rules::Shipped => "shipped" },
    })
}
