//! Progress as JSON: one object a line, with the keys of the contract and in their order.

use serde::Serialize;

use super::view::View;

/// How a torrent is doing.
#[derive(Debug, Serialize)]
struct Progress<'a> {
    event: &'static str,
    name: &'a str,
    info_hash_v1: &'a str,
    /// BEP 52 torrents have it; there are none yet.
    info_hash_v2: Option<&'a str>,
    done_bytes: u64,
    total_bytes: u64,
    down_bytes_per_s: u64,
    up_bytes_per_s: u64,
    uploaded_bytes: u64,
    downloaded_bytes: u64,
    peers: usize,
    seeds: usize,
    eta_seconds: Option<u64>,
}

/// Something that happened.
#[derive(Debug, Serialize)]
struct Happened<'a> {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    info_hash_v1: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hashed_bytes: Option<u64>,
    message: &'a str,
}

/// A `progress` object.
pub(crate) fn progress(view: &View) -> String {
    encode(&Progress {
        event: "progress",
        name: &view.raw_name,
        info_hash_v1: &view.info_hash,
        info_hash_v2: None,
        done_bytes: view.done,
        total_bytes: view.total,
        down_bytes_per_s: view.down,
        up_bytes_per_s: view.up,
        uploaded_bytes: view.uploaded,
        downloaded_bytes: view.downloaded,
        peers: view.peers,
        seeds: view.seeds,
        eta_seconds: view.eta.map(|eta| eta.as_secs()),
    })
}

/// An event other than `progress`, about a torrent if there is one.
pub(crate) fn event(event: &'static str, view: Option<&View>, message: &str) -> String {
    let info_hash_v1 = view.map(|view| view.info_hash.as_str()).filter(|hash| !hash.is_empty());
    // How much of what was there had to be hashed is known by then, and of interest once.
    let hashed_bytes = view.filter(|_| matches!(event, "started" | "seeding")).map(|view| view.hashed);
    encode(&Happened {
        event,
        name: view.map(|view| view.raw_name.as_str()),
        info_hash_v1,
        hashed_bytes,
        message,
    })
}

/// One line of JSON that is safe on a terminal too: what [`metainfo::display_safe`] would not let through (beyond
/// ASCII, which the encoder escapes itself) is written as `\u` and four digits, which means the same to a program.
pub(crate) fn encode(value: &impl Serialize) -> String {
    // Strings and numbers always have a JSON form.
    escape(serde_json::to_string(value).unwrap_or_default())
}

fn escape(text: String) -> String {
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut one = [0; 4];
    for c in text.chars() {
        let shown: &str = c.encode_utf8(&mut one);
        if c.is_ascii() && c != '\x7f' || metainfo::display_safe(shown) == shown {
            out.push(c);
        } else {
            out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::view::tests::download;
    use super::*;

    #[test]
    fn a_progress_object_has_the_keys_of_the_contract() {
        let object: serde_json::Value = serde_json::from_str(&progress(&download("a"))).unwrap();
        let mut keys: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        let mut wanted = [
            "event",
            "name",
            "info_hash_v1",
            "info_hash_v2",
            "done_bytes",
            "total_bytes",
            "down_bytes_per_s",
            "up_bytes_per_s",
            "uploaded_bytes",
            "downloaded_bytes",
            "peers",
            "seeds",
            "eta_seconds",
        ];
        wanted.sort_unstable();
        assert_eq!(keys, wanted);
        assert_eq!((&object["eta_seconds"], &object["info_hash_v2"]), (&41.into(), &serde_json::Value::Null));
    }

    #[test]
    fn h13_json_carries_the_exact_name_and_no_control_characters() {
        let line = event("log", Some(&download("a\u{9b}31m\u{202e}b\u{7f}日")), "x");
        assert!(line.contains(r"a\u009b31m\u202eb\u007f日"), "{line}");
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["name"], "a\u{9b}31m\u{202e}b\u{7f}日");
    }

    #[test]
    fn what_was_hashed_is_told_when_it_starts_and_at_no_other_time() {
        let view = super::super::view::View { hashed: 5, ..download("a") };
        let told = |name| event(name, Some(&view), "x").contains(r#""hashed_bytes":5"#);
        let names = ["checking", "started", "complete", "seeding", "warning"];
        assert_eq!(names.map(told), [false, true, false, true, false]);
    }

    #[test]
    fn an_event_is_one_line_whatever_its_message() {
        let line = event("warning", None, "two\nlines \"quoted\"");
        assert_eq!(line, r#"{"event":"warning","message":"two\nlines \"quoted\""}"#);
    }
}
