//! Derivations: what builds a path, as `.drv` files say it.
//!
//! Source: `parseDerivation` in libstore's derivations.cc. Such a file is one
//! term, `Derive([OUTPUTS],[INPUTS],[SOURCES],PLATFORM,BUILDER,[ARGUMENTS],[ENVIRONMENT])`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::path::StorePath;

/// The largest one read. Those that hold a whole lock file have a few hundred KB.
pub const LARGEST_BYTES: usize = 16 << 20;

/// Terms within terms. Derivations have 3; those of dynamic derivations more.
const DEEPEST: usize = 16;

/// What builds a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derivation {
    /// What it makes.
    pub outputs: Vec<Output>,
    /// The system it is built on.
    pub platform: String,
    /// The environment of its builder.
    pub environment: BTreeMap<String, String>,
}

/// One of the paths that a derivation makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its name, such as `out`.
    pub name: String,
    /// Where it will be; `None` where only its contents, once built, say that.
    pub path: Option<StorePath>,
}

impl Derivation {
    /// Read a `.drv` file of a store at this place; what is wrong with it
    /// otherwise.
    pub fn parse(text: &[u8], store_dir: &str) -> Result<Self, String> {
        if text.len() > LARGEST_BYTES {
            return Err(format!("larger than {} MiB", LARGEST_BYTES >> 20));
        }
        let mut reader = Reader { text, at: 0 };
        let is_dynamic = reader.takes(b"DrvWithVersion(");
        if !is_dynamic && !reader.takes(b"Derive(") {
            return Err("no derivation".to_owned());
        }
        let corrupt = |at: usize| format!("no derivation from byte {at} on");
        let mut fields = reader.terms(b')', DEEPEST).map_err(corrupt)?;
        if reader.at != text.len() {
            return Err(corrupt(reader.at));
        }
        if is_dynamic {
            match fields.first() {
                Some(Term::Text(version)) if version == "xp-dyn-drv" => fields.remove(0),
                _ => return Err("a kind of derivation that is not known here".to_owned()),
            };
        }
        let fields = <[Term; 7]>::try_from(fields);
        let Ok([outputs, _, _, Term::Text(platform), _, _, environment]) = fields else {
            return Err("not the seven parts of a derivation".to_owned());
        };
        let outputs = outputs.tuples().ok_or("its outputs are no list")?;
        let outputs = outputs.into_iter().map(|output| Output::read(output, store_dir));
        let pairs = environment.tuples().ok_or("its environment is no list")?;
        let pairs = pairs.into_iter().map(|pair| match <[String; 2]>::try_from(pair) {
            Ok([name, value]) => Ok((name, value)),
            Err(_) => Err("its environment is not of names and values"),
        });
        Ok(Self {
            outputs: outputs.collect::<Result<_, _>>()?,
            platform,
            environment: pairs.collect::<Result<_, _>>()?,
        })
    }

    /// Whether its author lets Nix fetch what it makes, rather than build it.
    pub fn allows_substitutes(&self) -> bool {
        self.flag("allowSubstitutes").unwrap_or(true)
    }

    /// Whether its author would have it built on this machine.
    pub fn prefers_local_build(&self) -> bool {
        self.flag("preferLocalBuild").unwrap_or(false)
    }

    /// An attribute, which structured ones keep in a JSON text.
    fn flag(&self, name: &str) -> Option<bool> {
        match self.environment.get("__json") {
            Some(json) => serde_json::from_str::<Value>(json).ok()?.get(name)?.as_bool(),
            None => self.environment.get(name).map(|value| value == "1"),
        }
    }
}

impl Output {
    /// `(NAME, PATH, ALGORITHM, HASH)`.
    fn read(fields: Vec<String>, store_dir: &str) -> Result<Self, String> {
        let Ok([name, path, _, _]) = <[String; 4]>::try_from(fields) else {
            return Err("an output of it has not four parts".to_owned());
        };
        let path = match path.as_str() {
            "" => None,
            path => Some(StorePath::parse_full(path, store_dir)?),
        };
        Ok(Self { name, path })
    }
}

/// What such a file is made of.
enum Term {
    Text(String),
    /// A list, or a tuple: what matters is what is in them.
    List(Vec<Term>),
}

impl Term {
    /// A list of tuples of texts.
    fn tuples(self) -> Option<Vec<Vec<String>>> {
        let texts = |term: Self| match term {
            Self::Text(text) => Some(text),
            Self::List(_) => None,
        };
        let Self::List(rows) = self else { return None };
        let rows = rows.into_iter().map(|row| match row {
            Self::List(fields) => fields.into_iter().map(texts).collect(),
            Self::Text(_) => None,
        });
        rows.collect()
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

/// Each fails with the place where it did.
impl Reader<'_> {
    fn takes(&mut self, what: &[u8]) -> bool {
        let found = self.text[self.at..].starts_with(what);
        self.at += if found { what.len() } else { 0 };
        found
    }

    /// Terms up to the end of what holds them.
    fn terms(&mut self, end: u8, depth: usize) -> Result<Vec<Term>, usize> {
        let mut terms = Vec::new();
        if self.takes(&[end]) {
            return Ok(terms);
        }
        loop {
            terms.push(self.term(depth)?);
            if self.takes(&[end]) {
                return Ok(terms);
            }
            if !self.takes(b",") {
                return Err(self.at);
            }
        }
    }

    fn term(&mut self, depth: usize) -> Result<Term, usize> {
        let Some(inner) = depth.checked_sub(1) else { return Err(self.at) };
        match self.text.get(self.at) {
            Some(b'"') => self.string().map(Term::Text),
            Some(b'[') => {
                self.at += 1;
                self.terms(b']', inner).map(Term::List)
            }
            Some(b'(') => {
                self.at += 1;
                self.terms(b')', inner).map(Term::List)
            }
            _ => Err(self.at),
        }
    }

    fn string(&mut self) -> Result<String, usize> {
        let mut bytes = Vec::new();
        self.at += 1;
        loop {
            let byte = *self.text.get(self.at).ok_or(self.at)?;
            self.at += 1;
            match byte {
                b'"' => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
                b'\\' => {
                    let escaped = *self.text.get(self.at).ok_or(self.at)?;
                    self.at += 1;
                    bytes.push(match escaped {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        other => other,
                    });
                }
                byte => bytes.push(byte),
            }
        }
    }
}

#[cfg(test)]
mod tests;
