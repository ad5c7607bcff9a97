//! What a process costs, as Linux counts it under `/proc`.

use std::fs;
use std::time::Duration;

/// CPU time of all threads of a process, user and system.
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    /// Of the threads alive now, to the nanosecond.
    live: Duration,
    /// Of all threads that ever were, to the hundredth of a second.
    all: Duration,
}

impl Cpu {
    /// None where there is no such process, or no `/proc`.
    pub fn of(process: &str) -> Option<Cpu> {
        Some(Cpu { live: living(process)?, all: ticks(process)? })
    }

    /// Time spent since an earlier look: the exact count, unless threads that ended in between took some away with them.
    pub fn since(self, earlier: Cpu) -> Duration {
        let live = self.live.saturating_sub(earlier.live);
        let all = self.all.saturating_sub(earlier.all);
        if all > live + TICK * 2 { all } else { live }
    }
}

/// CPU time of the threads of a process that are alive now, to the nanosecond.
pub fn living(process: &str) -> Option<Duration> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).ok()?.flatten();
    Some(tasks.filter_map(|task| schedstat(&task.path().join("schedstat"))).sum())
}

/// CPU time of the calling thread.
pub fn this_thread() -> Duration {
    schedstat("/proc/thread-self/schedstat".as_ref()).unwrap_or_default()
}

/// Peak resident memory in octets.
pub fn peak_memory(process: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// `USER_HZ` is 100 on every Linux that Rust runs on.
const TICK: Duration = Duration::from_millis(10);

/// The first number of a schedstat file is the time on the processor in nanoseconds.
fn schedstat(path: &std::path::Path) -> Option<Duration> {
    let text = fs::read_to_string(path).ok()?;
    Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
}

/// Fields 14 and 15 of `stat`, counted after the command's name, which may hold spaces and brackets.
fn ticks(process: &str) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut fields = text[text.rfind(')')? + 1..].split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(TICK * (user + system))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted_also_of_threads_that_ended() {
        let Some(before) = Cpu::of("self") else { return };
        let spin = || {
            let mut x = 1u64;
            for i in 0..30_000_000u64 {
                x = std::hint::black_box(x.wrapping_mul(i | 1));
            }
            this_thread()
        };
        let spent = std::thread::spawn(spin).join().unwrap();
        let seen = Cpu::of("self").unwrap().since(before);
        assert!(seen + TICK * 2 >= spent, "{seen:?} {spent:?}");
        assert!(peak_memory("self").unwrap() > 100_000);
    }
}
