//! The table.

use std::time::Duration;

use crate::load::Samples;

/// Its first line.
pub fn head() {
    println!(
        "{:>11}  {:<5} {:>9} {:>9} {:>9} {:>13}",
        "connections", "", "unlocks/s", "p50 ms", "p99 ms", "CPU ms/unlock"
    );
}

/// What was measured at so many connections, and how the backend compares with the floor.
pub fn row(connections: usize, floor: Samples, real: Samples) {
    let floor = Line::of(floor);
    let real = Line::of(real);
    if let Some(floor) = &floor {
        floor.print(connections, "floor");
    }
    if let Some(real) = &real {
        real.print(connections, "real");
    }
    if let (Some(floor), Some(real)) = (floor, real) {
        println!(
            "{connections:>11}  {:<5} {:>9.2} {:>9.2} {:>9.2} {:>13.2}",
            "ratio",
            real.rate / floor.rate,
            real.half / floor.half,
            real.most / floor.most,
            real.processor / floor.processor,
        );
    }
}

/// Answers a second; the times in milliseconds.
struct Line {
    rate: f64,
    half: f64,
    most: f64,
    processor: f64,
}

impl Line {
    /// `None` where nothing was measured.
    fn of(mut samples: Samples) -> Option<Self> {
        let rate = samples.rate();
        rate.is_normal().then(|| Self {
            rate,
            half: ms(samples.percentile(0.5)),
            most: ms(samples.percentile(0.99)),
            processor: ms(samples.processor()),
        })
    }

    fn print(&self, connections: usize, name: &str) {
        let Self {
            rate,
            half,
            most,
            processor,
        } = self;
        println!("{connections:>11}  {name:<5} {rate:>9.0} {half:>9.2} {most:>9.2} {processor:>13.3}");
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
