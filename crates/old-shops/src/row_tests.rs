//! Rows of every kind, sound and broken.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::results::RESULTS_MAX;

fn row(cells: &[(Column, &str)]) -> Cells {
    let mut row: Cells = vec![None; Column::ALL.len()];
    for (column, text) in [(Column::Key, "7"), (Column::User, "u1"), (Column::Status, "done")] {
        row[column as usize] = Some(text.as_bytes().to_vec());
    }
    for (column, text) in cells {
        row[*column as usize] = Some(text.as_bytes().to_vec());
    }
    row
}

fn read(cells: &[(Column, &str)]) -> Result<OldGeneration, BadRow> {
    read_generation(Layout::Jobs, &row(cells))
}

#[test]
fn the_columns_are_numbered_in_their_order() {
    for (place, column) in Column::ALL.into_iter().enumerate() {
        assert_eq!(column as usize, place);
    }
}

#[test]
fn times_are_read_in_every_form() {
    for text in [
        "2025-03-01T12:00:00Z",
        "2025-03-01 12:00:00+00",
        "2025-03-01 12:00:00",
        "1740830400",
        "1740830400000",
    ] {
        let at = read(&[(Column::Created, text)]).unwrap().created_at.unwrap();
        assert_eq!(at.as_second(), 1_740_830_400, "{text}");
    }
    let bad = read(&[(Column::Created, "yesterday")]).unwrap_err();
    assert_eq!((bad.key.as_str(), bad.reason.as_str()), ("7", "created_at `yesterday` is no time"));
}

#[test]
fn options_are_an_object_whatever_they_were() {
    let options = |text| read(&[(Column::Options, text)]).unwrap().options;
    assert_eq!(options(r#"{"n":1,"a":"x\u0000"}"#), json!({ "n": 1, "a": "x\u{fffd}" }));
    assert_eq!(options("[1]"), json!({ "options": [1] }));
    assert_eq!(options("{broken"), json!({ "options": "{broken" }));
    assert_eq!(read(&[]).unwrap().options, json!({}));
}

#[test]
fn a_broken_row_names_its_key_and_reason() {
    let unknown = read(&[(Column::Status, "exploded")]).unwrap_err();
    assert_eq!(unknown.key, "7");
    assert!(unknown.reason.starts_with("unknown status `exploded`; jobs has draft,"), "{}", unknown.reason);
    assert_eq!(read(&[(Column::User, " ")]).unwrap_err().reason, "it has no user_id");
    let mut binary = row(&[]);
    binary[Column::Prompt as usize] = Some(vec![0xff, 0xfe]);
    assert!(read_generation(Layout::Jobs, &binary).unwrap_err().reason.starts_with("prompt is no text"));
    let long = "x".repeat(CELL_MAX + 1);
    assert!(read(&[(Column::Prompt, &long)]).unwrap_err().reason.contains("is longer than"));
}

#[test]
fn a_passing_change_is_no_change() {
    let before = read(&[(Column::Updated, "2025-01-01")]).unwrap().fingerprint;
    assert_eq!(
        read(&[(Column::Updated, "2026-01-01"), (Column::Delivered, "1")]).unwrap().fingerprint,
        before
    );
    assert_ne!(read(&[(Column::Price, "5")]).unwrap().fingerprint, before);
}

#[test]
fn a_chat_is_a_users_own_if_all_rows_name_it() {
    let chat = |low: &str, high: &str| {
        let cells = [Some("u1"), Some("10.50"), None, Some(low), Some(high)];
        read_user(&cells.map(|cell| cell.map(|text| text.as_bytes().to_vec())).to_vec()).unwrap().chat
    };
    assert_eq!(
        (chat("42", "42"), chat("41", "42"), chat("-100", "-100"), chat("x", "x")),
        (Some(42), None, None, None)
    );
}

proptest! {
    #[test]
    fn whatever_bytes_a_row_has_it_is_read_or_refused(
        cells in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..60)), 0..20),
        words in prop::collection::vec(prop::option::of("[ -~\u{0}-\u{200}]{0,60}"), 18),
        status in prop::sample::select(vec!["done", "running", "draft", "x"]),
    ) {
        let _ = read_user(&cells);
        let mut row: Cells = words.into_iter().map(|word| word.map(String::into_bytes)).collect();
        for layout in Layout::ALL {
            let _ = read_generation(layout, &cells);
            let _ = read_generation(layout, &row);
            row[Column::Status as usize] = Some(status.as_bytes().to_vec());
            if let Ok(read) = read_generation(layout, &row) {
                prop_assert!(read.options.is_object());
                prop_assert!(read.results.len() <= RESULTS_MAX);
                prop_assert!(!read.key.is_empty() && !read.user.is_empty());
                prop_assert!(!read.options.to_string().contains("\\u0000"));
            }
        }
    }
}
