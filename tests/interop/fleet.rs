//! Trackers that share their swarms over a real Redis.

use std::net::TcpListener;
use std::ops::RangeInclusive;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use metainfo::InfoHash;
use tempfile::tempdir;
use tracker_proto::http::Event;

use super::support::nodes::{By, Client, Node};
use super::support::process::eventually;
use super::support::programs::run;
use super::support::redis::Redis;

const SWARM: InfoHash = InfoHash::new([0x5a; 20]);
const UP: &str = "shoal_fleet_up";
/// The seconds that those wait who are not asked to come back soon: half an hour, a tenth less or more.
const HALF_AN_HOUR: RangeInclusive<u64> = 1620..=1980;

fn seeder(port: u16) -> Client {
    Client { swarm: SWARM, port, left: 0, v6: false }
}

fn leecher(port: u16) -> Client {
    Client { left: 1, ..seeder(port) }
}

fn v6(client: Client) -> Client {
    Client { v6: true, ..client }
}

/// Lets a client announce to a node until it is given another.
fn finds(node: &Node, by: By, client: Client, other: Client) {
    eventually(&format!("{client:?} finds {other:?} by {by:?}"), || {
        node.announce(by, client, Event::None).peers.contains(&other.address()).then_some(())
    });
}

/// Waits until a node has told the store all that it was told.
fn is_told(node: &Node, peers: u32) {
    node.wait_for("shoal_fleet_written_total", |written| written >= f64::from(peers));
}

#[test]
#[ignore = "needs a real Redis: apt-get install redis-server util-linux, and run with --ignored"]
fn a_seeder_of_one_tracker_is_found_by_the_leechers_of_others_and_nothing_is_lost_with_one() {
    let folder = tempdir().unwrap();
    let redis = Redis::start(folder.path(), &[]);
    let [one, two, three] = [(); 3].map(|()| Node::start(folder.path(), &redis.url()));
    [&one, &two, &three].into_iter().for_each(|node| node.wait_for(UP, |up| up == 1.0));

    one.announce(By::Http, seeder(1001), Event::Started);
    one.announce(By::Udp, v6(seeder(1006)), Event::Started);
    is_told(&one, 2);
    // Whoever is new where few are known is told to come back before the interval is over, and finds them then.
    let first = two.announce(By::Udp, leecher(2001), Event::Started);
    assert_eq!((first.interval.as_secs(), first.peers.len()), (60, 0));
    finds(&two, By::Udp, leecher(2001), seeder(1001));
    let interval = two.announce(By::Udp, leecher(2001), Event::None).interval;
    assert!(HALF_AN_HOUR.contains(&interval.as_secs()), "{interval:?}");
    finds(&two, By::Udp, v6(leecher(2006)), v6(seeder(1006)));
    let first = three.announce(By::Http, leecher(3001), Event::Started);
    assert_eq!((first.interval.as_secs(), first.peers.len()), (60, 0));
    finds(&three, By::Http, leecher(3001), seeder(1001));
    finds(&three, By::Http, leecher(3001), v6(seeder(1006)));
    // No key stays for ever.
    for key in redis.ask(&["KEYS", "*"]) {
        let seconds: i64 = redis.ask(&["TTL", &key])[0].parse().unwrap();
        assert!((1..=2 * 3050 + 60).contains(&seconds), "{key}: {seconds}");
    }

    one.kill();
    is_told(&two, 2);
    // Those who come to the others find the seeder of the one that is gone, and so do those of a new one, which
    // knows of the swarm before anybody has announced.
    finds(&two, By::Http, leecher(2002), seeder(1001));
    let new = Node::start(folder.path(), &redis.url());
    eventually("a new node is warm", || (new.scrape(SWARM).complete == 2).then_some(()));
    let given = new.announce(By::Http, leecher(4001), Event::Started).peers;
    assert!(given.contains(&seeder(1001).address()) && given.contains(&leecher(2001).address()), "{given:?}");
    [two, three, new].into_iter().for_each(Node::end);
}

#[test]
#[ignore = "needs a real Redis: apt-get install redis-server util-linux, and run with --ignored"]
fn whoever_leaves_leaves_the_store() {
    let folder = tempdir().unwrap();
    let redis = Redis::start(folder.path(), &["--requirepass", "open sesame"]);
    let url = redis.url();
    let node = Node::start(folder.path(), &format!("{url}?pass=open%20sesame"));
    node.announce(By::Udp, seeder(1001), Event::Started);
    node.announce(By::Http, v6(leecher(1002)), Event::Started);
    is_told(&node, 2);
    let size = || redis.ask(&["-a", "open sesame", "--no-auth-warning", "DBSIZE"]);
    assert_eq!(size(), ["1"]);
    node.announce(By::Udp, seeder(1001), Event::Stopped);
    // What is told last is told, too.
    node.announce(By::Http, v6(leecher(1002)), Event::Stopped);
    node.end();
    assert_eq!(size(), ["0"]);

    let mut stranger = Node::start(folder.path(), &url);
    stranger.wait_for_words("swarms are not shared until it is back");
    let interval = stranger.announce(By::Http, leecher(1), Event::Started).interval;
    assert!(HALF_AN_HOUR.contains(&interval.as_secs()), "{interval:?}");
    stranger.end();
}

#[test]
#[ignore = "needs a real Redis: apt-get install redis-server util-linux, and run with --ignored"]
fn no_announce_fails_while_the_store_is_gone_or_hangs_and_it_catches_up_when_it_is_back() {
    let folder = tempdir().unwrap();
    let mut redis = Redis::start(folder.path(), &[]);
    let gone = Node::start(folder.path(), &redis.url());
    let node = Node::start(folder.path(), &redis.url());
    gone.announce(By::Http, seeder(8), Event::Started);
    gone.announce(By::Http, seeder(9), Event::Started);
    is_told(&gone, 2);
    gone.kill();
    node.announce(By::Http, leecher(1), Event::Started);
    finds(&node, By::Http, leecher(1), seeder(9));
    finds(&node, By::Http, leecher(1), seeder(8));
    // He comes to this one, which has heard of him.
    node.announce(By::Udp, seeder(8), Event::None);
    // What it is told next is told next.
    node.announce(By::Udp, leecher(2), Event::None);
    eventually("the last is told", || (peers(&redis) == 4).then_some(()));
    assert_eq!(node.page("/ready"), (200, "ready\n".to_owned()));

    let (over, answered) = (AtomicBool::new(false), [const { AtomicU32::new(0) }; 2]);
    let more = || {
        let before = answered.each_ref().map(|count| count.load(Ordering::Relaxed));
        eventually("announces are answered", || {
            let now = answered.each_ref().map(|count| count.load(Ordering::Relaxed));
            now.iter().zip(before).all(|(now, before)| *now > before + 50).then_some(())
        });
    };
    thread::scope(|scope| {
        let clients = || {
            for (by, count) in [By::Http, By::Udp].into_iter().zip(&answered) {
                let (at, over) = (node.at.clone(), &over);
                scope.spawn(move || {
                    let port = 100 + by as u16;
                    while !over.load(Ordering::Relaxed) {
                        // One that is not answered ends the test.
                        at.announce(by, leecher(port), Event::None);
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        };
        clients();
        more();
        // Should the rest fail, the clients end all the same.
        let _ended = Ended(&over);
        redis.kill();
        more();
        node.wait_for(UP, |up| up == 0.0);
        let degraded = "ready, but the store does not answer: swarms are not shared\n".to_owned();
        assert_eq!(node.page("/ready"), (200, degraded));
        assert_eq!(node.page("/health").0, 200);
        node.announce(By::Udp, v6(seeder(200)), Event::Started);
        more();
        node.wait_for("shoal_fleet_lag_seconds", |lag| lag > 0.0);

        redis.again();
        node.wait_for(UP, |up| up == 1.0);
        // It knows nothing any more, and is told again of all who announced here: those before it went, those while it
        // was gone, and him whom it had told of first, but not of the one who was known from itself alone.
        eventually("all are told again", || (peers(&redis) == 6).then_some(()));
        let other = Node::start(folder.path(), &redis.url());
        finds(&other, By::Http, v6(leecher(300)), leecher(1));
        finds(&other, By::Http, v6(leecher(300)), v6(seeder(200)));
        finds(&other, By::Http, v6(leecher(300)), seeder(8));
        assert_eq!(other.scrape(SWARM).complete, 2, "the other seed was not heard by those who are left");

        redis.freeze();
        more();
        node.wait_for(UP, |up| up == 0.0);
        more();
        redis.thaw();
        node.wait_for(UP, |up| up == 1.0);
        more();
    });
    node.end();
}

#[test]
#[ignore = "needs a real Redis: apt-get install redis-server util-linux, and run with --ignored"]
fn what_no_tracker_would_have_written_is_not_believed_and_stops_nothing() {
    let folder = tempdir().unwrap();
    let redis = Redis::start(folder.path(), &[]);
    let one = Node::start(folder.path(), &redis.url());
    one.announce(By::Http, seeder(1001), Event::Started);
    is_told(&one, 1);
    let key = redis.ask(&["KEYS", "*"]).remove(0);
    for (field, value) in [
        ("no address", "sAAAAAAAA"),
        ("abcdef", "sAAAAAAA"),
        ("abcdeg", "xAAAAAAAA"),
        // An address, and a time that has not come yet: it is from this slice, and so is its age.
        ("7bytes", "sAAAAAAAA"),
        (&"x".repeat(100_000), "d"),
    ] {
        redis.ask(&["HSET", &key, field, value]);
    }
    // Names in which another swarm's peers would stand, with something else in them, and names of nobody's.
    let other = InfoHash::new([0x6b; 20]);
    let other_key = key.replace(&SWARM.to_string(), &other.to_string());
    redis.ask(&["SET", &other_key, "something"]);
    redis.ask(&["SET", "shoal:{nonsense}:1", "something"]);

    let two = Node::start(folder.path(), &redis.url());
    eventually("a new node is warm", || (two.scrape(SWARM).complete == 2).then_some(()));
    let given = two.announce(By::Http, leecher(2001), Event::Started).peers;
    let believed = ["127.0.0.1:1001", "55.98.121.116:25971"].map(|address| address.parse().unwrap());
    assert!(given.len() == 2 && believed.iter().all(|address| given.contains(address)), "{given:?}");
    two.announce(By::Udp, Client { swarm: other, ..leecher(2002) }, Event::Started);
    two.wait_for("shoal_fleet_errors_total", |errors| errors > 0.0);
    assert_eq!(two.metric(UP), 1.0);
    two.announce(By::Udp, leecher(2003), Event::Started);
    is_told(&two, 2);
    [one, two].into_iter().for_each(Node::end);
}

#[test]
#[ignore = "needs a real Redis: apt-get install redis-server util-linux, and run with --ignored"]
fn a_full_store_is_told_of_once_and_again_of_all_when_it_has_room() {
    let folder = tempdir().unwrap();
    let redis = Redis::start(folder.path(), &[]);
    let node = Node::start(folder.path(), &redis.url());
    node.wait_for(UP, |up| up == 1.0);
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    for port in 1..=5 {
        node.announce(By::Http, leecher(port), Event::Started);
        // Each is a batch.
        node.wait_for("shoal_fleet_errors_total", |errors| errors >= f64::from(port));
    }
    assert_eq!((node.metric("shoal_fleet_written_total"), node.metric(UP)), (0.0, 1.0));
    assert_eq!(redis.ask(&["DBSIZE"]), ["0"]);

    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    // What is told now is taken, and after a while so is all that was not.
    eventually("all are told again", || {
        node.announce(By::Udp, leecher(6), Event::None);
        let keys = redis.ask(&["KEYS", "*"]);
        keys.iter().any(|key| redis.ask(&["HLEN", key]) == ["6"]).then_some(())
    });
    let told = node.end_with_words();
    let refused: Vec<_> = told.iter().filter(|words| words.contains("refuses what it is told")).collect();
    assert_eq!(refused.len(), 1, "{told:?}");
}

#[test]
#[ignore = "needs a real Redis: apt-get install redis-server openssl util-linux, and run with --ignored"]
fn a_store_over_tls_is_used_if_its_certificate_is_good() {
    let folder = tempdir().unwrap();
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
    let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
                 -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE";
    let mut openssl = Command::new("openssl");
    run(openssl.args(words.split_whitespace()).arg("-keyout").arg(&key).arg("-out").arg(&certificate));
    // Redis takes no port 0 for one that is free.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let [certificate_path, key_path] = [&certificate, &key].map(|path| path.to_str().unwrap());
    let tls = ["--tls-port", &port, "--tls-auth-clients", "no", "--tls-cert-file", certificate_path];
    let _redis = Redis::start(folder.path(), &[&tls[..], &["--tls-key-file", key_path]].concat());

    let url = format!("rediss://localhost:{port}");
    let [one, two] =
        [(); 2].map(|()| Node::start_with(folder.path(), &url, &[("SSL_CERT_FILE", certificate.as_path())]));
    one.announce(By::Udp, seeder(1001), Event::Started);
    is_told(&one, 1);
    finds(&two, By::Http, leecher(2001), seeder(1001));
    // Nobody has vouched for it.
    let mut stranger = Node::start(folder.path(), &url);
    stranger.wait_for_words("certificate");
    assert_eq!(stranger.metric(UP), 0.0);
    [one, two, stranger].into_iter().for_each(Node::end);
}

/// How many peers there are in the store.
fn peers(redis: &Redis) -> u32 {
    let length = |key: &String| redis.ask(&["HLEN", key])[0].parse::<u32>().unwrap();
    redis.ask(&["KEYS", "*"]).iter().map(length).sum()
}

/// Says that it is over when it goes.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
