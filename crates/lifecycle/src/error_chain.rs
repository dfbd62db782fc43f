//! An error and its causes in one line, for rows and logs.

/// `error: cause: cause of the cause`; a cause whose words were said already is left out.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !words.contains(&more) {
            words.push_str(": ");
            words.push_str(&more);
        }
        source = cause.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("put: no route")]
    struct Put(#[source] std::io::Error);

    #[test]
    fn a_cause_is_told_once() {
        let told = |cause| error_chain(&Put(std::io::Error::other(cause)));
        assert_eq!(told("no route"), "put: no route");
        assert_eq!(told("cable"), "put: no route: cable");
    }
}
