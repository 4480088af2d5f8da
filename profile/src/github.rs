//! Settings for the jobs of GitHub Actions.

/// The line that ends the text. Nix needs `NAME = VALUE` on every line, so none
/// of them is this one.
const END: &str = "NIXPACE";

/// A variable of several lines, as `$GITHUB_ENV` and `$GITHUB_OUTPUT` take it.
pub(crate) fn block(config: &str) -> String {
    format!("NIX_CONFIG<<{END}\n{config}{END}\n")
}
