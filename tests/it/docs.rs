//! The documents against the code: settings, log events, commands, alarms, links, lengths.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Args, Command};

use crate::repo;

/// A document and the lines that it may have.
const LENGTHS: &[(&str, usize)] = &[
    ("README.md", 200),
    ("CONTRIBUTING.md", 120),
    ("docs/architecture.md", 150),
    ("docs/logging.md", 120),
    ("docs/migrating.md", 120),
    ("docs/operations.md", 120),
    ("docs/adding-a-channel.md", 40),
    ("docs/adding-a-model.md", 40),
    ("docs/changing-the-schema.md", 40),
];

/// Events of the simulator and the demo are not a shop's.
const NOT_A_SHOP: &[&str] = &["crates/kie-sim/", "bins/kie-web/src/demo"];

// --- Settings -------------------------------------------------------------------------------------------------------

/// Variables of all flags, with the default that a plain start has; none where there is no default.
fn variables() -> BTreeMap<String, Option<String>> {
    let command =
        runtime::config::LogConfig::augment_args(runtime::config::Config::augment_args(Command::new("kie")));
    let of_flag = |flag: &clap::Arg| {
        let values: Vec<_> = flag.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        let default = (!values.is_empty()).then(|| values.join(",")).filter(|value| !value.is_empty());
        flag.get_env().map(|name| (name.to_string_lossy().into_owned(), default))
    };
    let mut found: BTreeMap<_, _> = command.get_arguments().filter_map(of_flag).collect();
    // A flag of the binaries alone; none of them is a library.
    assert!(repo::read("bins/kie-web/src/cli.rs").contains("env = \"NO_WORKER\""));
    found.insert("NO_WORKER".to_owned(), Some("false".to_owned()));
    found
}

/// `| `NAME` …` rows of a table of settings.
fn tabled_variables(path: &str) -> BTreeSet<String> {
    let text = repo::read(path);
    let first_cell = |line: &str| line.strip_prefix("| ")?.split(" | ").next().map(str::to_owned);
    let is_name = |word: &&str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    text.lines()
        .filter_map(first_cell)
        .flat_map(|cell| cell.split('`').filter(is_name).map(str::to_owned).collect::<Vec<_>>())
        .filter(|name| name.len() > 3)
        .collect()
}

#[test]
fn the_table_of_settings_names_every_variable_and_no_other() {
    let known: BTreeSet<String> = variables().into_keys().collect();
    assert_eq!(tabled_variables("README.md"), known, "left: README.md; right: the flags");
}

#[test]
fn the_example_of_settings_has_every_variable_with_its_default() {
    let text = repo::read(".env.example");
    let (mut found, mut comment) = (BTreeMap::new(), false);
    for line in text.lines() {
        let pair = line.strip_prefix('#').unwrap_or(line).split_once('=');
        match pair {
            Some((name, value)) if !name.is_empty() && !name.contains([' ', '.']) => {
                assert!(comment, "{name} has no line that says what it is");
                let value = (!value.is_empty()).then(|| value.to_owned());
                assert!(found.insert(name.to_owned(), value).is_none(), "{name} is there twice");
            }
            _ => comment = line.starts_with("# "),
        }
    }
    assert_eq!(found, variables(), "left: .env.example; right: the flags");
}

#[test]
fn the_example_of_settings_sets_nothing_but_the_two_that_must_be_filled_in() {
    let text = repo::read(".env.example");
    let set: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(set, ["KIE_API_KEY=", "SECRET_KEY="]);
}

// --- Log events -----------------------------------------------------------------------------------------------------

/// What is known of an event: the levels at which it is written, the names of its fields.
#[derive(Debug, Default, PartialEq, Eq)]
struct Logged {
    levels: BTreeSet<String>,
    fields: BTreeSet<String>,
}

/// Events that the sources write, by name.
fn events_of_sources() -> BTreeMap<String, Logged> {
    let mut events: BTreeMap<String, Logged> = BTreeMap::new();
    let folders = ["crates", "bins"].into_iter().flat_map(|folder| repo::files(folder, ".rs"));
    for path in folders.filter(|path| path.contains("/src/")) {
        if NOT_A_SHOP.iter().any(|part| path.starts_with(part)) {
            continue;
        }
        let text = repo::read(&path);
        for level in ["trace", "debug", "info", "warn", "error"] {
            let opening = format!("tracing::{level}!(");
            for (start, _) in text.match_indices(&opening) {
                let call = Call::read(&text[start + opening.len()..]);
                for name in call.names(&text[..start]) {
                    let logged = events.entry(name).or_default();
                    logged.levels.insert(level.to_owned());
                    logged.fields.extend(call.fields.iter().cloned());
                }
            }
        }
    }
    events
}

/// The arguments of one call of a log macro.
struct Call {
    message: String,
    fields: BTreeSet<String>,
}

impl Call {
    /// Reads arguments up to the closing parenthesis.
    fn read(text: &str) -> Self {
        let mut arguments = vec![String::new()];
        let (mut depth, mut in_text, mut escaped) = (0_i32, false, false);
        for c in text.chars() {
            match c {
                _ if escaped => escaped = false,
                '\\' if in_text => escaped = true,
                '"' => in_text = !in_text,
                _ if in_text => {}
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' if depth == 0 => break,
                ')' | ']' | '}' => depth -= 1,
                ',' if depth == 0 => {
                    arguments.push(String::new());
                    continue;
                }
                _ => {}
            }
            arguments.last_mut().unwrap().push(c);
        }
        let mut call = Self { message: String::new(), fields: BTreeSet::new() };
        for argument in arguments.iter().map(|argument| argument.trim()) {
            if let Some(message) = argument.strip_prefix('"') {
                message.trim_end_matches('"').clone_into(&mut call.message);
            } else if !argument.is_empty() {
                let name = argument.split('=').next().unwrap_or_default();
                call.fields.insert(name.trim().trim_start_matches(['%', '?']).to_owned());
            }
        }
        call
    }

    /// Names of the events that the call may write. `{event}` stands for the dotted texts of the `match` before it.
    fn names(&self, before: &str) -> Vec<String> {
        if self.message == "{event}" {
            let from = before.rfind("let event = match").expect("`{event}` is chosen by a `match` before it");
            return before[from..].split('"').skip(1).step_by(2).filter_map(event_name).collect();
        }
        event_name(&self.message).into_iter().collect()
    }
}

/// `word.word` at the beginning of a message, alone or before a colon.
fn event_name(message: &str) -> Option<String> {
    let name = message.split(':').next()?;
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let (first, second) = name.split_once('.')?;
    (is_word(first) && is_word(second)).then(|| name.to_owned())
}

/// Rows `| `word.word` | levels | fields | …` of the document; fields in backticks.
fn events_of_document() -> BTreeMap<String, Logged> {
    let mut events = BTreeMap::new();
    for line in repo::read("docs/logging.md").lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, levels, fields, meaning, ..] = cells.as_slice() else { continue };
        let Some(name) = event_name(name.trim_matches('`')) else { continue };
        assert!(!meaning.is_empty(), "{name} has no meaning");
        let levels = levels.split(',').map(|level| level.trim().to_owned()).collect();
        let fields = fields.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        assert!(events.insert(name.clone(), Logged { levels, fields }).is_none(), "{name} is there twice");
    }
    events
}

#[test]
fn the_list_of_log_events_is_that_of_the_sources() {
    let (written, told) = (events_of_sources(), events_of_document());
    let untold: Vec<_> = written.keys().filter(|name| !told.contains_key(*name)).collect();
    let stale: Vec<_> = told.keys().filter(|name| !written.contains_key(*name)).collect();
    assert!(
        untold.is_empty() && stale.is_empty(),
        "docs/logging.md lacks {untold:?} and has in vain {stale:?}"
    );
    for (name, written) in &written {
        let told = &told[name];
        assert_eq!(told.levels, written.levels, "levels of {name}: left the document, right the sources");
        let invented: Vec<_> = told.fields.difference(&written.fields).collect();
        assert!(invented.is_empty(), "{name} has no such fields: {invented:?}; it has {:?}", written.fields);
    }
}

#[test]
fn the_reader_of_log_calls_reads_them() {
    let call =
        Call::read(r#"job = %job.id, n = f(a, "x, )"), ?ended, "part.ended: it \"stops\", now"); next(b)"#);
    assert_eq!(call.fields.iter().map(String::as_str).collect::<Vec<_>>(), ["ended", "job", "n"]);
    assert_eq!(call.names(""), ["part.ended"]);
    let chosen = Call::read(r#"a, "{event}")"#);
    let before =
        "\"old.one\"; let event = match x { A => \"hold.placed\", _ => \"no\", B => \"job.moved\" };";
    assert_eq!(chosen.names(before), ["hold.placed", "job.moved"]);
    assert_eq!(event_name("Gave up. Really"), None);
}

#[test]
fn the_list_of_history_events_is_that_of_the_sources() {
    let text = repo::read("docs/logging.md");
    let (_, section) = text.split_once("## The history of a job").expect("the section is there");
    let told: BTreeSet<String> = section.split('`').skip(1).step_by(2).filter_map(event_name).collect();
    let mut written = BTreeSet::new();
    let writers = ["crates/lifecycle/src/", "crates/importing/src/"];
    let is_writer = |path: &String| writers.iter().any(|folder| path.starts_with(folder));
    for path in repo::files("crates", ".rs").into_iter().filter(is_writer) {
        let text = repo::read(&path);
        let named = text.match_indices("event: \"").map(|(at, mark)| &text[at + mark.len()..]);
        written.extend(named.filter_map(|rest| event_name(rest.split('"').next()?)));
    }
    assert_eq!(told, written, "left: docs/logging.md; right: the sources");
}

// --- Commands and alarms --------------------------------------------------------------------------------------------

/// Words of `kie-reconciler`: variants of an enum of its command line, as typed.
fn reconciler_words(of: &str) -> BTreeSet<String> {
    let mut text = repo::read("bins/kie-reconciler/src/cli.rs");
    for group in repo::files("bins/kie-reconciler/src/cli", ".rs") {
        text.push_str(&repo::read(&group));
    }
    let (_, body) = text.split_once(&format!("pub(crate) enum {of} {{\n")).expect("the enum is there");
    let body = body.split("\n}").next().unwrap_or_default();
    let variant = |line: &str| {
        let word: String = line.strip_prefix("    ")?.chars().take_while(char::is_ascii_alphabetic).collect();
        word.starts_with(|c: char| c.is_ascii_uppercase()).then(|| word.to_ascii_lowercase())
    };
    body.lines().filter_map(variant).collect()
}

fn documents() -> Vec<String> {
    let mut found: Vec<String> =
        repo::names(".").into_iter().filter(|name| name.strip_suffix(".md").is_some()).collect();
    found.extend(repo::files("docs", ".md"));
    found.extend(["migrations/README.md".to_owned(), "source_of_truth/README.md".to_owned()]);
    found
}

#[test]
fn documents_name_only_commands_that_there_are() {
    let words = reconciler_words("Command");
    let nested = [
        ("account", reconciler_words("AccountCommand")),
        ("catalogue", reconciler_words("CatalogueCommand")),
    ];
    assert!(words.contains("audit") && nested[0].1.contains("topup"), "{words:?} {nested:?}");
    for path in documents() {
        for (word, next) in commands_in(&repo::read(&path)) {
            assert!(words.contains(&word), "{path}: there is no `kie-reconciler {word}`");
            let known = nested.iter().find(|(parent, _)| *parent == word).map(|(_, known)| known);
            assert!(known.is_none_or(|known| known.contains(&next)), "{path}: there is no `{word} {next}`");
        }
    }
}

/// Every `kie-reconciler WORD NEXT` of a text; prose has a backtick behind the program's name.
fn commands_in(text: &str) -> Vec<(String, String)> {
    let word = |text: &str| text.chars().take_while(char::is_ascii_lowercase).collect::<String>();
    let after = |(at, mark): (usize, &str)| text[at + mark.len()..].to_owned();
    let rests = text.match_indices("kie-reconciler ").map(after).filter(|rest| !word(rest).is_empty());
    rests
        .map(|rest| (word(&rest), rest.split_once(' ').map(|(_, next)| word(next)).unwrap_or_default()))
        .collect()
}

#[test]
fn the_handbook_of_operations_names_every_command() {
    let text = repo::read("docs/operations.md");
    let missing: Vec<_> = reconciler_words("Command")
        .into_iter()
        .chain(reconciler_words("AccountCommand").into_iter().map(|word| format!("account {word}")))
        .filter(|word| word != "account" && !text.contains(&format!("`{word}")))
        .collect();
    assert!(missing.is_empty(), "docs/operations.md says nothing of {missing:?}");
}

#[test]
fn the_handbook_of_operations_has_every_alarm() {
    let text = repo::read("crates/operations/src/status.rs");
    let (_, body) = text.split_once("fn alarms(").expect("the function is there");
    let body = body.split("\n}").next().unwrap_or_default();
    let alarms: Vec<&str> =
        body.split('"').skip(1).step_by(2).filter(|text| text.len() > 2 && text.contains(' ')).collect();
    let handbook = repo::read("docs/operations.md");
    let (_, section) = handbook.split_once("## Alarms").expect("the section is there");
    let section = section.split("\n## ").next().unwrap_or_default();
    let row = |line: &str| line.strip_prefix("| `")?.split('`').next().map(str::to_owned);
    let rows: Vec<String> = section.lines().filter_map(row).collect();
    for alarm in &alarms {
        assert!(rows.iter().any(|row| alarm.contains(row.as_str())), "no row for the alarm: {alarm}");
    }
    for row in &rows {
        assert!(alarms.iter().any(|alarm| alarm.contains(row.as_str())), "no alarm says: {row}");
    }
    assert!(alarms.len() >= 8, "{alarms:?}");
}

// --- Form -----------------------------------------------------------------------------------------------------------

#[test]
fn links_between_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for path in documents() {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let text = repo::read(&path);
        for (at, mark) in text.match_indices("](") {
            let target = text[at + mark.len()..].split([')', '#']).next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            if !repo::root().join(folder).join(target).exists() {
                broken.push(format!("{path}: {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn documents_stay_short() {
    for (path, most) in LENGTHS {
        let lines = repo::read(path).lines().count();
        assert!(lines <= *most, "{path} has {lines} lines, {most} are enough");
    }
    for path in repo::files("docs/adr", ".md") {
        let text = repo::read(&path);
        assert!(text.lines().count() <= 60, "{path} is longer than a page");
        for part in ["## Context", "## Decision", "## Consequences"] {
            assert!(text.contains(part), "{path} lacks `{part}`");
        }
    }
}

#[test]
fn the_code_map_has_every_package() {
    let text = repo::read("docs/architecture.md");
    let missing: Vec<String> =
        repo::packages().into_iter().filter(|package| !text.contains(&format!("| `{package}` |"))).collect();
    assert!(missing.is_empty(), "docs/architecture.md says nothing of {missing:?}");
}

#[test]
fn the_readme_names_words_of_the_makefile() {
    let (readme, makefile) = (repo::read("README.md"), repo::read("Makefile"));
    let commands = readme.split(['`', '\n']).filter_map(|part| part.strip_prefix("make "));
    let mut words = 0;
    for command in commands {
        let word: String = command.chars().take_while(char::is_ascii_lowercase).collect();
        assert!(makefile.contains(&format!("\n{word}: ")), "there is no `make {word}`");
        words += 1;
    }
    assert!(words >= 2, "README.md names the two commands");
}

#[test]
fn the_picture_of_a_jobs_life_shows_the_moves_that_there_are() {
    let edge = |from: &str, to: &str| (from.trim().to_owned(), to.trim().to_owned());
    let readme = repo::read("README.md");
    let shown: BTreeSet<(String, String)> = readme
        .lines()
        .filter_map(|line| line.split_once(" --> "))
        .map(|(from, to)| edge(from, to.split(':').next().unwrap_or_default()))
        .filter(|(from, _)| from != "[*]")
        .collect();
    let table = repo::read("docs/states.md");
    let state = |cell: &str| cell.split('`').nth(1).map(str::to_owned);
    let moves: BTreeSet<(String, String)> = table
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').collect();
            Some((state(cells.get(1)?)?, state(cells.get(3)?)?))
        })
        .collect();
    assert_eq!(shown, moves, "left: README.md; right: docs/states.md");
}
