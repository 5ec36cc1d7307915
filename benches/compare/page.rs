//! What the programs that write tables share: figures, the machine, and the page the tables stand in.

use std::path::Path;

const FILE: &str = "docs/performance.md";

pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

pub fn load_average() -> String {
    let line = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    line.split(' ').next().unwrap_or("?").to_string()
}

pub fn machine() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpuinfo.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(':').nth(1));
    let cpus = std::thread::available_parallelism().map_or(0, |n| n.get());
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cpus} × {}, Linux {}", model.unwrap_or("unknown CPU").trim(), kernel.trim())
}

pub fn figure(value: f64) -> String {
    match value.abs() {
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Replaces what stands between the marks of a program, which are those of `cargo bench --bench PROGRAM`.
pub fn write(program: &str, text: &str) {
    let mark = |word: &str| format!("<!-- written by cargo bench --bench {program}: {word} -->");
    let (begin, end) = (mark("begin"), mark("end"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{FILE}: {error}"));
    let (Some(from), Some(to)) = (page.find(&begin), page.find(&end)) else {
        return eprintln!("{FILE} has no place for the table: nothing written");
    };
    let page = format!("{}\n\n{text}\n{}", &page[..from + begin.len()], &page[to..]);
    std::fs::write(&path, page).unwrap_or_else(|error| panic!("{FILE}: {error}"));
    println!("{FILE} has the table now");
}
