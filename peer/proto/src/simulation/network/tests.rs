//! The network alone: chunks are numbers.

use super::*;

const MS: u64 = 1000;
const BLOCK: u32 = 16 * 1024 + 13;

fn host(up: Option<u64>, down: Option<u64>) -> HostSpec {
    HostSpec { up, down, burst: 0, latency: 10 * MS }
}

fn network(config: NetworkConfig, hosts: &[HostSpec]) -> Network<u32> {
    let mut network = Network::new(config, 1);
    hosts.iter().for_each(|&spec| _ = network.add_host(spec));
    network
}

/// A window that is never in the way.
fn wide() -> NetworkConfig {
    NetworkConfig { first_window: 1 << 30, widest_window: 1 << 30, ..NetworkConfig::default() }
}

/// Runs until nothing happens any more; what was told, and when in microseconds.
fn drain(network: &mut Network<u32>) -> Vec<(u64, Output<u32>)> {
    let mut told = Vec::new();
    while let Some(at) = network.poll_timeout() {
        network.handle_timeout(at);
        while let Some(output) = network.poll_output() {
            told.push((at.as_micros(), output));
        }
    }
    told
}

fn deliveries(told: &[(u64, Output<u32>)]) -> Vec<(u64, usize, u32)> {
    told.iter()
        .filter_map(|&(at, output)| match output {
            Output::Delivered(flow, chunk) => Some((at, flow.index(), chunk)),
            Output::Room(_) => None,
        })
        .collect()
}

#[test]
fn a_byte_takes_its_time_on_the_uplink_and_the_latency_of_both_ends() {
    let mut network = network(wide(), &[host(Some(1_000_000), None), host(None, None)]);
    let flow = network.open(0, 1);
    network.send(Time::ZERO, flow, 1000, 7);
    assert_eq!(deliveries(&drain(&mut network)), [(MS + 20 * MS, 0, 7)]);
}

#[test]
fn flows_share_an_uplink_in_turns_and_each_keeps_its_order() {
    let mut network = network(wide(), &[host(Some(10_000_000), None), host(None, None), host(None, None)]);
    let (one, other) = (network.open(0, 1), network.open(0, 2));
    (0..20).for_each(|n| network.send(Time::ZERO, one, BLOCK, n));
    (0..10).for_each(|n| network.send(Time::ZERO, other, BLOCK, n));
    let told = deliveries(&drain(&mut network));
    let order = |flow: FlowId| told.iter().filter(|d| d.1 == flow.index()).map(|d| d.2).collect::<Vec<_>>();
    assert_eq!(order(one), (0..20).collect::<Vec<_>>());
    assert_eq!(order(other), (0..10).collect::<Vec<_>>());
    let last = told.iter().rev().find(|d| d.1 == other.index()).unwrap().0;
    let due = 20 * u64::from(BLOCK) / 10 + 20 * MS;
    assert!(last.abs_diff(due) < 2 * u64::from(BLOCK) / 10, "{last}, {due} would be half of the uplink");
}

#[test]
fn flows_share_a_downlink() {
    let mut network = network(wide(), &[host(None, None), host(None, None), host(None, Some(1_000_000))]);
    let (one, other) = (network.open(0, 2), network.open(1, 2));
    (0..10).for_each(|n| network.send(Time::ZERO, one, BLOCK, n));
    (0..10).for_each(|n| network.send(Time::ZERO, other, BLOCK, n));
    let told = deliveries(&drain(&mut network));
    assert!(told[1..19].windows(2).all(|pair| pair[0].1 != pair[1].1), "they take turns: {told:?}");
    assert_eq!(told.last().unwrap().0, 20 * u64::from(BLOCK) + 20 * MS);
}

#[test]
fn a_burst_leaves_at_once_and_is_saved_up_again_while_idle() {
    let spec = HostSpec { burst: 100_000, ..host(Some(100_000), None) };
    let mut network = network(wide(), &[spec, host(None, None)]);
    let flow = network.open(0, 1);
    let start = Time::from_micros(10_000_000);
    (0..12).for_each(|n| network.send(start, flow, 10_000, n));
    let told = deliveries(&drain(&mut network));
    let first = told[0].0;
    assert_eq!(told.iter().filter(|d| d.0 == first).count(), 10);
    assert_eq!(told.last().unwrap().0 - first, 200 * MS);
}

#[test]
fn a_window_doubles_each_round_trip_until_the_uplink_is_full() {
    let mut network = network(NetworkConfig::default(), &[host(None, None), host(None, None)]);
    let flow = network.open(0, 1);
    (0..100).for_each(|n| network.send(Time::ZERO, flow, 1460, n));
    let told = deliveries(&drain(&mut network));
    let by_trip = |trip: u64| told.iter().filter(|d| d.0 == 20 * MS + trip * 40 * MS).count();
    assert_eq!([by_trip(0), by_trip(1), by_trip(2)], [10, 20, 40]);
}

#[test]
fn a_full_kernel_buffer_tells_its_writer_when_it_is_half_empty() {
    let config = NetworkConfig { kernel: KernelBuffer::Fixed(4 * BLOCK), ..wide() };
    let mut network = network(config, &[host(Some(1_000_000), None), host(None, None)]);
    let flow = network.open(0, 1);
    let mut taken = 0;
    while network.is_writable(flow) {
        network.send(Time::ZERO, flow, BLOCK, taken);
        taken += 1;
    }
    assert_eq!(taken, 5, "one is being sent, four wait");
    let told = drain(&mut network);
    let room = told.iter().find(|(_, output)| matches!(output, Output::Room(_))).unwrap();
    assert_eq!(room.0, 3 * u64::from(BLOCK), "when the fourth begins, one waits");
    assert!(network.is_writable(flow));
}

#[test]
fn jitter_keeps_the_order_of_a_flow() {
    let config = NetworkConfig { jitter: 50 * MS, ..wide() };
    let mut network = network(config, &[host(Some(1_000_000), None), host(None, None)]);
    let flow = network.open(0, 1);
    (0..100).for_each(|n| network.send(Time::ZERO, flow, 100, n));
    let order: Vec<u32> = deliveries(&drain(&mut network)).iter().map(|d| d.2).collect();
    assert_eq!(order, (0..100).collect::<Vec<_>>());
}

#[test]
fn with_a_tick_bytes_arrive_at_whole_ticks_host_by_host() {
    let config = NetworkConfig { tick: MS, ..wide() };
    let mut network = network(config, &[host(Some(1_000_000), None), host(None, None), host(None, None)]);
    let (one, other) = (network.open(0, 2), network.open(0, 1));
    [(one, 100), (other, 100), (one, 500), (other, 600)]
        .iter()
        .zip(0..)
        .for_each(|(&(flow, bytes), n)| network.send(Time::ZERO, flow, bytes, n));
    let told = deliveries(&drain(&mut network));
    let at = |trip: u64| 20 * MS + trip * MS;
    assert_eq!(told, [(at(1), 1, 1), (at(1), 0, 0), (at(1), 0, 2), (at(2), 1, 3)]);
}

#[test]
fn what_does_not_fill_a_packet_passes_a_full_window() {
    let mut network = network(NetworkConfig::default(), &[host(None, None), host(None, None)]);
    let (busy, idle) = (network.open(0, 1), network.open(0, 1));
    network.send(Time::ZERO, busy, 14_600, 0);
    network.send(Time::ZERO, busy, 100, 1);
    network.send(Time::ZERO, idle, 20_000, 2);
    network.send(Time::ZERO, idle, 1460, 3);
    let told = deliveries(&drain(&mut network));
    assert_eq!(told, [(20 * MS, 0, 0), (20 * MS, 0, 1), (60 * MS, 1, 2), (60 * MS, 1, 3)]);
}

#[test]
fn a_removed_flow_delivers_nothing_and_its_place_is_used_again() {
    let mut network = network(wide(), &[host(Some(1_000_000), Some(1_000_000)), host(None, Some(1_000_000))]);
    let flow = network.open(0, 1);
    (0..10).for_each(|n| network.send(Time::ZERO, flow, BLOCK, n));
    network.remove(flow);
    let next = network.open(0, 1);
    assert_eq!((next.index(), network.is_open(flow)), (flow.index(), false));
    network.send(Time::ZERO, next, 100, 99);
    network.send(Time::ZERO, flow, 100, 1);
    let told = deliveries(&drain(&mut network));
    assert_eq!(told.iter().map(|d| d.2).collect::<Vec<_>>(), [99]);
}

#[test]
fn headers_count_on_the_uplink() {
    let config = NetworkConfig { overhead_permille: 1030, ..wide() };
    let mut network = network(config, &[host(Some(1_000_000), None), host(None, None)]);
    let flow = network.open(0, 1);
    network.send(Time::ZERO, flow, 10_000, 0);
    assert_eq!(deliveries(&drain(&mut network))[0].0, 10_300 + 20 * MS);
    assert_eq!(network.sent(0), 10_300);
}
