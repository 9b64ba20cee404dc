//! What will happen and when: a queue by time that stays fast with hundreds of thousands of events in it.
//!
//! Purpose: a heap of so many events touches cold memory at each of its levels. Here what is far off is only thrown into
//! the bucket of its time, and sorted when that time has come.
//!
//! Invariant: events come by time, at one time host by host, and for one host in the order in which they were caused.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Microseconds of a bucket, as a power of two.
const BUCKET_SHIFT: u32 = 8;
/// Buckets in the ring: two seconds.
const BUCKETS: u64 = 1 << 13;

/// When and where something happens, and after what else that was to happen there and then.
type Place = (u64, u32, u64);

#[derive(Clone, Copy, Debug)]
struct Event<T> {
    place: Place,
    what: T,
}

impl<T> PartialEq for Event<T> {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl<T> Eq for Event<T> {}

impl<T> PartialOrd for Event<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Event<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place.cmp(&other.place)
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Timeline<T> {
    /// What lies in the bucket that has begun, the next one last.
    due: Vec<Event<T>>,
    /// What came into that bucket, or into the past, after it had begun.
    late: BinaryHeap<Reverse<Event<T>>>,
    /// The number of that bucket, counted from the start of time.
    begun: u64,
    /// Those after it, each at the remainder of its number.
    buckets: Vec<Vec<Event<T>>>,
    in_buckets: usize,
    /// Beyond the ring.
    far: BinaryHeap<Reverse<Event<T>>>,
    caused: u64,
}

impl<T: Copy> Timeline<T> {
    pub(super) fn new() -> Self {
        Self {
            due: Vec::new(),
            late: BinaryHeap::new(),
            begun: 0,
            buckets: (0..BUCKETS).map(|_| Vec::new()).collect(),
            in_buckets: 0,
            far: BinaryHeap::new(),
            caused: 0,
        }
    }

    /// Something will happen to a host at a time in microseconds.
    pub(super) fn push(&mut self, at: u64, host: u32, what: T) {
        self.caused += 1;
        let event = Event { place: (at, host, self.caused), what };
        let number = at >> BUCKET_SHIFT;
        if number <= self.begun {
            self.late.push(Reverse(event));
        } else if number - self.begun < BUCKETS {
            self.bucket(number).push(event);
            self.in_buckets += 1;
        } else {
            self.far.push(Reverse(event));
        }
    }

    /// When the next one is.
    pub(super) fn next_at(&mut self) -> Option<u64> {
        if self.due.is_empty() && self.late.is_empty() {
            self.begin_next();
        }
        let due = self.due.last().map(|event| event.place.0);
        let late = self.late.peek().map(|Reverse(event)| event.place.0);
        due.into_iter().chain(late).min()
    }

    /// The next one that is due, and when it was.
    pub(super) fn pop(&mut self, now: u64) -> Option<(u64, T)> {
        if self.next_at()? > now {
            return None;
        }
        let late_first = match (self.due.last(), self.late.peek()) {
            (Some(due), Some(Reverse(late))) => late < due,
            (due, _) => due.is_none(),
        };
        let event = if late_first { self.late.pop().map(|Reverse(event)| event) } else { self.due.pop() };
        event.map(|event| (event.place.0, event.what))
    }

    fn bucket(&mut self, number: u64) -> &mut Vec<Event<T>> {
        &mut self.buckets[place(number)]
    }

    /// Goes on to the next bucket that holds something.
    fn begin_next(&mut self) {
        let far = self.far.peek().map(|Reverse(event)| event.place.0 >> BUCKET_SHIFT);
        let near = (self.in_buckets > 0)
            .then(|| (self.begun + 1..).find(|&number| !self.buckets[place(number)].is_empty()))
            .flatten();
        let Some(number) = near.into_iter().chain(far).min() else { return };
        self.begun = number;
        let mut bucket = std::mem::take(self.bucket(number));
        self.in_buckets -= bucket.len();
        while self.far.peek().is_some_and(|Reverse(event)| event.place.0 >> BUCKET_SHIFT == number) {
            bucket.extend(self.far.pop().map(|Reverse(event)| event));
        }
        bucket.sort_unstable_by(|one, other| other.cmp(one));
        // The emptied list goes where the full one was, so that its memory is used again.
        *self.bucket(number) = std::mem::replace(&mut self.due, bucket);
    }
}

/// Where in the ring a bucket stands.
fn place(number: u64) -> usize {
    usize::try_from(number % BUCKETS).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn events_come_by_time_then_host_then_cause_whenever_they_were_caused(
            // What is pushed: how far off, for whom; after each push so many are taken.
            pushes in prop::collection::vec((prop_oneof![0u64..300, 0u64..10_000_000], 0u32..3, 0usize..3), 1..300),
        ) {
            let mut timeline = Timeline::new();
            let mut model = BinaryHeap::new();
            let mut now = 0;
            for (cause, &(off, host, take)) in pushes.iter().enumerate() {
                timeline.push(now + off, host, cause);
                model.push(Reverse((now + off, host, cause)));
                for _ in 0..take {
                    let Some(Reverse((at, _, due))) = model.pop() else { break };
                    prop_assert_eq!(timeline.next_at(), Some(at));
                    now = at;
                    prop_assert_eq!(timeline.pop(now), Some((at, due)));
                }
            }
            while let Some(Reverse((at, _, due))) = model.pop() {
                if at > 0 {
                    prop_assert_eq!(timeline.pop(at - 1), None);
                }
                prop_assert_eq!(timeline.pop(at), Some((at, due)));
            }
            prop_assert_eq!(timeline.next_at(), None);
        }
    }
}
