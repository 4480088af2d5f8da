//! Lines for people, on stderr.

use std::io::Write;

use detect::stage::Hint;

/// One line. When stderr is gone, nobody is left to tell.
pub(crate) fn say(line: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}

/// `what: why`, for a line that says more than the error; without its hint.
pub(crate) fn reason(error: &anyhow::Error) -> String {
    let hint = error.downcast_ref::<Hint>().map(|hint| hint.0);
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    let causes: Vec<&str> =
        causes.iter().map(String::as_str).filter(|cause| Some(*cause) != hint).collect();
    causes.join(": ")
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use detect::stage::Hint;

    use super::reason;

    #[test]
    fn a_hint_is_no_reason() {
        let error = anyhow!("why").context("what").context(Hint("try again"));
        assert_eq!(reason(&error), "what: why");
        assert_eq!(reason(&anyhow!("why")), "why");
    }
}
