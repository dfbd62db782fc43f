//! The fingerprint of an order: the same JSON, however it is written, has the same.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// SHA-256 of the body with object keys in order and no white space.
pub fn fingerprint(body: &Value) -> [u8; 32] {
    let mut canonical = String::new();
    write(body, &mut canonical);
    Sha256::digest(canonical.as_bytes()).into()
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, member)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write(member, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_keys_and_white_space_do_not_matter_but_values_do() {
        let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let one = fingerprint(&parse(r#"{"a": [1, {"c": null, "b": "x\n"}], "d": 1.5}"#));
        let other = fingerprint(&parse(r#"{"d":1.5,"a":[1,{"b":"x\n","c":null}]}"#));
        assert_eq!(one, other);
        assert_ne!(one, fingerprint(&parse(r#"{"d":1.5,"a":[{"b":"x\n","c":null},1]}"#)));
    }
}
