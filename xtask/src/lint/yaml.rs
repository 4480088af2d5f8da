//! YAML of any kind, with the line that each part starts on.

use std::fmt;

use anyhow::{Result, anyhow};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A part of a document.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// Its first line, from 1; of a block of text, the first inside.
    pub(super) line: usize,
    value: Value,
}

#[derive(Clone, Debug, Default)]
enum Value {
    #[default]
    Null,
    /// Whatever is written: for a reader of workflows, numbers are text too.
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    /// Read a document.
    pub(super) fn parse(text: &str) -> Result<Self> {
        // Its messages go on for many lines, with a picture of the place.
        let what = |text: &str| text.lines().next().unwrap_or_default().to_owned();
        serde_saphyr::from_str(text).map_err(|error| anyhow!("{}", what(&error.to_string())))
    }

    /// What a key of this map leads to.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// What a path of keys leads to.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The text of what a key leads to; empty where there is none.
    pub(super) fn text_of(&self, key: &str) -> &str {
        self.get(key).map_or("", Node::text)
    }

    /// The text of a scalar; empty for anything else.
    pub(super) fn text(&self) -> &str {
        match &self.value {
            Value::Text(text) => text,
            _ => "",
        }
    }

    /// A map's entries, in order.
    pub(super) fn entries(&self) -> &[(String, Node)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// A list's items; a scalar is a list of itself, as GitHub reads it.
    pub(super) fn items(&self) -> Vec<&Node> {
        match &self.value {
            Value::List(items) => items.iter().collect(),
            Value::Text(_) => vec![self],
            _ => Vec::new(),
        }
    }

    /// Every scalar below, itself included.
    pub(super) fn scalars(&self) -> Vec<&Node> {
        match &self.value {
            Value::Null => Vec::new(),
            Value::Text(_) => vec![self],
            Value::List(items) => items.iter().flat_map(Node::scalars).collect(),
            Value::Map(entries) => entries.iter().flat_map(|(_, node)| node.scalars()).collect(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { line: usize::try_from(referenced.line()).unwrap_or_default(), value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::Node;

    #[test]
    fn parts_know_their_lines() {
        let text =
            "on: push\njobs:\n  a:\n    steps:\n      - uses: x\n      - run: |\n          b\n";
        let node = Node::parse(text).expect("YAML");
        assert_eq!(node.text_of("on"), "push", "a key, and no boolean");
        let steps = node.at(&["jobs", "a", "steps"]).expect("steps").items();
        let run = steps[1].get("run").expect("run");
        assert_eq!((steps[0].line, run.line, run.text()), (5, 7, "b\n"));
        assert_eq!(node.scalars().len(), 3);
    }

    #[test]
    fn hostile_text_is_an_error_of_one_line() {
        for bad in ["a: [", "&a [*a]", "a: !!binary x\n\tb", &"[".repeat(100_000)] {
            if let Err(error) = Node::parse(bad) {
                assert_eq!(error.to_string().lines().count(), 1, "{bad:.20}");
            }
        }
    }
}
