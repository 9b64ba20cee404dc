//! The loop: makes requests when they are due and connections are free, and takes answers.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::event::epoll;

use crate::Load;
use crate::check::Judge;
use crate::desk::{Asked, Desk, Link, Place, Tally};
use crate::http::HttpLink;
use crate::keyed::Random;
use crate::population::Population;
use crate::process;
use crate::report::{Phase, Report, Took};
use crate::script::Script;
use crate::target::{Protocol, Target, sources};
use crate::udp::UdpLink;

/// How often it is looked for requests that no answer came to.
const EXPIRY_INTERVAL: Duration = Duration::from_millis(100);
/// Events taken from the kernel at once.
const EVENTS: usize = 256;
/// Failures in turn after which a tracker is taken for gone.
const GONE: u64 = 1000;
/// Wrong answers after which there is nothing left to learn.
const ENOUGH_WRONG: u64 = 1000;
/// Announces under way at once in a preload over UDP: what a socket with the usual buffer holds.
const PRELOAD_IN_FLIGHT: u32 = 128;
/// How long a preload may take: a million peers take less than a minute.
const PRELOAD_TIME: Duration = Duration::from_secs(3600);

/// When requests are made.
#[derive(Debug, Clone, Copy)]
struct Plan {
    connections: u32,
    depth: u8,
    /// A second; none for a closed loop.
    rate: Option<u32>,
    time: Duration,
    requests: u64,
    timeout: Duration,
}

/// Asks as it is told.
///
/// # Errors
/// When the options make no sense, or the tracker is gone. Wrong answers are in the report.
pub fn load(options: &Load) -> Result<Report> {
    let target = Target::parse(&options.url)?;
    if options.close && target.protocol == Protocol::Udp {
        bail!("--close is for HTTP: over UDP there are no connections");
    }
    if options.depth > 1 && target.protocol == Protocol::Http {
        bail!("--depth is for UDP: over HTTP there is one request a connection at once");
    }
    let sources = sources(options, &target)?;
    let (peers, swarms, giant) = (options.peers, options.swarms, options.giant);
    let population = Population::new(options.seed, (peers, swarms, giant), sources)?;
    let plan = Plan {
        connections: options.connections,
        depth: options.depth,
        rate: options.rate,
        time: options.seconds,
        requests: options.requests.unwrap_or(u64::MAX),
        timeout: options.timeout,
    };
    let run = Run { options, population };
    let preload = options.preload.then(|| run.preload(&target, plan)).transpose()?;
    if !options.warm_up.is_zero() {
        let plan = Plan { time: options.warm_up, requests: u64::MAX, ..plan };
        run.phase(&target, run.mix(1), plan, options.close)?;
    }
    let measured = if plan.requests == 0 || plan.time.is_zero() {
        None
    } else {
        Some(run.phase(&target, run.mix(2), plan, options.close)?)
    };
    Ok(Report { preload, measured, may_lose: options.may_lose })
}

/// The parts of a run.
struct Run<'a> {
    options: &'a Load,
    population: Population,
}

impl Run<'_> {
    /// Random peers; another `part` has others.
    fn mix(&self, part: u64) -> Script {
        let Load { seed, scrapes, stops, .. } = *self.options;
        // The domains below are the population's.
        Script::Mix { random: Random::new(seed, 16 + part), scrapes, stops }
    }

    fn preload(&self, target: &Target, plan: Plan) -> Result<Phase> {
        let other = self.options.preload_by.as_deref().map(Target::parse).transpose()?;
        let target = other.as_ref().unwrap_or(target);
        let connections = plan.connections.min(PRELOAD_IN_FLIGHT);
        let connections = connections.max(self.population.source_count());
        let depth = match target.protocol {
            Protocol::Http => 1,
            Protocol::Udp => u8::try_from(PRELOAD_IN_FLIGHT / connections).unwrap_or(u8::MAX).clamp(1, 128),
        };
        let rate = self.options.preload_rate;
        let plan = Plan { connections, depth, rate, time: PRELOAD_TIME, requests: u64::MAX, ..plan };
        let close = self.options.close && self.options.preload_by.is_none();
        self.phase(target, Script::preload(&self.population), plan, close)
    }

    fn phase(&self, target: &Target, script: Script, plan: Plan, close: bool) -> Result<Phase> {
        if plan.connections < self.population.source_count() {
            bail!("fewer connections than source addresses: raise --connections");
        }
        let options = self.options;
        let binds = options.sources.is_some() || !options.source.is_empty();
        let judge = Judge::new(options.numwant, options.lenient);
        let desk = Desk::new(target.clone(), close, self.population.clone(), judge, binds)?;
        let own = process::cpu("self")?;
        let pid = options.pid.map(|pid| pid.to_string());
        let before = pid.as_deref().map(process::cpu).transpose()?;
        let (tally, time) = match target.protocol {
            Protocol::Http => Engine::<HttpLink>::new(desk, plan)?.run(script, plan)?,
            Protocol::Udp => Engine::<UdpLink>::new(desk, plan)?.run(script, plan)?,
        };
        let own = process::cpu("self")?.saturating_sub(own);
        let tracker = match (&pid, before) {
            (Some(pid), Some(before)) => {
                let (resident, peak) = process::resident(pid)?;
                Some(Took { cpu: process::cpu(pid)?.saturating_sub(before), resident, peak })
            }
            _ => None,
        };
        Ok(Phase::new(&tally, time, own, tracker))
    }
}

/// One phase.
struct Engine<L> {
    desk: Desk,
    links: Vec<L>,
}

impl<L: Link> Engine<L> {
    fn new(mut desk: Desk, plan: Plan) -> Result<Self> {
        let sources = desk.population.source_count().max(1);
        let links = (0..plan.connections)
            .map(|link| L::new(Place { link, source: link % sources }, plan.depth, &desk))
            .collect::<std::io::Result<Vec<_>>>()
            .context("cannot open the sockets")?;
        for _ in 0..plan.depth {
            desk.free.extend(0..plan.connections);
        }
        Ok(Self { desk, links })
    }

    /// Gives what came of it, and how long it took to the last answer.
    fn run(mut self, mut script: Script, plan: Plan) -> Result<(Tally, Duration)> {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS);
        let start = self.desk.now();
        let (mut issued, mut dry, mut last) = (0u64, 0u64, start);
        let slots = u64::from(plan.connections) * u64::from(plan.depth);
        let mut expiry = start;
        loop {
            let now = self.desk.now();
            // A source that has nothing more to ask is left out; after all of them there is no more.
            let over = now - start >= plan.time || issued >= plan.requests || dry >= slots;
            while !over
                && issued < plan.requests
                && let Some(due) = due(&plan, start, issued).filter(|&due| due <= now)
                && let Some(number) = self.desk.free.pop_front()
            {
                let source = number % self.desk.population.source_count().max(1);
                let Some(question) = script.next(&self.desk.population, source) else {
                    dry += 1;
                    continue;
                };
                issued += 1;
                self.desk.in_flight += 1;
                // In a closed loop a request is due when it can be made.
                let begun = if plan.rate.is_some() { due } else { self.desk.now() };
                if let Some(link) = self.links.get_mut(number as usize) {
                    link.ask(Asked { question, begun }, &mut self.desk);
                }
                if self.desk.tally.failed_in_turn >= GONE {
                    break;
                }
            }
            if over && self.desk.in_flight == 0 {
                break;
            }
            if self.desk.tally.failed_in_turn >= GONE {
                bail!("the tracker is gone: {}", self.desk.tally.failure.as_deref().unwrap_or_default());
            }
            if self.desk.tally.wrong >= ENOUGH_WRONG {
                break;
            }
            let mut wait = (expiry + EXPIRY_INTERVAL).saturating_sub(now);
            if !over && !self.desk.free.is_empty() {
                let next = due(&plan, start, issued).unwrap_or(now);
                wait = wait.min(next.saturating_sub(self.desk.now()));
            }
            self.desk.wait(&mut events, wait)?;
            for event in &events {
                let number = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
                if let Some(link) = self.links.get_mut(number) {
                    link.ready(&mut self.desk);
                }
            }
            let now = self.desk.now();
            if !events.is_empty() {
                last = now;
            }
            if now >= expiry + EXPIRY_INTERVAL {
                expiry = now;
                let since = now.saturating_sub(plan.timeout);
                self.links.iter_mut().for_each(|link| link.expire(since, &mut self.desk));
            }
        }
        Ok((self.desk.tally, last.saturating_sub(start)))
    }
}

/// When the next request is due, after so many.
fn due(plan: &Plan, start: Duration, issued: u64) -> Option<Duration> {
    let Some(rate) = plan.rate else { return Some(start) };
    let nanoseconds = u128::from(issued) * 1_000_000_000 / u128::from(rate);
    Some(start + Duration::from_nanos(u64::try_from(nanoseconds).ok()?))
}
