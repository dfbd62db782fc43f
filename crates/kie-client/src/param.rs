//! The request that a record repeats: text inside text, of which only the callback address is wanted.

use serde_json::Value;

use crate::{fields::Fields, results::decode};

const MAX_CALLBACK_URL: usize = 2048;

/// The callback address the task was created with, as far as the record shows it.
pub(crate) fn callback_url(data: &Fields<'_>) -> Option<String> {
    let direct = data.text("callBackUrl").or_else(|| data.text("callbackUrl"));
    let params = ["param", "paramJson", "generateParam", "promptJson"];
    let url = direct.or_else(|| params.iter().filter_map(|key| data.value(key)).find_map(callback_url_of))?;
    (url.len() <= MAX_CALLBACK_URL).then_some(url)
}

/// The address in a request that may be text inside text, with an input that may be text as well.
fn callback_url_of(param: Value) -> Option<String> {
    let Value::Object(param) = decode(param) else { return None };
    let own = ["callBackUrl", "callbackUrl", "callback_url"]
        .iter()
        .find_map(|key| param.get(*key)?.as_str())
        .filter(|url| !url.is_empty());
    if let Some(url) = own {
        return Some(url.to_owned());
    }
    let Value::Object(input) = decode(param.get("input")?.clone()) else { return None };
    Some(input.get("callBackUrl")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(data: &str) -> Option<String> {
        callback_url(&Fields::parse(data).unwrap())
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
}
