//! Writes a torrent file around its info dictionary.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::TorrentFile;
use crate::bencode::{Raw, Value, encode_map};

/// The key of the info dictionary.
const INFO: &[u8] = b"info";

/// What comes before the info dictionary, that itself, and what comes after.
pub(super) fn torrent(torrent: &TorrentFile) -> [Bytes; 3] {
    let known = known(torrent);
    let unknown = torrent.unknown.iter().map(|(key, value)| (key.as_slice(), Raw(value)));
    let mut before: BTreeMap<&[u8], Raw<'_>> = unknown.collect();
    // Fields win over what was kept under their keys.
    before.extend(known.iter().map(|(key, value)| (key.as_bytes(), Raw(value.as_slice()))));
    before.remove(INFO);
    let after = before.split_off(INFO);
    let mut before = encode_map(&before);
    // The dictionary goes on.
    before.pop();
    before.extend_from_slice(b"4:info");
    let after = Bytes::from(encode_map(&after)).slice(1..);
    [before.into(), torrent.info.raw().clone(), after]
}

/// The fields that are present, as bencode.
fn known(torrent: &TorrentFile) -> Vec<(&'static str, Vec<u8>)> {
    let announce = torrent.announce.iter().flatten().next();
    // `announce-list` is only for more than one tracker: `announce` says it all otherwise.
    let has_list = torrent.announce.iter().flatten().nth(1).is_some();
    let tiers = || Value::List(torrent.announce.iter().map(|tier| texts(tier)).collect());
    let node =
        |(host, port): &(String, u16)| Value::List(vec![host.as_str().into(), i64::from(*port).into()]);
    let nodes = || Value::List(torrent.nodes.iter().map(node).collect());
    let web_seeds = match torrent.web_seeds.as_slice() {
        [] => None,
        [one] => Some(Value::from(one.as_str())),
        several => Some(texts(several)),
    };
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    let fields = [
        ("announce", announce.map(|url| url.as_str().into())),
        ("announce-list", has_list.then(tiers)),
        ("comment", text(&torrent.comment)),
        ("created by", text(&torrent.created_by)),
        ("creation date", torrent.creation_date.map(Value::Int)),
        ("httpseeds", (!torrent.http_seeds.is_empty()).then(|| texts(&torrent.http_seeds))),
        ("nodes", (!torrent.nodes.is_empty()).then(nodes)),
        ("url-list", web_seeds),
    ];
    fields.into_iter().filter_map(|(key, value)| Some((key, value?.to_bytes()))).collect()
}

fn texts(texts: &[String]) -> Value {
    Value::List(texts.iter().map(|text| text.as_str().into()).collect())
}
