//! kie-bot.

fn main() {}
