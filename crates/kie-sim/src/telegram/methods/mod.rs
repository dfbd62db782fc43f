//! The methods of the Bot API by name.

mod album;
mod edit;
mod inbox;
mod money;
mod profile;
mod send;

use std::sync::Arc;

use serde_json::{Value, json};

use super::args::Args;
use super::bot::Bot;
use super::files::FileKind;
use super::refusal::Refusal;

/// Carries out a method, named in lower case.
pub(crate) async fn perform(bot: &Arc<Bot>, method: &str, args: &Args) -> Result<Value, Refusal> {
    match method {
        "getupdates" => inbox::get_updates(bot, args).await,
        "sendmessage" => send::message(bot, args),
        "sendphoto" => send::media(bot, args, FileKind::Photo).await,
        "sendvideo" => send::media(bot, args, FileKind::Video).await,
        "sendaudio" => send::media(bot, args, FileKind::Audio).await,
        "senddocument" => send::media(bot, args, FileKind::Document).await,
        "sendanimation" => send::media(bot, args, FileKind::Animation).await,
        "sendvoice" => send::media(bot, args, FileKind::Voice).await,
        "sendmediagroup" => album::send(bot, args).await,
        "sendinvoice" => money::send_invoice(bot, args),
        "editmessagemedia" => edit::media(bot, args).await,
        _ => at_once(bot, method, args),
    }
}

/// The methods that wait for nothing and send nothing.
fn at_once(bot: &Arc<Bot>, method: &str, args: &Args) -> Result<Value, Refusal> {
    match method {
        "setwebhook" => inbox::set_webhook(bot, args),
        "deletewebhook" => Ok(inbox::delete_webhook(bot, args)),
        "getwebhookinfo" => Ok(inbox::webhook_info(bot)),
        "sendchataction" => send::chat_action(bot, args),
        "setmessagereaction" => send::reaction(bot, args),
        "editmessagetext" => edit::text(bot, args),
        "editmessagecaption" => edit::caption(bot, args),
        "editmessagereplymarkup" => edit::reply_markup(bot, args),
        "deletemessage" => edit::delete(bot, args),
        "deletemessages" => edit::delete_several(bot, args),
        "answercallbackquery" => inbox::answer_callback(bot, args),
        "createinvoicelink" => money::create_invoice_link(bot, args),
        "answerprecheckoutquery" => money::answer_pre_checkout(bot, args),
        "refundstarpayment" => money::refund(bot, args),
        "getmystarbalance" => Ok(json!({"amount": bot.lock().stars.balance})),
        "getstartransactions" => Ok(money::transactions(bot, args)),
        "getfile" => profile::get_file(bot, args),
        "getchat" => profile::get_chat(bot, args),
        "getme" => Ok(profile::me(bot)),
        "logout" | "close" => Ok(json!(true)),
        _ => profile::settings(bot, method, args),
    }
}
