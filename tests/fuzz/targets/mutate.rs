//! Changes that keep JSON being JSON most of the time, so that the readers behind the parser are reached.

use serde_json::{Map, Value, json};

/// Chance that repeats itself for a seed (SplitMix64).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 when `end` is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end as u64).max(1)).unwrap_or(0)
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Names that some reader looks for.
const NAMES: [&str; 99] = [
    "taskId",
    "task_id",
    "recordId",
    "data",
    "result",
    "payload",
    "state",
    "status",
    "successFlag",
    "code",
    "msg",
    "message",
    "resultJson",
    "resultUrls",
    "resultObject",
    "response",
    "info",
    "param",
    "callBackUrl",
    "outputs",
    "creditsConsumed",
    "failCode",
    "failMsg",
    "sunoData",
    "url",
    "prompt",
    "type",
    "enum",
    "anyOf",
    "oneOf",
    "allOf",
    "if",
    "then",
    "not",
    "$ref",
    "$defs",
    "pattern",
    "properties",
    "items",
    "default",
    "required",
    "when",
    "credits",
    "times",
    "method",
    "path",
    "headers",
    "body",
    "raw",
    "authorization",
    "content-type",
    "idempotency-key",
    "cookie",
    "accept",
    "range",
    "last-event-id",
    "if-none-match",
    "x-forwarded-for",
    "origin",
    "model",
    "input",
    "count",
    "draft",
    "deliver",
    "channel",
    "chat_id",
    "amount",
    "currency",
    "reason",
    "action",
    "role",
    "favourite",
    "hidden",
    "external_id",
    "telegram_id",
    "name",
    "generations",
    "jobs",
    "generation_jobs",
    "users",
    "later",
    "options",
    "id",
    "user_id",
    "kie_task_id",
    "model_id",
    "kind",
    "balance_rub",
    "hold_rub",
    "price",
    "asset_url",
    "result_urls",
    "error",
    "idempotency_key",
    "delivered_at",
    "created_at",
    "bytes",
    "keep",
    "beside",
];

const TEXTS: [&str; 35] = [
    "",
    " ",
    "success",
    "fail",
    "waiting",
    "https://h.example/1.png",
    "[\"https://h.example/1\"]",
    "{\"resultUrls\":",
    "\u{0}",
    "\u{feff}{}",
    "null",
    "1e999",
    "-0.0000001",
    "#",
    "^(a+)+$",
    "#/properties/prompt",
    "{job}",
    "{done}",
    "{other}",
    "Bearer {customer}",
    "Bearer {operator}",
    "multipart/form-data; boundary=x",
    "bytes=1-",
    "%ff",
    "../%2e%2e/",
    "?account=",
    "gone-1",
    "trouble",
    "https://h.example/gone.png",
    "s3://old/a.png",
    "running",
    "draft",
    "99999999999999999999",
    "10.999999999",
    "2025-03-01 12:00:00+00",
];

/// A changed copy, at most `max` bytes.
pub(crate) fn mutated(data: &[u8], max: usize, chance: &mut Chance) -> Vec<u8> {
    let changes = 1 + chance.below(4);
    let mut copy = match serde_json::from_slice::<Value>(data) {
        Ok(mut value) if chance.below(5) > 0 => {
            for _ in 0..changes {
                change(&mut value, chance);
            }
            value.to_string().into_bytes()
        }
        _ => data.to_vec(),
    };
    if chance.below(5) == 0 {
        for _ in 0..changes {
            scratch(&mut copy, chance);
        }
    }
    copy.truncate(max);
    copy
}

/// Half of the time the fuzzer's own mutation, else ours; gives the new length.
pub(crate) fn for_fuzzer(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    own: impl Fn(&mut [u8], usize, usize) -> usize,
) -> usize {
    let mut chance = Chance::new(u64::from(seed));
    if chance.below(3) == 0 {
        return own(data, size, max_size);
    }
    let changed = mutated(&data[..size.min(data.len())], max_size.min(data.len()), &mut chance);
    data[..changed.len()].copy_from_slice(&changed);
    changed.len()
}

fn change(root: &mut Value, chance: &mut Chance) {
    let steps = chance.below(8);
    let whole = if chance.below(8) == 0 { Some(root.clone()) } else { None };
    let mut at = root;
    for _ in 0..steps {
        let count = match &*at {
            Value::Array(list) => list.len(),
            Value::Object(map) => map.len(),
            _ => 0,
        };
        if count == 0 {
            break;
        }
        let index = chance.below(count);
        at = match at {
            Value::Array(list) => &mut list[index],
            Value::Object(map) => match map.values_mut().nth(index) {
                Some(value) => value,
                None => return,
            },
            _ => return,
        };
    }
    match (chance.below(9), &mut *at) {
        (0, Value::Object(map)) => rename(map, chance),
        (1, Value::Object(map)) => {
            let name = (*chance.pick(&NAMES)).to_owned();
            map.insert(name, leaf(chance));
        }
        (2, Value::Object(map)) => {
            if let Some(name) = map.keys().nth(chance.below(map.len())).cloned() {
                map.remove(&name);
            }
        }
        (0, Value::Array(list)) if !list.is_empty() => {
            let entry = chance.pick(list).clone();
            list.extend(vec![entry; 1 + chance.below(40)]);
        }
        (3, value) => *value = json!([value.take()]),
        (4, value) => *value = Value::String(value.to_string()),
        (5, value) => *value = json!({*chance.pick(&NAMES): value.take()}),
        (6, value) => *value = whole.unwrap_or(Value::Null),
        (7, Value::String(text)) => {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            let at = if places.is_empty() { 0 } else { *chance.pick(&places) };
            text.insert_str(at, TEXTS[chance.below(TEXTS.len())]);
        }
        (_, value) => *value = leaf(chance),
    }
}

fn rename(map: &mut Map<String, Value>, chance: &mut Chance) {
    let Some(name) = map.keys().nth(chance.below(map.len())).cloned() else { return };
    if let Some(value) = map.remove(&name) {
        let new = match chance.below(3) {
            0 => format!("{name}s"),
            1 => name.to_uppercase(),
            _ => (*chance.pick(&NAMES)).to_owned(),
        };
        map.insert(new, value);
    }
}

fn leaf(chance: &mut Chance) -> Value {
    match chance.below(12) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(0),
        3 => json!(-1),
        4 => json!(chance.next()),
        5 => json!(1e308),
        6 => json!(0.1),
        7 => json!("x".repeat(chance.below(3000))),
        8 => json!([]),
        9 => json!({}),
        _ => json!(*chance.pick(&TEXTS)),
    }
}

fn scratch(bytes: &mut Vec<u8>, chance: &mut Chance) {
    if bytes.is_empty() {
        bytes.push(b'{');
    }
    let at = chance.below(bytes.len());
    match chance.below(5) {
        0 => bytes[at] ^= 1 << chance.below(8),
        1 => bytes.truncate(at),
        2 => bytes.insert(at, *chance.pick(b"{}[]\",:\\0-e.\n\xff")),
        3 => {
            bytes.remove(at);
        }
        _ => {
            let end = at + chance.below(bytes.len() - at).min(512);
            let chunk = bytes[at..end].to_vec();
            bytes.splice(at..at, chunk);
        }
    }
}
