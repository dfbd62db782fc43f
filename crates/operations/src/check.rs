//! Is everything that the shop needs there?

use lifecycle::Lifecycle;
use media::MediaStore;
use serde::Serialize;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// Whether it is well.
    pub ok: bool,
    /// What was seen, or what to do.
    pub detail: String,
}

impl Check {
    /// The outcome of looking at `name`.
    pub fn new<T: std::fmt::Display, E: std::fmt::Display>(
        name: &'static str,
        outcome: Result<T, E>,
    ) -> Self {
        match outcome {
            Ok(seen) => Self { name, ok: true, detail: seen.to_string() },
            Err(error) => Self { name, ok: false, detail: error.to_string() },
        }
    }
}

/// Looks at database, schema, this machine's clock, storage and catalogue. What only the caller can reach (KIE's account,
/// the public address) it adds itself.
pub async fn check(lifecycle: &Lifecycle, media: &MediaStore) -> Vec<Check> {
    let store = lifecycle.store();
    let schema = store.schema_version().await.map(|version| format!("version {version}"));
    let skew = lifecycle.measure_skew().await.map(|skew| lifecycle.of_machine(skew));
    let clock = match skew.map(|skew| (skew.is_alarming(), skew.micros / 1000)) {
        Ok((false, off)) => Ok(format!("{off} ms from the database's")),
        Ok((true, off)) => Err(format!(
            "the database's clock differs by {off} ms: leases need them within 2 s; set up NTP on both"
        )),
        Err(error) => Err(format!("the database's clock cannot be measured: {error}")),
    };
    let catalogue = lifecycle.offers().catalogue();
    let faults = catalogue.faults().len();
    let sale =
        format!("version {}, {} models for sale", catalogue.version(), lifecycle.offers().count_for_sale());
    let prices = lifecycle.offers().price_faults();
    vec![
        Check::new("database", store.ping().await.map(|()| store.describe())),
        Check::new("schema", schema),
        Check::new("clock", clock),
        Check::new(
            "storage",
            media.probe().await.map(|()| format!("{}: written, read, deleted", media.describe())),
        ),
        Check::new(
            "catalogue",
            if faults == 0 { Ok(sale) } else { Err(format!("{sale}; {faults} files are broken")) },
        ),
        Check::new(
            "prices",
            if prices.is_empty() { Ok("no faults") } else { Err(format!("PRICES: {}", prices.join("; "))) },
        ),
    ]
}
