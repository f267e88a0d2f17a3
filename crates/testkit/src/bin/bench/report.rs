//! The table.

use crate::rounds::Measured;

/// Where a number must lie.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

/// A line of the table; what it does not have stays blank.
#[derive(Debug, Default)]
pub(crate) struct Line {
    scenario: String,
    subject: &'static str,
    rate: String,
    median: String,
    slowest: String,
    processor: String,
    result: String,
    target: String,
    verdict: &'static str,
}

impl Line {
    /// What a subject did. Its result comes with [`Line::judged`].
    pub(crate) fn measured(scenario: &str, subject: &'static str, measured: &Measured) -> Self {
        let Measured { sample, processor, .. } = measured;
        Self {
            scenario: scenario.to_owned(),
            subject,
            rate: format!("{:.0}", sample.rate()),
            median: format!("{:.2}", sample.percentile(0.5)),
            slowest: format!("{:.2}", sample.percentile(0.99)),
            processor: processor.map_or_else(String::new, |used| {
                format!("{:.0}", used.as_secs_f64() * 1e6 / sample.count().max(1) as f64)
            }),
            ..Self::default()
        }
    }

    /// A line that holds nothing but its result.
    pub(crate) fn plain(scenario: &str, subject: &'static str) -> Self {
        Self { scenario: scenario.to_owned(), subject, ..Self::default() }
    }

    /// With a result of this unit, and where it should lie.
    pub(crate) fn judged(mut self, result: f64, unit: &str, target: Option<Target>) -> Self {
        self.result = format!("{result:.2}{unit}");
        if let Some(target) = target {
            let (sign, bound, met) = match target {
                Target::AtLeast(bound) => (">=", bound, result >= bound),
                Target::AtMost(bound) => ("<=", bound, result <= bound),
            };
            self.target = format!("{sign} {bound}{unit}");
            self.verdict = if met { "met" } else { "MISSED" };
        }
        self
    }
}

/// All lines under one head, each column as wide as its widest cell.
pub(crate) fn table(lines: &[Line]) -> String {
    let head =
        ["scenario", "subject", "answers/s", "p50 ms", "p99 ms", "CPU us each", "result", "target", ""];
    let rows: Vec<[&str; 9]> = std::iter::once(head).chain(lines.iter().map(cells)).collect();
    let widths: [usize; 9] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0));
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.into_iter().zip(widths).enumerate() {
            // Words to the left, numbers to the right.
            line += &if (2..7).contains(&column) {
                format!("{cell:>width$}  ")
            } else {
                format!("{cell:<width$}  ")
            };
        }
        text += line.trim_end();
        text += "\n";
    }
    text
}

fn cells(line: &Line) -> [&str; 9] {
    let Line { scenario, subject, rate, median, slowest, processor, result, target, verdict } = line;
    [scenario, subject, rate, median, slowest, processor, result, target, verdict]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_targets_are_judged() {
        let lines = [
            Line::plain("a", "x").judged(0.875, "", Some(Target::AtLeast(0.9))),
            Line::plain("longer", "y").judged(12.0, " ms", Some(Target::AtMost(50.0))),
        ];
        let text = table(&lines);
        let rows: Vec<&str> = text.lines().collect();
        assert!(rows[1].ends_with("0.88  >= 0.9    MISSED"), "{text}");
        assert!(rows[2].ends_with("12.00 ms  <= 50 ms  met"), "{text}");
        assert_eq!(rows[1].find(">="), rows[2].find("<="));
    }
}
