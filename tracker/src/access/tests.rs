use tempfile::TempDir;

use super::*;
use crate::state::Link;

const HASH: InfoHash = InfoHash::new([0xab; 20]);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn trusting(networks: &str) -> AccessConfig {
    let trusted = tracker_proto::access::Networks::parse(networks.as_bytes()).unwrap();
    AccessConfig { trusted, ..AccessConfig::default() }
}

/// A tracker that denies what the file says.
fn denying(folder: &TempDir, text: &str) -> Gate {
    let file = folder.path().join("deny.txt");
    std::fs::write(&file, text).unwrap();
    Gate::new(AccessConfig { deny_hashes: Some(file), ..AccessConfig::default() }).unwrap()
}

fn is_served(gate: &Gate) -> bool {
    gate.judge(ip("192.0.2.1"), None, &HASH).is_ok()
}

fn reload(gate: &Gate, folder: &TempDir, text: &str) -> Vec<String> {
    std::fs::write(folder.path().join("deny.txt"), text).unwrap();
    let folder = format!("{}/", folder.path().display());
    gate.reload().iter().map(|report| report.to_string().replace(&folder, "")).collect()
}

#[test]
fn lists_are_read_again_and_what_changed_is_told() {
    let folder = TempDir::new().unwrap();
    let gate = denying(&folder, &"cd".repeat(20));
    assert!(is_served(&gate));
    let lines = reload(&gate, &folder, &format!("{}\n{}\n", HASH, "ef".repeat(20)));
    assert_eq!(lines, ["--deny-hashes deny.txt: 2 entries, 2 new, 1 gone"]);
    assert!(!is_served(&gate));
    assert_eq!(reload(&gate, &folder, ""), ["--deny-hashes deny.txt: 0 entries, 0 new, 2 gone"]);
    assert!(is_served(&gate));
}

#[test]
fn a_wrong_line_names_file_and_line_and_keeps_the_old_list() {
    let folder = TempDir::new().unwrap();
    let gate = denying(&folder, &HASH.to_string());
    let lines = reload(&gate, &folder, "# none\nabc\u{1b}[2J\n");
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("--deny-hashes deny.txt: line 2: 'abc"), "{lines:?}");
    assert!(
        lines[0].ends_with("; the list before stays in force") && !lines[0].contains('\u{1b}'),
        "{lines:?}"
    );
    assert!(!is_served(&gate) && gate.is_stale());
    assert_eq!(reload(&gate, &folder, ""), ["--deny-hashes deny.txt: 0 entries, 0 new, 1 gone"]);
    assert!(is_served(&gate) && !gate.is_stale());
}

#[test]
fn a_file_that_is_gone_keeps_the_old_list() {
    let folder = TempDir::new().unwrap();
    let gate = denying(&folder, &HASH.to_string());
    std::fs::remove_file(folder.path().join("deny.txt")).unwrap();
    assert!(gate.reload()[0].outcome.is_err());
    assert!(!is_served(&gate) && gate.is_stale());
}

#[test]
fn a_tracker_does_not_start_with_a_list_that_it_cannot_read() {
    let config = AccessConfig { passkeys: Some("/nonexistent/keys".into()), ..AccessConfig::default() };
    let error = Gate::new(config).unwrap_err().to_string();
    assert_eq!(error, "--passkeys /nonexistent/keys: No such file or directory");
}

#[test]
fn a_scrape_is_answered_for_the_swarms_that_are_served() {
    let folder = TempDir::new().unwrap();
    let gate = denying(&folder, &HASH.to_string());
    let other = InfoHash::new([1; 20]);
    let mut asked = vec![HASH, other];
    gate.judge_scrape(ip("192.0.2.1"), None, &mut asked).unwrap();
    assert_eq!(asked, [other]);
}

#[test]
fn h55_an_address_in_the_request_is_believed_of_trusted_networks_only() {
    let gate = Gate::new(trusting("10.0.0.0/8")).unwrap();
    let victim = Some(ip("198.51.100.66"));
    assert_eq!(gate.entered(ip("203.0.113.5"), victim), ip("203.0.113.5"));
    assert_eq!(gate.entered(ip("10.0.0.1"), victim), ip("198.51.100.66"));
    assert_eq!(gate.entered(ip("10.0.0.1"), None), ip("10.0.0.1"));
    assert_eq!(gate.entered(ip("10.0.0.1"), Some(ip("0.0.0.0"))), ip("10.0.0.1"));
    let strict = Gate::new(AccessConfig::default()).unwrap();
    assert_eq!(strict.entered(ip("127.0.0.1"), victim), ip("127.0.0.1"));
}

#[test]
fn h55_a_client_of_a_trusted_proxy_is_not_trusted_for_that() {
    let gate = Gate::new(trusting("10.0.0.0/8")).unwrap();
    let header = b"10.1.1.1, 203.0.113.5".as_slice();
    let client = gate.client(ip("10.0.0.1"), std::iter::once(header)).unwrap();
    assert_eq!(gate.entered(client, Some(ip("198.51.100.66"))), ip("203.0.113.5"));
}

async fn linked(config: AccessConfig, mut bytes: &[u8]) -> (Option<String>, usize) {
    let link = Link { remote: "10.0.0.1:5".parse().unwrap(), local: "10.0.0.2:6969".parse().unwrap() };
    let found = Gate::new(config).unwrap().link(&mut bytes, link).await;
    (found.map(|link| format!("{} {}", link.remote, link.local)), bytes.len())
}

#[tokio::test]
async fn h56_a_proxy_header_is_asked_of_trusted_networks_and_of_no_others() {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
    header.extend([203, 0, 113, 5, 192, 0, 2, 1, 0x12, 0x34, 0x1b, 0x39]);
    let request = [header.as_slice(), b"GET /"].concat();
    let direct = "10.0.0.1:5 10.0.0.2:6969".to_owned();

    let config = AccessConfig { proxy_protocol: true, ..trusting("10.0.0.0/8") };
    let (link, rest) = linked(config.clone(), &request).await;
    assert_eq!((link.unwrap().as_str(), rest), ("203.0.113.5:4660 192.0.2.1:6969", 5));
    for broken in [b"GET /announce HTTP/1.1\r\n\r\n".as_slice(), &header[..20], b""] {
        assert_eq!(linked(config.clone(), broken).await.0, None);
    }
    // Of others, or where it is not asked for, nothing is read: HTTP then refuses it.
    for config in [trusting("10.0.0.0/8"), AccessConfig { proxy_protocol: true, ..trusting("192.0.2.0/24") }]
    {
        assert_eq!(linked(config, &request).await, (Some(direct.clone()), request.len()));
    }
}

#[test]
fn an_open_tracker_reads_no_files_and_serves_everybody() {
    let gate = Gate::new(AccessConfig::default()).unwrap();
    assert!(gate.is_open && !gate.is_private() && is_served(&gate));
    assert!(gate.reload().is_empty());
}

#[test]
fn who_is_refused_is_counted_by_why() {
    let folder = TempDir::new().unwrap();
    let [torrents, networks, passkeys] =
        ["torrents", "networks", "passkeys"].map(|name| folder.path().join(name));
    std::fs::write(&torrents, HASH.to_string()).unwrap();
    std::fs::write(&networks, "192.0.2.0/24").unwrap();
    std::fs::write(&passkeys, "0123456789abcdef").unwrap();
    let config = AccessConfig {
        deny_hashes: Some(torrents),
        deny_networks: Some(networks),
        passkeys: Some(passkeys),
        ..trusting("198.51.100.0/24")
    };
    let gate = Gate::new(config).unwrap();
    let (passkey, other): (&[u8], &[u8]) = (b"0123456789abcdef", b"0123456789abcdeX");
    let (near, far) = (ip("192.0.2.1"), ip("203.0.113.1"));
    let swarms = || vec![HASH, InfoHash::new([1; 20])];
    assert!(gate.judge_scrape(near, Some(passkey), &mut swarms()).is_err());
    for _ in 0..2 {
        gate.judge_scrape(far, Some(passkey), &mut swarms()).unwrap();
    }
    assert!(gate.judge_scrape(far, None, &mut swarms()).is_err());
    assert!(gate.judge_scrape(far, Some(other), &mut swarms()).is_err());
    assert!(gate.client(ip("198.51.100.1"), [b"nobody".as_slice()].into_iter()).is_err());
    gate.judge_scrape(far, Some(passkey), &mut vec![InfoHash::new([1; 20])]).unwrap();
    let counts: Vec<_> = REASONS.iter().map(|(_, reason, _)| *reason).zip(gate.refusals()).collect();
    let expected =
        [("network", 1), ("torrent", 2), ("no_passkey", 1), ("wrong_passkey", 1), ("forwarder", 1)];
    assert_eq!(counts, expected);
}
