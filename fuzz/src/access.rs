//! Who may use a tracker: lists as files, the header and the preamble of proxies.

use std::net::IpAddr;

use ::metainfo::InfoHash;
use tracker_proto::access::{
    InfoHashes, Network, Networks, PasskeyKey, Passkeys, forwarded,
    proxy::{HEAD_BYTES, Head, MAX_REST_BYTES},
};

use crate::input::Input;

/// The first byte chooses what the rest is.
pub fn target(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 5 {
        0 => info_hashes(input.rest()),
        1 => networks(input.rest()),
        2 => passkeys(input.rest()),
        3 => header(input.rest()),
        _ => proxy(input.rest()),
    }
}

/// The entries of a list, as its format says.
fn entries(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n')
        .map(|line| line.split(|&byte| byte == b'#').next().unwrap_or_default().trim_ascii())
        .filter(|line| !line.is_empty())
}

fn assert_names_a_line(text: &[u8], error: &tracker_proto::access::LineError) {
    let lines = text.split(|&byte| byte == b'\n').count();
    assert!((1..=lines).contains(&error.line), "line {} of {lines}", error.line);
    // What it quotes is escaped by whoever shows it.
    assert!(error.reason.len() < 4096);
}

fn info_hashes(text: &[u8]) {
    let list = match InfoHashes::parse(text) {
        Ok(list) => list,
        Err(error) => return assert_names_a_line(text, &error),
    };
    assert!(list.len() <= entries(text).count());
    assert_eq!(list.is_empty(), entries(text).next().is_none());
    assert_eq!(list.difference(&list), (0, 0));
    assert_eq!(list.difference(&InfoHashes::default()), (list.len(), 0));
    for entry in entries(text).filter(|entry| entry.len() >= 40) {
        let digit = |at: usize| char::from(entry[at]).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let byte = |at: usize| Some(digit(2 * at)? * 16 + digit(2 * at + 1)?);
        let hash = std::array::from_fn(|at| byte(at).expect("an entry of 40 or more is of digits"));
        assert!(list.contains(&InfoHash::new(hash)));
    }
}

fn networks(text: &[u8]) {
    let list = match Networks::parse(text) {
        Ok(list) => list,
        Err(error) => return assert_names_a_line(text, &error),
    };
    assert!(list.len() <= entries(text).count());
    assert_eq!(list.difference(&list), (0, 0));
    let mut all = Vec::new();
    for entry in entries(text) {
        let entry = std::str::from_utf8(entry).expect("an entry is text");
        let network: Network = entry.parse().expect("an entry of a list is one by itself");
        assert_eq!(network.to_string().parse(), Ok(network));
        let (address, _) = entry.split_once('/').unwrap_or((entry, ""));
        let address: IpAddr = address.parse().expect("an entry begins with an address");
        assert!(network.contains(address) && list.contains(address));
        all.push((address, network));
    }
    // Just outside of each, the list and its entries say the same.
    for (address, _) in &all {
        let near = match address.to_canonical() {
            IpAddr::V4(ip) => IpAddr::V4(ip.to_bits().wrapping_sub(1).into()),
            IpAddr::V6(ip) => IpAddr::V6(ip.to_bits().wrapping_sub(1).into()),
        };
        assert_eq!(list.contains(near), all.iter().any(|(_, network)| network.contains(near)), "{near}");
    }
}

fn passkeys(text: &[u8]) {
    let list = match Passkeys::parse(text, PasskeyKey([4; 16])) {
        Ok(list) => list,
        Err(error) => {
            assert_names_a_line(text, &error);
            let known =
                ["not UTF-8 text", "longer than", "a passkey is 16 to 64 letters, digits, '-' or '_'"];
            assert!(
                known.iter().any(|known| error.reason.starts_with(known)),
                "a passkey is not repeated: {error}"
            );
            return;
        }
    };
    assert!(list.len() <= entries(text).count() && list.difference(&list) == (0, 0));
    assert!(entries(text).all(|entry| list.contains(entry)));
    assert!(!list.contains(b"") && !list.contains(&[b'#'; 20]));
}

/// Each line is a header as a proxy passes it on.
fn header(text: &[u8]) {
    let trusted: Networks =
        ["192.0.2.0/24", "2001:db8::/32"].map(|text| text.parse().expect("a network")).into_iter().collect();
    let lines = || text.split(|&byte| byte == b'\n');
    let stranger: IpAddr = [198, 51, 100, 1].into();
    assert_eq!(
        forwarded(stranger, &trusted, lines()),
        Ok(stranger),
        "a stranger's headers are not looked at"
    );
    let proxy: IpAddr = [192, 0, 2, 1].into();
    if let Ok(client) = forwarded(proxy, &trusted, lines()) {
        assert_eq!(client, client.to_canonical());
        // What a client writes in front changes nothing, once there is a client.
        if !trusted.contains(client) {
            let forged = std::iter::once(&b"203.0.113.7, 203.0.113.8"[..]).chain(lines());
            assert_eq!(forwarded(proxy, &trusted, forged.collect::<Vec<_>>().into_iter()), Ok(client));
        }
    }
}

fn proxy(data: &[u8]) {
    let Some((head, rest)) = data.split_first_chunk::<HEAD_BYTES>() else { return };
    let head = match Head::parse(head) {
        Ok(head) => head,
        Err(error) => return crate::assert_one_line(&error.to_string()),
    };
    assert!(head.rest <= MAX_REST_BYTES);
    if let Some(rest) = rest.get(..head.rest) {
        head.addresses(rest).expect("what is announced is long enough");
    }
}
