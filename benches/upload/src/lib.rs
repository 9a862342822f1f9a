//! What the contestants have in common: where to upload to, and how to tell what it took.

use std::fs;
use std::time::Instant;

/// Where to upload what to, by the environment.
#[derive(Debug)]
pub struct Task {
    pub endpoint: String,
    pub bucket: String,
    pub access_key_id: String,
    pub secret_access_key: String,
    pub key: String,
    pub file: String,
}

impl Task {
    /// # Panics
    /// When a variable is missing.
    pub fn from_env() -> Self {
        let get = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is missing"));
        Self {
            endpoint: get("BENCH_ENDPOINT"),
            bucket: get("BENCH_BUCKET"),
            access_key_id: get("BENCH_ACCESS_KEY_ID"),
            secret_access_key: get("BENCH_SECRET_ACCESS_KEY"),
            key: get("BENCH_KEY"),
            file: get("BENCH_FILE"),
        }
    }
}

/// An upload that is measured from here on: nothing but connecting was done before.
#[derive(Debug)]
pub struct Measured {
    start: Instant,
    idle_kib: u64,
}

impl Measured {
    pub fn begin() -> Self {
        Self { start: Instant::now(), idle_kib: status("VmRSS:") }
    }

    /// Prints one line of JSON: seconds, and the peak of memory above the idle process.
    pub fn end(self) {
        let seconds = self.start.elapsed().as_secs_f64();
        let above = status("VmHWM:").saturating_sub(self.idle_kib);
        println!("{{\"seconds\": {seconds}, \"kib_above_idle\": {above}}}");
    }
}

/// A figure of `/proc/self/status`, in KiB.
fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux tells this");
    line.split_whitespace().next().and_then(|text| text.parse().ok()).expect("a number of KiB")
}
