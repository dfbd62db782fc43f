//! How figures are told.

use std::io::Write;

/// One figure beside its bar.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) name: String,
    /// With its unit, and its spread where it was measured more than once.
    pub(crate) value: String,
    pub(crate) bar: String,
    pub(crate) met: bool,
}

impl Figure {
    pub(crate) fn new(
        name: impl Into<String>,
        value: impl Into<String>,
        bar: impl Into<String>,
        met: bool,
    ) -> Self {
        Self { name: name.into(), value: value.into(), bar: bar.into(), met }
    }
}

/// The table of all figures.
pub(crate) fn print(figures: &[Figure]) -> anyhow::Result<()> {
    say("")?;
    say(&format!("{:48} {:32} {:12} verdict", "figure", "measured", "bar"))?;
    for figure in figures {
        let verdict = if figure.met { "met" } else { "MISSED" };
        say(&format!("{:48} {:32} {:12} {verdict}", figure.name, figure.value, figure.bar))?;
    }
    Ok(())
}

/// One line on standard output, at once.
pub(crate) fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}

/// The middle value; NaN of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value below which this share lies; NaN of none.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index of a list in memory, and a share from 0 to 1"
    )]
    let place = ((sorted.len().saturating_sub(1)) as f64 * share).round() as usize;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

/// `median (lowest to highest)`.
pub(crate) fn spread(values: &[f64], digits: usize) -> String {
    let (low, high) = (quantile(values, 0.0), quantile(values, 1.0));
    format!("{:.digits$} ({low:.digits$} to {high:.digits$})", median(values))
}
