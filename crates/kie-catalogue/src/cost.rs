//! What a validated input costs in credits.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use crate::credits::Credits;
use crate::quantity::{Measured, Quantity};
use crate::when::{Fit, Request, When};

/// The provider's price of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// The request fixes it.
    Exact(Credits),
    /// The request does not fix it (length of a clip, size of a source); never more than this.
    AtMost(Credits),
    /// No price is published for it, or nothing bounds it.
    Unknown,
}

impl Cost {
    /// The amount to set aside, `None` if unknown.
    pub const fn upper(self) -> Option<Credits> {
        match self {
            Cost::Exact(credits) | Cost::AtMost(credits) => Some(credits),
            Cost::Unknown => None,
        }
    }

    /// True if the request fixes the cost.
    pub const fn is_exact(self) -> bool {
        matches!(self, Cost::Exact(_))
    }
}

/// The price list of one model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CostRules {
    /// The first rule that surely holds decides; rules before it that may hold make it "at most the dearest".
    rules: Vec<Rule>,
    /// Added on top of the rule.
    #[serde(default)]
    extras: Vec<Rule>,
    pub as_of: Option<String>,
    pub unknown: Option<String>,
    pub assumes: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    #[serde(default)]
    when: When,
    credits: Credits,
    #[serde(default)]
    times: Vec<Quantity>,
    /// The dearest of several prices between which the request does not decide.
    #[serde(default)]
    at_most: bool,
}

impl CostRules {
    pub(crate) fn cost(&self, request: Request<'_>) -> Cost {
        self.extras.iter().fold(self.base(request), |sum, extra| match extra.when.fit(request) {
            Fit::No => sum,
            Fit::Yes => add(sum, extra.cost(request)),
            Fit::Open => at_most(add(sum, extra.cost(request))),
        })
    }

    fn base(&self, request: Request<'_>) -> Cost {
        let mut open: Option<Cost> = None;
        for rule in &self.rules {
            let fit = rule.when.fit(request);
            if fit == Fit::No {
                continue;
            }
            let cost = rule.cost(request);
            if fit == Fit::Yes {
                return open.map_or(cost, |dearest| dearer(dearest, cost));
            }
            open = Some(open.map_or(cost, |dearest| dearer(dearest, cost)));
        }
        open.map_or(Cost::Unknown, at_most)
    }

    /// One line a rule, in the order of the file.
    pub(crate) fn words(&self) -> Vec<String> {
        let extras = self.extras.iter().map(|extra| format!("plus {}", extra.words()));
        self.rules.iter().map(Rule::words).chain(extras).collect()
    }

    /// What the rules and extras ask, each amount once, in their order.
    pub(crate) fn amounts(&self) -> Vec<Credits> {
        let all = self.rules.iter().chain(&self.extras).map(|rule| rule.credits);
        all.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Every field that some rule looks at, in file order, once.
    pub(crate) fn fields(&self) -> Vec<&str> {
        let mut fields = Vec::new();
        for rule in self.rules.iter().chain(&self.extras) {
            let named = rule.when.fields().chain(rule.times.iter().flat_map(Quantity::fields));
            for field in named {
                if !fields.contains(&field) {
                    fields.push(field);
                }
            }
        }
        fields
    }

    /// The scalar values on which the price of this request depends.
    pub(crate) fn options<'a>(&'a self, request: Request<'a>) -> Vec<(&'a str, &'a Value)> {
        let presence = |field: &str| self.rules.iter().any(|rule| rule.when.asks_presence(field));
        let option = |field: &'a str| {
            if presence(field) {
                return Some((field, if request.has(field) { &TRUE } else { &FALSE }));
            }
            request.effective(field).filter(|value| is_scalar(value)).map(|value| (field, value))
        };
        self.fields().into_iter().filter(|field| !self.counts_text(field)).filter_map(option).collect()
    }

    fn counts_text(&self, field: &str) -> bool {
        let texts = self.rules.iter().flat_map(|rule| &rule.times);
        texts.clone().any(|times| matches!(times, Quantity::Characters { field: text, .. } if text == field))
    }
}

static TRUE: Value = Value::Bool(true);
static FALSE: Value = Value::Bool(false);

impl Rule {
    /// `` `mode` pro: 18 credits × `duration` ``.
    fn words(&self) -> String {
        let when = self.when.words();
        let when = if when.is_empty() { when } else { format!("{when}: ") };
        let bound = if self.at_most { "at most " } else { "" };
        let price = format!("{bound}{} credits", self.credits);
        let factors: Vec<String> =
            std::iter::once(price).chain(self.times.iter().map(Quantity::words)).collect();
        format!("{when}{}", factors.join(" × "))
    }

    fn cost(&self, request: Request<'_>) -> Cost {
        let mut exact = !self.at_most;
        let mut sum = self.credits;
        for quantity in &self.times {
            let Some(Measured { micro, exact: fixed }) = quantity.measure(request) else {
                return Cost::Unknown;
            };
            let Some(product) = sum.checked_mul_micro(micro) else {
                return Cost::Unknown;
            };
            exact &= fixed;
            sum = product;
        }
        if exact { Cost::Exact(sum) } else { Cost::AtMost(sum) }
    }
}

fn is_scalar(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_))
}

fn add(a: Cost, b: Cost) -> Cost {
    let (Some(left), Some(right)) = (a.upper(), b.upper()) else {
        return Cost::Unknown;
    };
    match left.checked_add(right) {
        None => Cost::Unknown,
        Some(sum) if a.is_exact() && b.is_exact() => Cost::Exact(sum),
        Some(sum) => Cost::AtMost(sum),
    }
}

/// The dearer of two prices between which the request does not decide.
fn dearer(a: Cost, b: Cost) -> Cost {
    match (a, b) {
        (Cost::Exact(left), Cost::Exact(right)) if left == right => a,
        _ => match (a.upper(), b.upper()) {
            (Some(left), Some(right)) => Cost::AtMost(left.max(right)),
            _ => Cost::Unknown,
        },
    }
}

fn at_most(cost: Cost) -> Cost {
    cost.upper().map_or(Cost::Unknown, Cost::AtMost)
}
