//! Reading the whole catalogue, validation beside bare `jsonschema`, and the slowest model against the bars.

#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::collections::BTreeSet;
use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use kie_catalogue::{Catalogue, Model};
use serde_json::Value;

/// Half of all models take less.
const TYPICAL_BAR: Duration = Duration::from_micros(15);
/// No model takes more.
const WORST_BAR: Duration = Duration::from_micros(200);

/// Reading and compiling all models takes no longer.
const LOAD_BAR: Duration = Duration::from_millis(150);

/// How often an input is validated for the figure of its model, which is the median.
const RUNS: usize = 201;

/// The input that is measured.
type Sample = fn(&Model) -> &Value;

/// What every model has: one input that passes, and one of which all faults are told.
const SAMPLES: [(&str, Sample); 2] =
    [("accept the example", Model::example), ("refuse the bad example in words", Model::bad_example)];

fn load(c: &mut Criterion) {
    c.bench_function("read and compile the catalogue", |b| b.iter(|| Catalogue::packed().unwrap()));
}

fn typical(c: &mut Criterion) {
    let catalogue = Catalogue::packed().unwrap();
    let mut ids = BTreeSet::from(["z-image", "kling-2.6/text-to-video"]);
    ids.extend(SAMPLES.map(|(_, sample)| ranked(&catalogue, sample).pop().unwrap().1));
    for id in ids {
        let model = catalogue.get(id).unwrap();
        let bare =
            jsonschema::draft202012::options().should_validate_formats(true).build(model.schema()).unwrap();
        let mut group = c.benchmark_group(id);
        for (name, sample) in SAMPLES {
            group.bench_function(name, |b| {
                b.iter_batched(
                    || sample(model).clone(),
                    |input| model.validate(input).is_ok(),
                    BatchSize::SmallInput,
                );
            });
        }
        group.bench_function("bare jsonschema on the example", |b| {
            b.iter(|| bare.is_valid(black_box(model.example())));
        });
        let input = model.validate(model.example().clone()).unwrap();
        group.bench_function("cost", |b| b.iter(|| black_box(&input).cost()));
        group.finish();
    }
}

/// All models against the bars, which single groups do not show.
fn bars(_: &mut Criterion) {
    let catalogue = Catalogue::packed().unwrap();
    let mut table = format!("{:48} {:40} {:12} verdict\n", "figure", "measured", "bar");
    table.push_str(&line("read and compile the whole catalogue", median_load(), "", LOAD_BAR));
    for (name, sample) in SAMPLES {
        let models = ranked(&catalogue, sample);
        let (middle, _) = models[models.len() / 2];
        let (slowest, id) = models[models.len() - 1];
        table.push_str(&line(&format!("{name}, typical model"), middle, "", TYPICAL_BAR));
        table.push_str(&line(&format!("{name}, slowest model"), slowest, id, WORST_BAR));
    }
    std::io::stdout().lock().write_all(table.as_bytes()).unwrap();
}

fn line(figure: &str, measured: Duration, model: &str, bar: Duration) -> String {
    let value = format!("{measured:.1?} {model}");
    let verdict = if measured <= bar { "met" } else { "MISSED" };
    format!("{figure:48} {value:40} {:12} {verdict}\n", format!("{bar:?}"))
}

/// Every model with the median of its runs, the slowest last.
fn ranked(catalogue: &Catalogue, sample: Sample) -> Vec<(Duration, &str)> {
    let mut models: Vec<_> =
        catalogue.models().map(|model| (median_run(model, sample(model)), model.id())).collect();
    models.sort_unstable();
    models
}

fn median_load() -> Duration {
    let mut runs: Vec<Duration> = (0..11)
        .map(|_| {
            let start = Instant::now();
            black_box(Catalogue::packed().is_ok());
            start.elapsed()
        })
        .collect();
    runs.sort_unstable();
    runs[runs.len() / 2]
}

fn median_run(model: &Model, input: &Value) -> Duration {
    let mut runs: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let input = input.clone();
            let start = Instant::now();
            black_box(model.validate(black_box(input)).is_ok());
            start.elapsed()
        })
        .collect();
    runs.sort_unstable();
    runs[RUNS / 2]
}

criterion_group!(benches, load, typical, bars);
criterion_main!(benches);
