//! A connection to the engine: batches of commands in one write, and what comes back.
//!
//! Invariant: nothing here takes longer than [`DEADLINE`] and a half. What is not read is not waited for: the connection is given up
//! with the first thing that goes wrong on it, and with it all that is on its way.

use std::time::{Duration, Instant};

use redis::{Cmd, Connection, ErrorKind, Pipeline, RedisError, Value, cmd};
use tracker_proto::fleet::{Command, Key, SAMPLE, Sighting};

use super::StoreUrl;

/// For a connection, and for the answer to one command.
const PATIENCE: Duration = Duration::from_secs(2);
/// For all answers to a batch.
const DEADLINE: Duration = Duration::from_secs(4);
/// The most keys taken from one step through them; the engine is asked for half of that.
const MAX_KEYS: usize = 2000;

/// See the module.
pub(super) struct Engine(Connection);

/// What came back.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Peers by the slice that they stand in.
    pub(super) sightings: Vec<(Key, Sighting)>,
    /// Commands that were refused.
    pub(super) refused: u64,
    /// How the first of them was.
    pub(super) refusal: Option<String>,
}

impl Engine {
    pub(super) fn connect(url: &StoreUrl) -> Result<Self, RedisError> {
        let mut connection = url.client()?.get_connection_with_timeout(PATIENCE)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        // One that wants a password, or is only starting, takes connections all the same.
        cmd("PING").exec(&mut connection)?;
        Ok(Self(connection))
    }

    /// Does all commands.
    pub(super) fn send(&mut self, commands: &[Command]) -> Result<Answers, RedisError> {
        let mut pipeline = Pipeline::new();
        // Of each command of ours, how many the engine sees, and whose peers the last one gives.
        let mut expected = Vec::with_capacity(commands.len());
        for command in commands {
            let before = pipeline.len();
            let asked = add(&mut pipeline, command);
            expected.push((pipeline.len() - before, asked));
        }
        if pipeline.is_empty() {
            return Ok(Answers::default());
        }
        self.0.send_packed_command(&pipeline.get_packed_pipeline())?;
        let began = Instant::now();
        let mut answers = Answers::default();
        for (count, asked) in expected {
            for _ in 0..count {
                // As long as answers come one by one, none of them is late.
                if began.elapsed() > DEADLINE {
                    return Err(RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut)));
                }
                match (self.0.recv_response()?, asked) {
                    (Value::ServerError(error), _) => {
                        answers.refused += 1;
                        answers.refusal.get_or_insert_with(|| error.to_string());
                        // It is starting, and will take everything later.
                        if matches!(error.code(), "LOADING" | "MASTERDOWN" | "NOAUTH" | "READONLY") {
                            return Err(error.into());
                        }
                    }
                    (value, Some(key)) => read_sample(key, &value, &mut answers.sightings),
                    _ => {}
                }
            }
        }
        Ok(answers)
    }

    /// Goes on through the names of all keys from `cursor`; gives the next one, which is 0 at the end.
    pub(super) fn scan(&mut self, cursor: u64) -> Result<(u64, Vec<Key>), RedisError> {
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(Key::PATTERN).arg("COUNT").arg(MAX_KEYS / 2);
        let (next, names): (u64, Vec<Vec<u8>>) = scan.query(&mut self.0)?;
        Ok((next, names.iter().take(MAX_KEYS).filter_map(|name| Key::parse(name)).collect()))
    }
}

/// Adds a command; gives the key whose peers its answer holds, if it is a question.
fn add(pipeline: &mut Pipeline, command: &Command) -> Option<Key> {
    match command {
        Command::Write { key, peers, keep, only_new } => {
            let name = key.to_string();
            if *only_new {
                for peer in peers {
                    let command = on("HSETNX", &name).arg(peer.peer.as_bytes()).arg(&peer.value()[..]).take();
                    pipeline.add_command(command);
                }
            } else {
                let mut write = on("HSET", &name);
                for peer in peers {
                    write.arg(peer.peer.as_bytes()).arg(&peer.value()[..]);
                }
                pipeline.add_command(write);
            }
            pipeline.add_command(on("EXPIRE", &name).arg(*keep).take());
            None
        }
        Command::Remove { key, peers } => {
            let mut remove = on("HDEL", &key.to_string());
            for peer in peers {
                remove.arg(peer.as_bytes());
            }
            pipeline.add_command(remove);
            None
        }
        Command::Sample { key } => {
            let sample = on("HRANDFIELD", &key.to_string()).arg(SAMPLE).arg("WITHVALUES").take();
            pipeline.add_command(sample);
            Some(*key)
        }
    }
}

fn on(name: &str, key: &str) -> Cmd {
    let mut command = cmd(name);
    command.arg(key);
    command
}

/// Reads fields and values in turn, at most as many as were asked for. What no node would have written is left out.
fn read_sample(key: Key, value: &Value, out: &mut Vec<(Key, Sighting)>) {
    let Value::Array(items) = value else { return };
    for pair in items.as_chunks().0.iter().take(SAMPLE) {
        if let [Value::BulkString(field), Value::BulkString(value)] = pair
            && let Some(sighting) = Sighting::parse(field, value)
        {
            out.push((key, sighting));
        }
    }
}

/// What went wrong, in words for an operator.
pub(super) fn told(error: &RedisError) -> String {
    if error.is_timeout() {
        return "it does not answer".to_owned();
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed => "it does not accept the user and password".to_owned(),
        _ => error.to_string(),
    }
}
