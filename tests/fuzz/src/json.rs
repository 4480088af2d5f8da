//! Mutation of JSON as JSON: bytes changed at random seldom stay a document.

use serde_json::{Value, json};

use super::Bytes;
use super::random::Random;

/// Characters that some reader may take for more than themselves.
const ODD: [char; 12] =
    ['\n', '\r', '\0', '#', ' ', '\t', '\u{b}', '\u{85}', '\u{a0}', '\u{2028}', '\u{3000}', '='];

/// Change a document in one place, or now and then just bytes: libFuzzer calls
/// this several times for one input, and most changes make a document invalid. `words`
/// are keys and texts worth trying.
pub fn mutate(
    data: &mut [u8],
    size: usize,
    most: usize,
    seed: u32,
    words: &[&str],
    bytes: Bytes,
) -> usize {
    let mut random = Random::new(seed);
    if random.below(40) == 0 {
        return bytes(data, size, most);
    }
    let Ok(mut document) = serde_json::from_slice::<Value>(&data[..size]) else {
        return bytes(data, size, most);
    };
    let mut at = random.below(count(&document));
    visit(&mut document, &mut at, &mut |value| change(value, &mut random, words));
    match serde_json::to_vec(&document) {
        Ok(text) if text.len() <= most => {
            data[..text.len()].copy_from_slice(&text);
            text.len()
        }
        _ => bytes(data, size, most),
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// Do something to the value that is `at`th in the document.
fn visit(value: &mut Value, at: &mut usize, act: &mut dyn FnMut(&mut Value)) -> bool {
    if *at == 0 {
        act(value);
        return true;
    }
    *at -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|item| visit(item, at, act)),
        Value::Object(fields) => fields.values_mut().any(|item| visit(item, at, act)),
        _ => false,
    }
}

fn change(value: &mut Value, random: &mut Random, words: &[&str]) {
    let word = words[random.below(words.len())].to_owned();
    if random.below(16) == 0 {
        *value = fresh(random, &word);
        return;
    }
    match value {
        Value::String(text) => match random.below(4) {
            0 => *text = word,
            1 => text.push_str(&word),
            _ => {
                let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
                let at = ends.get(random.below(ends.len() + 1)).copied().unwrap_or(text.len());
                text.insert(at, ODD[random.below(ODD.len())]);
            }
        },
        Value::Array(items) if !items.is_empty() && random.below(2) == 0 => {
            let at = random.below(items.len());
            match random.below(2) {
                0 => drop(items.remove(at)),
                _ => items.push(items[at].clone()),
            }
        }
        Value::Array(items) => items.push(word.into()),
        Value::Object(fields) => {
            let keys: Vec<String> = fields.keys().cloned().collect();
            let key = keys.get(random.below(keys.len().max(1))).cloned().unwrap_or_default();
            match random.below(3) {
                0 => drop(fields.remove(&key)),
                // A field like one that is there, by another name.
                1 => drop(fields.insert(word, fields.get(&key).cloned().unwrap_or_default())),
                _ => drop(fields.insert(word.clone(), fresh(random, &word))),
            }
        }
        Value::Number(number) => {
            let number = number.as_u64().unwrap_or(1);
            *value = match random.below(5) {
                0 => number.wrapping_add(1).into(),
                1 => number.wrapping_sub(1).into(),
                2 => number.wrapping_mul(2).into(),
                3 => (number / 2).into(),
                _ => (1_u64 << random.below(64)).into(),
            };
        }
        Value::Bool(flag) => *flag = !*flag,
        Value::Null => *value = fresh(random, &word),
    }
}

fn fresh(random: &mut Random, word: &str) -> Value {
    match random.below(16) {
        0 => Value::Null,
        1 => json!(random.below(2) == 0),
        2 => json!(0),
        3 => json!(u32::MAX),
        4 => json!(u64::MAX),
        5 => json!(-1),
        6 => json!(1.5),
        7 => json!(1e-300),
        8 => json!(f64::from(u32::try_from(random.below(1 << 31)).unwrap_or(0)) / 1e3),
        9 => json!([]),
        10 => json!({}),
        11 => json!([word]),
        12 => json!(random.below(1 << 20)),
        13 => json!((random.below(1 << 12) as u64) << 28),
        _ => json!(word),
    }
}
