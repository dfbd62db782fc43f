//! What a bot says of itself, and what it can look up.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::telegram::args::Args;
use crate::telegram::bot::Bot;
use crate::telegram::refusal::Refusal;

/// The largest file that getFile gives.
const DOWNLOAD_BYTES_MAX: u64 = 20 << 20;
const COMMANDS_MAX: usize = 100;

/// getMe
pub(super) fn me(bot: &Arc<Bot>) -> Value {
    let mut me = bot.lock().me.clone();
    me["can_join_groups"] = json!(true);
    me["can_read_all_group_messages"] = json!(false);
    me["supports_inline_queries"] = json!(false);
    me["can_connect_to_business"] = json!(false);
    me["has_main_web_app"] = json!(false);
    me
}

/// getFile
pub(super) fn get_file(bot: &Arc<Bot>, args: &Args) -> Result<Value, Refusal> {
    let id = args.text("file_id");
    if id.is_empty() {
        return Err(Refusal::bad("file_id not specified"));
    }
    let state = bot.lock();
    let file = state.files.find(id).ok_or_else(|| Refusal::bad("invalid file_id"))?;
    let view = file.view();
    if view.bytes > DOWNLOAD_BYTES_MAX {
        return Err(Refusal::bad("file is too big"));
    }
    if state.files.bytes(id).is_none() {
        return Err(Refusal::bad("wrong file_id or the file is temporarily unavailable"));
    }
    Ok(json!({
        "file_id": view.file_id,
        "file_unique_id": view.file_unique_id,
        "file_size": view.bytes,
        "file_path": file.path,
    }))
}

/// getChat
pub(super) fn get_chat(bot: &Arc<Bot>, args: &Args) -> Result<Value, Refusal> {
    let state = bot.lock();
    let id = state.known(args.text("chat_id"))?.id;
    let mut chat = state.chat_json(id);
    chat["accent_color_id"] = json!(0);
    chat["max_reaction_count"] = json!(11);
    Ok(chat)
}

/// The setters and getters of texts and menus, and the answer to what does not exist here.
pub(super) fn settings(bot: &Arc<Bot>, method: &str, args: &Args) -> Result<Value, Refusal> {
    let language = args.text("language_code");
    let text = |field: &str| -> Result<Value, Refusal> {
        let key = format!("{field}:{language}");
        let mut state = bot.lock();
        if method.starts_with("set") {
            state.profile.insert(key, json!(args.text(field)));
            return Ok(json!(true));
        }
        let text = state.profile.get(&key).cloned().unwrap_or_else(|| json!(""));
        Ok(json!({field: text}))
    };
    match method {
        "setmyname" | "getmyname" => text("name"),
        "setmydescription" | "getmydescription" => text("description"),
        "setmyshortdescription" | "getmyshortdescription" => text("short_description"),
        "setmycommands" => set_commands(bot, args),
        "getmycommands" => {
            let commands = bot.lock().profile.get(&commands_key(args)).cloned();
            Ok(commands.unwrap_or_else(|| json!([])))
        }
        "deletemycommands" => {
            bot.lock().profile.remove(&commands_key(args));
            Ok(json!(true))
        }
        "setchatmenubutton" => {
            let button = args.json("menu_button").unwrap_or_else(|| json!({"type": "default"}));
            bot.lock().profile.insert(format!("menu_button:{}", args.text("chat_id")), button);
            Ok(json!(true))
        }
        "getchatmenubutton" => {
            let key = format!("menu_button:{}", args.text("chat_id"));
            Ok(bot.lock().profile.get(&key).cloned().unwrap_or_else(|| json!({"type": "commands"})))
        }
        _ => {
            tracing::warn!(method, "this method does not exist or is not simulated");
            Err(Refusal::new(404, "Not Found: method not found"))
        }
    }
}

fn commands_key(args: &Args) -> String {
    let scope = args.json("scope");
    let kind = scope.as_ref().and_then(|scope| scope["type"].as_str()).unwrap_or("default");
    let chat = scope.as_ref().map(|scope| scope["chat_id"].to_string()).unwrap_or_default();
    format!("commands:{kind}:{chat}:{}", args.text("language_code"))
}

fn set_commands(bot: &Arc<Bot>, args: &Args) -> Result<Value, Refusal> {
    let list = args.json("commands").ok_or_else(|| Refusal::bad("Can't parse commands JSON object"))?;
    let commands = list.as_array().ok_or_else(|| Refusal::bad("Expected an Array of BotCommand"))?;
    if commands.len() > COMMANDS_MAX {
        return Err(Refusal::bad("BOT_COMMANDS_TOO_MUCH"));
    }
    for entry in commands {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
        let (command, description) = (text("command").trim_start_matches('/'), text("description"));
        let letters = command.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if command.is_empty() || command.len() > 32 || !letters {
            return Err(Refusal::bad("BOT_COMMAND_INVALID"));
        }
        if description.is_empty() || description.chars().count() > 256 {
            return Err(Refusal::bad("BOT_COMMAND_DESCRIPTION_INVALID"));
        }
    }
    bot.lock().profile.insert(commands_key(args), list);
    Ok(json!(true))
}
