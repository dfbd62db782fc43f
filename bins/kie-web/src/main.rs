//! kie-web.

fn main() {}
