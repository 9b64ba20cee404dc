use std::collections::BTreeMap;

const MAX_DEPTH: usize = 8;

pub(super) enum Value<'a> {
    Integer(i64),
    Bytes(&'a [u8]),
    List(Vec<Value<'a>>),
    Dict(BTreeMap<&'a [u8], Value<'a>>),
}

impl<'a> Value<'a> {
    pub(super) fn get(&self, key: &[u8]) -> Option<&Value<'a>> {
        match self {
            Self::Dict(entries) => entries.get(key),
            _ => None,
        }
    }
}

pub(super) fn parse(bytes: &[u8]) -> Result<Value<'_>, String> {
    let mut rest = bytes;
    let value = value(&mut rest, 0).ok_or_else(|| format!("at byte {}", bytes.len() - rest.len()))?;
    Ok(value)
}

fn value<'a>(rest: &mut &'a [u8], depth: usize) -> Option<Value<'a>> {
    if depth > MAX_DEPTH {
        return None;
    }
    match rest.first()? {
        b'i' => {
            let end = rest.iter().take(24).position(|&byte| byte == b'e')?;
            let number = std::str::from_utf8(rest.get(1..end)?).ok()?.parse().ok()?;
            *rest = rest.get(end + 1..)?;
            Some(Value::Integer(number))
        }
        b'l' => {
            *rest = rest.get(1..)?;
            let mut list = Vec::new();
            while *rest.first()? != b'e' {
                list.push(value(rest, depth + 1)?);
            }
            *rest = rest.get(1..)?;
            Some(Value::List(list))
        }
        b'd' => {
            *rest = rest.get(1..)?;
            let mut entries = BTreeMap::new();
            while *rest.first()? != b'e' {
                entries.insert(string(rest)?, value(rest, depth + 1)?);
            }
            *rest = rest.get(1..)?;
            Some(Value::Dict(entries))
        }
        _ => string(rest).map(Value::Bytes),
    }
}

fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let colon = rest.iter().take(8).position(|&byte| byte == b':')?;
    let length: usize = std::str::from_utf8(rest.get(..colon)?).ok()?.parse().ok()?;
    let after = rest.get(colon + 1..)?;
    let bytes = after.get(..length)?;
    *rest = after.get(length..)?;
    Some(bytes)
}
