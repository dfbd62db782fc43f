//! Reading the whole catalogue, and validation beside bare `jsonschema`.

#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;
use std::time::Instant;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use kie_catalogue::{Catalogue, Model};
use serde_json::Value;

fn load(c: &mut Criterion) {
    c.bench_function("read and compile the catalogue", |b| b.iter(|| Catalogue::packed().unwrap()));
}

fn typical(c: &mut Criterion) {
    let catalogue = Catalogue::packed().unwrap();
    for id in ["z-image", "kling-2.6/text-to-video", slowest(&catalogue).id()] {
        let model = catalogue.get(id).unwrap();
        let bare =
            jsonschema::draft202012::options().should_validate_formats(true).build(model.schema()).unwrap();
        let mut group = c.benchmark_group(id);
        pass(&mut group, "validate the example", model, model.example());
        group.bench_function("bare jsonschema on the example", |b| {
            b.iter(|| bare.is_valid(black_box(model.example())));
        });
        group.bench_function("refuse the bad example", |b| {
            b.iter_batched(
                || model.bad_example().clone(),
                |input| model.validate(input).is_err(),
                BatchSize::SmallInput,
            );
        });
        let input = model.validate(model.example().clone()).unwrap();
        group.bench_function("cost", |b| b.iter(|| black_box(&input).cost()));
        group.finish();
    }
}

fn pass(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    name: &str,
    model: &Model,
    input: &Value,
) {
    group.bench_function(name, |b| {
        b.iter_batched(|| input.clone(), |input| model.validate(input).is_ok(), BatchSize::SmallInput);
    });
}

/// The model whose example takes longest, by the best of many runs each.
fn slowest(catalogue: &Catalogue) -> &Model {
    let best = |model: &Model| {
        let run = |_| {
            let input = model.example().clone();
            let start = Instant::now();
            black_box(model.validate(input).is_ok());
            start.elapsed()
        };
        (0..200).map(run).min()
    };
    catalogue.models().max_by_key(|model| best(model)).unwrap()
}

criterion_group!(benches, load, typical);
criterion_main!(benches);
