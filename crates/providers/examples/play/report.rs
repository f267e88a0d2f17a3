//! The table: a line for each provider, what differs, and the sum.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::case::Case;
use crate::play::Verdict;
use crate::rule::{Rule, Used};

/// What was played so far.
#[derive(Default)]
pub(crate) struct Report {
    verbose: bool,
    providers: Vec<Line>,
    failures: Vec<String>,
    left_out: BTreeMap<&'static str, usize>,
    used: BTreeMap<Rule, usize>,
    advised: usize,
}

/// The counts of one provider.
#[derive(Default)]
struct Line {
    provider: String,
    cases: usize,
    passed: usize,
    left_out: usize,
    /// Names of what differs, in the order of their first coming.
    differs: Vec<String>,
}

impl Report {
    pub(crate) fn new(verbose: bool) -> Self {
        Self { verbose, ..Self::default() }
    }

    /// Begins the line of a provider.
    pub(crate) fn provider(&mut self, name: &str) {
        self.providers.push(Line { provider: name.to_owned(), ..Line::default() });
    }

    /// Adds a case to the line.
    pub(crate) fn case(&mut self, case: &Case, verdict: &Verdict, used: &Used) {
        let Some(line) = self.providers.last_mut() else {
            return;
        };
        line.cases += 1;
        match verdict {
            Verdict::Passed => {
                line.passed += 1;
                for rule in used {
                    *self.used.entry(*rule).or_default() += 1;
                }
                self.advised += usize::from(case.advice.is_some());
            }
            Verdict::LeftOut(why) => {
                line.left_out += 1;
                *self.left_out.entry(why).or_default() += 1;
            }
            Verdict::Failed(differences) => {
                let shown = if self.verbose { differences.len() } else { 1 };
                let mut text: String =
                    differences.iter().take(shown).map(|difference| format!("    {difference}\n")).collect();
                let hidden = differences.len().saturating_sub(shown);
                if hidden > 0 {
                    text.push_str(&format!("    … and {hidden} more\n"));
                }
                self.fail(&case.case, &text);
            }
        }
    }

    /// Adds what should be a case and is none.
    pub(crate) fn unreadable(&mut self, name: &str, error: &str) {
        if let Some(line) = self.providers.last_mut() {
            line.cases += 1;
        }
        self.fail(name, &format!("    it cannot be read: {error}\n"));
    }

    fn fail(&mut self, case: &str, text: &str) {
        if let Some(line) = self.providers.last_mut() {
            line.differs.push(case.to_owned());
            self.failures.push(format!("FAIL {} / {case}\n{text}", line.provider));
        }
    }

    /// Writes it all. True when nothing failed, and something was played.
    ///
    /// # Errors
    /// Nobody listens.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<bool> {
        for failure in &self.failures {
            writeln!(out, "{failure}")?;
        }
        let sum = |count: fn(&Line) -> usize| self.providers.iter().map(count).sum::<usize>();
        let (cases, passed, left_out) =
            (sum(|line| line.cases), sum(|line| line.passed), sum(|line| line.left_out));
        writeln!(out, "{:<20} {:>5} {:>6}  differs", "provider", "cases", "passed")?;
        for line in &self.providers {
            let mut differs = line.differs.join(", ");
            if line.left_out > 0 {
                differs = format!("{} left out {differs}", line.left_out);
            }
            let row = format!("{:<20} {:>5} {:>6}  {differs}", line.provider, line.cases, line.passed);
            writeln!(out, "{}", row.trim_end())?;
        }
        let failed = self.failures.len();
        writeln!(
            out,
            "\n{} providers, {cases} cases: {passed} passed, {failed} failed, {left_out} left out.",
            self.providers.len(),
        )?;
        for (why, count) in &self.left_out {
            writeln!(out, "  {count:>4} left out: {why}")?;
        }
        if self.advised > 0 {
            writeln!(
                out,
                "  {:>4} judged by their advice, as the reference's outcome is none to follow",
                self.advised
            )?;
        }
        for (rule, count) in &self.used {
            writeln!(out, "  {count:>4} on purpose: {}", rule.text())?;
        }
        Ok(failed == 0 && cases > 0)
    }
}
