//! The grammar: `name=value[:argument][:times=N][:after=N][:p=0.3][:seed=N]`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::answer::Answer;
use super::kinds::{CallbackFault, CreateAnswer, CreateFault, Fault, RecordFault, ResultFault, Shape};
use super::rule::Rule;
use super::telegram::{PaymentFault, TelegramFault, UpdateFault};

/// A text that names no fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadFault(
    /// The text as it was given.
    pub String,
);

impl fmt::Display for BadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match wrong_parameter(&self.0) {
            Some(part) => write!(
                f,
                "`{part}` in `{}` is no parameter: they are :times=N, :after=N, :p=0.3 (0 to 1) and :seed=N; see `kie-sim --help`",
                self.0
            ),
            None => write!(f, "`{}` names no fault; `kie-sim --help` lists them", self.0),
        }
    }
}

impl std::error::Error for BadFault {}

impl FromStr for Fault {
    type Err = BadFault;

    fn from_str(text: &str) -> Result<Self, BadFault> {
        parse_fault(text).ok_or_else(|| BadFault(text.to_owned()))
    }
}

impl FromStr for Rule {
    type Err = BadFault;

    fn from_str(text: &str) -> Result<Self, BadFault> {
        let bad = || BadFault(text.to_owned());
        let (mut rest, mut rule) = (text.trim(), Rule::default_with(Fault::Count(1)));
        while let Some((head, name, value)) = parameter_of(rest) {
            set(&mut rule, name, value).ok_or_else(bad)?;
            rest = head;
        }
        rule.fault = rest.parse().map_err(|_ignored: BadFault| bad())?;
        Ok(rule)
    }
}

/// The last `:name=value` of a text, and what stands before it.
fn parameter_of(text: &str) -> Option<(&str, &str, &str)> {
    let (head, last) = text.rsplit_once(':')?;
    let (name, value) = last.split_once('=')?;
    // Anything else belongs to an address or to a text for people.
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_name.then_some((head, name, value))
}

fn set(rule: &mut Rule, name: &str, value: &str) -> Option<()> {
    match name {
        "times" => rule.times = Some(value.parse().ok()?),
        "after" => rule.after = value.parse().ok()?,
        "seed" => rule.seed = value.parse().ok()?,
        "p" => rule.probability = Some(value.parse().ok().filter(|chance| is_chance(*chance))?),
        _ => return None,
    }
    Some(())
}

pub(crate) fn is_chance(probability: f64) -> bool {
    (0.0..=1.0).contains(&probability)
}

/// The parameter that makes a text wrong.
fn wrong_parameter(text: &str) -> Option<&str> {
    let mut rest = text.trim();
    while let Some((head, name, value)) = parameter_of(rest) {
        if set(&mut Rule::default_with(Fault::Count(1)), name, value).is_none() {
            return Some(&rest[head.len()..]);
        }
        rest = head;
    }
    None
}

fn parse_fault(text: &str) -> Option<Fault> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    Some(match name {
        "duration" => Fault::Duration(duration(value)?),
        "count" => Fault::Count(value.parse().ok().filter(|count| (1..=100).contains(count))?),
        "size" => Fault::Size(size(value)?),
        "cost" => Fault::Cost(micro_credits(value)?),
        "fail" => fail(value),
        "moderation" if value.is_empty() => Fault::Fail(
            "SENSITIVE_WORD_ERROR".to_owned(),
            "Your prompt was flagged as violating content policies.".to_owned(),
        ),
        "state" if !value.is_empty() => Fault::Record(RecordFault::State(value.to_owned())),
        "success-without-urls" if value.is_empty() => Fault::Shape(Shape::NoUrls),
        "shape" => Fault::Shape(shape(value)?),
        "callback" => Fault::Callback(callback(value)?),
        "create" => Fault::Create(create(value)?),
        "record" => Fault::Record(record(value)?),
        "result" => Fault::Result(result(value)?),
        "answer" => Fault::Answer(Answer::parse(value)?),
        "tg" => Fault::Telegram(TelegramFault::parse(value)?),
        "tg-update" => Fault::Update(UpdateFault::parse(value)?),
        "tg-pay" => Fault::Payment(PaymentFault::parse(value)?),
        _ => return None,
    })
}

fn fail(value: &str) -> Fault {
    let (code, text) = value.split_once(':').unwrap_or((value, "Internal server error"));
    let code = if code.is_empty() { "500" } else { code };
    Fault::Fail(code.to_owned(), text.to_owned())
}

/// Credits with up to six decimals as millionths.
pub(crate) fn micro_credits(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if part.len() > 6 || !digits(whole) || !digits(part) {
        return None;
    }
    let part = format!("{part:0<6}").parse::<u64>().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(part)
}

fn shape(value: &str) -> Option<Shape> {
    Some(match value {
        "no-urls" => Shape::NoUrls,
        "empty-text" => Shape::EmptyText,
        "null" => Shape::Null,
        "not-json" => Shape::NotJson,
        "truncated" => Shape::Truncated,
        "object" => Shape::Object,
        "object-url-text" => Shape::ObjectUrlText,
        "url-text" => Shape::UrlText,
        "url-objects" => Shape::UrlObjects,
        "array" => Shape::Array,
        "bare-url" => Shape::BareUrl,
        "outputs" => Shape::Outputs,
        "watermark" => Shape::Watermark,
        "frames" => Shape::Frames,
        "documented" => Shape::Documented,
        _ => return None,
    })
}

fn callback(value: &str) -> Option<CallbackFault> {
    let (word, rest) = value.split_once(':').map_or((value, None), |(word, rest)| (word, Some(rest)));
    if rest.is_some() && !matches!(word, "duplicate" | "late" | "huge") {
        return None;
    }
    Some(match word {
        "none" => CallbackFault::None,
        "early" => CallbackFault::Early,
        "duplicate" => {
            CallbackFault::Duplicate(rest.unwrap_or("2").parse().ok().filter(|n| (2..=1000).contains(n))?)
        }
        "before-answer" => CallbackFault::BeforeAnswer,
        "late" => CallbackFault::Late(duration(rest?)?),
        "bad-signature" => CallbackFault::BadSignature,
        "no-signature" => CallbackFault::NoSignature,
        "stale-timestamp" => CallbackFault::StaleTimestamp,
        "foreign-body" => CallbackFault::ForeignBody,
        "array" => CallbackFault::Array,
        "text-body" => CallbackFault::TextBody,
        "not-json" => CallbackFault::NotJson,
        "empty" => CallbackFault::Empty,
        "conflict" => CallbackFault::Conflict,
        "snake-id" => CallbackFault::SnakeId,
        "top-id" => CallbackFault::TopId,
        "both-ids" => CallbackFault::BothIds,
        "no-id" => CallbackFault::NoId,
        "unknown-task" => CallbackFault::UnknownTask,
        "huge" => {
            CallbackFault::Huge(size(rest.unwrap_or("10MiB")).filter(|bytes| *bytes <= MEMORY_BYTES_MAX)?)
        }
        "no-result" => CallbackFault::NoResult,
        "legacy" => CallbackFault::Legacy,
        "minimal" => CallbackFault::Minimal,
        "short" => CallbackFault::Short,
        "no-msg" => CallbackFault::NoMsg,
        "nulls" => CallbackFault::Nulls,
        "nested-param" => CallbackFault::NestedParam,
        "documented" => CallbackFault::Documented,
        "then-fail" => CallbackFault::ThenFail,
        "fail-first" => CallbackFault::FailFirst,
        "then-progress" => CallbackFault::ThenProgress,
        _ => return None,
    })
}

fn create(value: &str) -> Option<CreateFault> {
    let (value, no_task) = value.strip_suffix(":none").map_or((value, false), |value| (value, true));
    let answer = match value {
        "no-id" => CreateAnswer::NoId,
        "message-key" => CreateAnswer::MessageKey,
        "documented-id" => CreateAnswer::DocumentedId,
        _ => CreateAnswer::Answer(Answer::parse(value)?),
    };
    let fault = CreateFault::from(answer);
    Some(CreateFault { task: fault.task && !no_task, ..fault })
}

impl From<CreateAnswer> for CreateFault {
    /// A refusal makes no task; any other wrong answer hides one.
    fn from(answer: CreateAnswer) -> Self {
        let refused = match &answer {
            CreateAnswer::Answer(Answer::Code(..) | Answer::HttpCode(_)) => true,
            CreateAnswer::Answer(Answer::Http(status)) => *status < 500,
            _ => false,
        };
        Self { answer, task: !refused }
    }
}

fn record(value: &str) -> Option<RecordFault> {
    Some(match value {
        "null" => RecordFault::Null,
        "other-task" => RecordFault::OtherTask,
        "other-model" => RecordFault::OtherModel,
        "other-callback" => RecordFault::OtherCallback,
        "numeric-fail-code" => RecordFault::NumericFailCode,
        "broken-param" => RecordFault::BrokenParam,
        _ => match value.split_once(':') {
            Some(("huge", bytes)) => {
                RecordFault::Huge(size(bytes).filter(|bytes| *bytes <= MEMORY_BYTES_MAX)?)
            }
            _ => RecordFault::Answer(Answer::parse(value)?),
        },
    })
}

fn result(value: &str) -> Option<ResultFault> {
    let (word, rest) = value.split_once(':').map_or((value, None), |(word, rest)| (word, Some(rest)));
    if rest.is_some() && !matches!(word, "redirect" | "private" | "pace") {
        return Some(ResultFault::Answer(Answer::parse(value)?));
    }
    Some(match word {
        "json" => ResultFault::Json,
        "hostile" => ResultFault::Hostile,
        "truncated" | "cut" => ResultFault::Truncated,
        "redirect" => ResultFault::Redirect(rest.filter(|url| !url.is_empty())?.to_owned()),
        "private" => {
            ResultFault::Private(rest.unwrap_or("http://169.254.169.254/latest/meta-data/").to_owned())
        }
        "wrong-type" => ResultFault::WrongType,
        "no-type" => ResultFault::NoType,
        "no-length" => ResultFault::NoLength,
        "no-range" => ResultFault::NoRange,
        "expired" => ResultFault::Expired,
        "needs-agent" => ResultFault::NeedsAgent,
        "stall" => ResultFault::Stall,
        "pace" => ResultFault::Pace(size(rest?).filter(|bytes| *bytes > 0)?),
        digits if digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            ResultFault::Status(digits.parse().ok().filter(|status| (300..=599).contains(status))?)
        }
        _ => ResultFault::Answer(Answer::parse(value)?),
    })
}

/// The most a fault may make this process hold for one answer.
const MEMORY_BYTES_MAX: u64 = 64 << 20;

/// `250ms`, `5s`, `2m`, `1h` or plain seconds; at most ten days.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let seconds = number.parse::<f64>().ok()? * scale;
    (seconds <= 864_000.0).then(|| Duration::from_secs_f64(seconds))
}

/// `512`, `64KiB`, `10MiB`, `2GiB` (also `k`, `m`, `g`, `KB`, `MB`, `GB`, all binary); at most 2^40 bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift).filter(|bytes| *bytes <= 1 << 40)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_answer_still_makes_the_task_and_a_refusal_does_not() {
        for lost in ["timeout", "reset", "no-id", "broken-json", "http500", "http502", "empty", "html", "cut"]
        {
            assert!(create(lost).unwrap().task, "{lost}");
            assert!(!create(&format!("{lost}:none")).unwrap().task, "{lost}");
        }
        for refused in
            ["429", "455", "402", "credits", "busy", "http429", "http404", "field", "model", "500:text"]
        {
            assert!(!create(refused).unwrap().task, "{refused}");
        }
    }

    #[test]
    fn urls_keep_their_colons() {
        let rule: Rule = "result=redirect:http://127.0.0.1:9/x?a=b:times=1".parse().unwrap();
        assert_eq!(rule.fault, Fault::Result(ResultFault::Redirect("http://127.0.0.1:9/x?a=b".into())));
        assert_eq!(rule.times, Some(1));
    }

    #[test]
    fn nonsense_names_no_fault() {
        for text in ["", "x", "create=", "duration=5y", "size=-1", "callback=late", "result=999", "count=0"] {
            assert!(text.parse::<Rule>().is_err(), "{text}");
        }
    }

    #[test]
    fn misspelt_parameters_are_refused_by_name() {
        for (text, part) in [
            ("create=429:p=7", ":p=7"),
            ("create=429:time=1", ":time=1"),
            ("create=429:times=x:seed=1", ":times=x"),
            ("tg=403:p=-1", ":p=-1"),
        ] {
            let words = text.parse::<Rule>().unwrap_err().to_string();
            assert!(words.contains(&format!("`{part}` in `{text}`")) && words.contains("--help"), "{words}");
        }
        for text in [
            "create=timeout:bogus",
            "create=busy:x",
            "create=http500:x",
            "callback=none:x",
            "result=json:x",
            "moderation=x",
        ] {
            let words = text.parse::<Rule>().unwrap_err().to_string();
            assert!(words.contains("names no fault"), "{words}");
        }
        assert!(
            "fail=500:too dark: a=b c".parse::<Rule>().is_ok()
                && "create=429:slow down".parse::<Rule>().is_ok()
        );
    }
}
