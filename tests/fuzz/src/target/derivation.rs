//! `.drv` files, from any bytes.

use caches::derivation::Derivation;

const STORE: &str = "/nix/store";

/// Hold the laws for an input.
pub fn run(data: &[u8]) {
    let Ok(derivation) = Derivation::parse(data, STORE) else { return };
    let _ = (derivation.allows_substitutes(), derivation.prefers_local_build());
    let again = written(&derivation);
    assert_eq!(Derivation::parse(again.as_bytes(), STORE), Ok(derivation), "round trip");
    // Nothing may follow, and nothing be missing.
    assert!(Derivation::parse(&[data, b"\n"].concat(), STORE).is_err());
    assert!(Derivation::parse(&data[..data.len() - 1], STORE).is_err());
}

fn written(derivation: &Derivation) -> String {
    let outputs = derivation.outputs.iter().map(|output| {
        let path = output.path.as_ref().map_or_else(String::new, |path| format!("{STORE}/{path}"));
        format!("({},{},\"\",\"\")", quoted(&output.name), quoted(&path))
    });
    let environment = &derivation.environment;
    let pairs =
        environment.iter().map(|(name, value)| format!("({},{})", quoted(name), quoted(value)));
    format!(
        "Derive([{}],[],[],{},\"\",[],[{}])",
        outputs.collect::<Vec<_>>().join(","),
        quoted(&derivation.platform),
        pairs.collect::<Vec<_>>().join(",")
    )
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
