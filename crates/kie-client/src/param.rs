//! The request that a record repeats: text inside text.

use serde_json::Value;

use crate::{fields::Fields, results::decode};

const MAX_CALLBACK_URL: usize = 2048;
const PARAMS: [&str; 4] = ["param", "paramJson", "generateParam", "promptJson"];
const CALLBACK_KEYS: [&str; 3] = ["callBackUrl", "callbackUrl", "callback_url"];

/// The request as the record has it. It is read when somebody asks for it.
#[derive(Clone, PartialEq)]
pub(crate) struct Request {
    texts: Vec<String>,
    flat: bool,
}

impl Request {
    /// `flat`: the parameters lie beside the callback address, as the families have them, and not in an `input`.
    pub(crate) fn of(data: &Fields<'_>, flat: bool) -> Self {
        let mut texts: Vec<String> = Vec::new();
        for raw in PARAMS.iter().filter_map(|key| data.raw(key)) {
            // Newer records have the same text twice.
            if !texts.iter().any(|text| text == raw) {
                texts.push(raw.to_owned());
            }
        }
        Self { texts, flat }
    }

    /// The parameters of the model, as far as one of the texts can be read.
    pub(crate) fn input(&self) -> Option<Value> {
        self.texts.iter().find_map(|text| self.input_of(text))
    }

    fn input_of(&self, text: &str) -> Option<Value> {
        let Value::Object(mut param) = decode(serde_json::from_str(text).ok()?) else { return None };
        let input = match param.remove("input") {
            Some(input) => decode(input),
            None if self.flat => {
                param.retain(|key, _| !CALLBACK_KEYS.contains(&key.as_str()));
                Value::Object(param)
            }
            None => return None,
        };
        input.is_object().then_some(input)
    }
}

/// The callback address the task was created with, as far as the record shows it.
pub(crate) fn callback_url(data: &Fields<'_>) -> Option<String> {
    let direct = data.text("callBackUrl").or_else(|| data.text("callbackUrl"));
    let url = direct.or_else(|| PARAMS.iter().filter_map(|key| data.value(key)).find_map(callback_url_of))?;
    (url.len() <= MAX_CALLBACK_URL).then_some(url)
}

/// The address in a request that may be text inside text, with an input that may be text as well.
fn callback_url_of(param: Value) -> Option<String> {
    let Value::Object(param) = decode(param) else { return None };
    let own = CALLBACK_KEYS.iter().find_map(|key| param.get(*key)?.as_str()).filter(|url| !url.is_empty());
    if let Some(url) = own {
        return Some(url.to_owned());
    }
    let Value::Object(input) = decode(param.get("input")?.clone()) else { return None };
    Some(input.get("callBackUrl")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(data: &str) -> Option<String> {
        callback_url(&Fields::parse(data).unwrap())
    }

    fn input(data: &str, flat: bool) -> Option<Value> {
        Request::of(&Fields::parse(data).unwrap(), flat).input()
    }

    #[test]
    fn the_callback_address_is_found_however_it_is_wrapped() {
        let url = Some("https://app.example/cb".to_owned());
        for data in [
            r#"{"taskId":"a1","param":"{\"input\":{},\"callBackUrl\":\"https://app.example/cb\"}"}"#,
            r#"{"taskId":"a1","param":"\"{\\\"callBackUrl\\\":\\\"https://app.example/cb\\\"}\""}"#,
            r#"{"taskId":"a1","param":"{\"input\":\"{\\\"callBackUrl\\\":\\\"https://app.example/cb\\\"}\"}"}"#,
            r#"{"taskId":"a1","generateParam":{"callBackUrl":"https://app.example/cb"}}"#,
            r#"{"taskId":"a1","callbackUrl":"https://app.example/cb"}"#,
        ] {
            assert_eq!(found(data), url, "{data}");
        }
        assert_eq!(found(r#"{"taskId":"a1","param":"{broken"}"#), None);
    }

    #[test]
    fn the_input_is_found_however_it_is_wrapped() {
        for data in [
            r#"{"param":"{\"input\":\"{\\\"prompt\\\":\\\"kite\\\"}\",\"model\":\"m\"}"}"#,
            r#"{"param":"{\"input\":{\"prompt\":\"kite\"}}"}"#,
            r#"{"param":"\"{\\\"input\\\":{\\\"prompt\\\":\\\"kite\\\"}}\""}"#,
            r#"{"param":{"input":{"prompt":"kite"}}}"#,
            r#"{"param":"{broken","paramJson":"{\"input\":{\"prompt\":\"kite\"}}"}"#,
        ] {
            assert_eq!(input(data, false), Some(json!({"prompt": "kite"})), "{data}");
        }
        let flat = r#"{"promptJson":"{\"prompt\":\"kite\",\"callBackUrl\":\"https://h/secret\"}"}"#;
        assert_eq!(input(flat, true), Some(json!({"prompt": "kite"})));
        assert_eq!(input(flat, false), None);
        for nothing in [
            "{}",
            r#"{"param":null}"#,
            r#"{"param":""}"#,
            r#"{"param":"{\"input\":\"kite\"}"}"#,
            r#"{"param":"{\"input\":\"{broken\"}"}"#,
            r#"{"param":[1]}"#,
        ] {
            assert_eq!(input(nothing, true), None, "{nothing}");
        }
    }
}
