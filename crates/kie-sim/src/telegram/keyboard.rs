//! Keyboards under messages, refused as the service refuses them.

use serde_json::{Map, Value, json};
use url::Url;

use super::args::Args;
use super::refusal::Refusal;
use super::views::InvoiceView;

/// The longest data of a button, in bytes.
const DATA_MAX: usize = 64;
/// The most buttons of a message.
const BUTTONS_MAX: usize = 100;

/// Where a keyboard is to stand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) private: bool,
    pub(crate) invoice: bool,
}

/// The keyboard of a call, if it has one.
pub(crate) fn read(args: &Args, place: Place) -> Result<Option<Value>, Refusal> {
    let text = args.text("reply_markup");
    if text.is_empty() {
        return Ok(None);
    }
    let markup: Value = serde_json::from_str(text)
        .map_err(|_ignored| Refusal::bad("Can't parse reply keyboard markup JSON object"))?;
    let object = match markup {
        Value::Null => return Ok(None),
        Value::Object(object) if object.is_empty() => return Ok(None),
        Value::Object(object) => object,
        _ => return Err(Refusal::bad("Object expected as reply markup")),
    };
    if let Some(rows) = object.get("inline_keyboard") {
        let rows = inline(rows, place)?;
        return Ok((!rows.is_empty()).then(|| json!({"inline_keyboard": rows})));
    }
    if let Some(rows) = object.get("keyboard")
        && !rows.as_array().is_some_and(|rows| rows.iter().all(Value::is_array))
    {
        return Err(Refusal::bad("Field \"keyboard\" must be an Array of Arrays"));
    }
    Ok(Some(Value::Object(object)))
}

/// The one button of an invoice that has no keyboard of its own.
pub(crate) fn pay_button(invoice: &InvoiceView) -> Value {
    let text = format!("Pay \u{2B50}\u{FE0F}{}", invoice.amount);
    json!({"inline_keyboard": [[{"text": text, "pay": true}]]})
}

fn inline(rows: &Value, place: Place) -> Result<Vec<Value>, Refusal> {
    let shape = || Refusal::bad("Field \"inline_keyboard\" must be an Array of Arrays");
    let mut made = Vec::new();
    let mut count = 0;
    for row in rows.as_array().ok_or_else(shape)? {
        let mut buttons = Vec::new();
        for button in row.as_array().ok_or_else(shape)? {
            let first = count == 0;
            buttons.push(inline_button(button, place, first)?);
            count += 1;
        }
        if !buttons.is_empty() {
            made.push(Value::Array(buttons));
        }
    }
    if count > BUTTONS_MAX {
        return Err(Refusal::bad("reply markup is too long"));
    }
    if place.invoice && count > 0 && made[0][0].get("pay").is_none() {
        return Err(Refusal::bad("REPLY_MARKUP_BUY_EMPTY"));
    }
    Ok(made)
}

fn inline_button(button: &Value, place: Place, first: bool) -> Result<Value, Refusal> {
    let parse = |text: &str| Refusal::bad(format!("Can't parse inline keyboard button: {text}"));
    let object = button.as_object().ok_or_else(|| parse("InlineKeyboardButton must be an Object"))?;
    let text = object.get("text").ok_or_else(|| parse("Can't find field \"text\""))?;
    let text = text.as_str().ok_or_else(|| parse("Field \"text\" must be of type String"))?;
    if text.trim().is_empty() {
        return Err(Refusal::bad("Text buttons are unallowed in the inline keyboard"));
    }
    let mut made = Map::from_iter([("text".to_owned(), json!(text))]);
    let filled = |name: &str| object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(url) = filled("url") {
        web_address(url)?;
        made.insert("url".to_owned(), json!(url));
    } else if let Some(data) = filled("callback_data") {
        if data.len() > DATA_MAX {
            return Err(Refusal::bad("BUTTON_DATA_INVALID"));
        }
        made.insert("callback_data".to_owned(), json!(data));
    } else if object.contains_key("pay") {
        if !(place.invoice && first) {
            return Err(Refusal::bad("BUTTON_TYPE_INVALID"));
        }
        made.insert("pay".to_owned(), json!(true));
    } else if let Some(app) = object.get("web_app") {
        let url = app.get("url").and_then(Value::as_str).unwrap_or_default();
        if !place.private {
            return Err(Refusal::bad("BUTTON_TYPE_INVALID"));
        }
        if !url.starts_with("https://") {
            let text = "Only HTTPS links are allowed";
            return Err(Refusal::bad(format!(
                "inline keyboard button Web App URL '{url}' is invalid: {text}"
            )));
        }
        made.insert("web_app".to_owned(), app.clone());
    } else {
        let others = [
            "switch_inline_query",
            "switch_inline_query_current_chat",
            "login_url",
            "copy_text",
            "callback_game",
        ];
        let name = others.into_iter().find(|name| object.contains_key(*name));
        let name = name.ok_or_else(|| parse("Text buttons are unallowed in the inline keyboard"))?;
        made.insert(name.to_owned(), object[name].clone());
    }
    for name in ["style", "icon_custom_emoji_id"] {
        if let Some(value) = object.get(name) {
            made.insert(name.to_owned(), value.clone());
        }
    }
    Ok(Value::Object(made))
}

/// The service wants a host with a dot, so `localhost` is no address.
fn web_address(url: &str) -> Result<(), Refusal> {
    let spelled = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let parsed = Url::parse(&spelled).ok();
    let good = parsed.is_some_and(|url| match url.scheme() {
        "http" | "https" => url.host_str().is_some_and(|host| host.contains(['.', ':'])),
        scheme => matches!(scheme, "tg" | "ton" | "tonsite"),
    });
    if good {
        return Ok(());
    }
    Err(Refusal::bad(format!("inline keyboard button URL '{url}' is invalid: Wrong HTTP URL")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIVATE: Place = Place { private: true, invoice: false };

    fn ask(button: &Value, place: Place) -> Result<Option<Value>, String> {
        let object = json!({"reply_markup": {"inline_keyboard": [[button]]}});
        read(&Args::of_object(object.as_object().unwrap()), place).map_err(|refusal| refusal.description)
    }

    #[test]
    fn buttons_are_refused_as_the_service_does() {
        assert!(ask(&json!({"text": "a", "callback_data": "x".repeat(64)}), PRIVATE).is_ok());
        for (button, complaint) in [
            (json!({"text": "a", "callback_data": "x".repeat(65)}), "Bad Request: BUTTON_DATA_INVALID"),
            (json!({"text": "a", "callback_data": "\u{44F}".repeat(33)}), "Bad Request: BUTTON_DATA_INVALID"),
            (
                json!({"text": "a"}),
                "Bad Request: can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
            ),
            (
                json!({"text": "a", "url": "http://localhost:1/x"}),
                "Bad Request: inline keyboard button URL 'http://localhost:1/x' is invalid: Wrong HTTP URL",
            ),
            (
                json!({"text": "a", "web_app": {"url": "http://127.0.0.1/x"}}),
                "Bad Request: inline keyboard button Web App URL 'http://127.0.0.1/x' is invalid: Only HTTPS links are allowed",
            ),
            (json!({"text": "a", "pay": true}), "Bad Request: BUTTON_TYPE_INVALID"),
        ] {
            assert_eq!(ask(&button, PRIVATE), Err(complaint.to_owned()), "{button}");
        }
        let invoice = Place { invoice: true, ..PRIVATE };
        assert!(ask(&json!({"text": "Pay", "pay": true}), invoice).is_ok());
        let unpaid = ask(&json!({"text": "a", "callback_data": "x"}), invoice);
        assert_eq!(unpaid, Err("Bad Request: REPLY_MARKUP_BUY_EMPTY".to_owned()));
    }
}
