//! A connection to the engine: batches of commands in one write, and what comes back.
//!
//! Invariant: nobody who announces waits for what happens here. An engine that says nothing is waited for [`PATIENCE`] each time, and
//! after [`DEADLINE`] no other answer is begun. What is not read is not waited for: the connection is given up with the first
//! thing that goes wrong on it, and with it all that is on its way. Answers are read one by one, and no more is kept of them.
//!
//! What it does not do: bound the length of one answer. The engine is trusted not to drip one for ever, and whoever else may write
//! to it not to put gigabytes there: they could as well remove all that is in it.

use std::time::{Duration, Instant};

use redis::{Cmd, Connection, ErrorKind, Pipeline, RedisError, ServerError, Value, cmd};
use tracker_proto::fleet::{Command, Key, SAMPLE, Sighting};

use super::{StoreUrl, read_sample};

/// For a connection, and for what comes next of an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// For all answers to a batch but the last.
const DEADLINE: Duration = Duration::from_secs(4);
/// The most keys taken from one step through them; the engine is asked for half of that.
const MAX_KEYS: usize = 2000;

/// See the module.
pub(super) struct Engine(Connection);

/// What came back.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Commands that were refused.
    pub(super) refused: u64,
    /// How the first of them was.
    pub(super) refusal: Option<String>,
    /// Peers that were therefore not entered or removed.
    pub(super) lost: u64,
    /// Whether some of these would be taken at another time: not if something else stands where they should.
    pub(super) may_pass: bool,
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

    /// Does all commands; peers that are asked for go to `learn`, with the slice that they stand in.
    pub(super) fn send(
        &mut self,
        commands: &[Command],
        mut learn: impl FnMut(Key, Sighting),
    ) -> Result<Answers, RedisError> {
        let mut pipeline = Pipeline::new();
        let mut expected = Vec::with_capacity(2 * commands.len());
        commands.iter().for_each(|command| add(&mut pipeline, &mut expected, command));
        if pipeline.is_empty() {
            return Ok(Answers::default());
        }
        self.0.send_packed_command(&pipeline.get_packed_pipeline())?;
        let began = Instant::now();
        let mut answers = Answers::default();
        for expected in expected {
            // As long as answers come one by one, none of them is late.
            if began.elapsed() > DEADLINE {
                return Err(RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut)));
            }
            match (self.0.recv_response()?, expected) {
                (Value::ServerError(error), _) => {
                    // It is starting, and will take everything later.
                    if matches!(error.code(), "LOADING" | "MASTERDOWN" | "NOAUTH" | "READONLY") {
                        return Err(error.into());
                    }
                    answers.refuse(&error, expected);
                }
                (value, Expected::Sample(key)) => read_sample(key, &value, &mut learn),
                (_, Expected::Done { .. }) => {}
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

impl Answers {
    fn refuse(&mut self, error: &ServerError, expected: Expected) {
        self.refused += 1;
        self.refusal.get_or_insert_with(|| error.to_string());
        if let Expected::Done { peers } = expected {
            self.lost += peers;
            self.may_pass |= error.code() != "WRONGTYPE";
        }
    }
}

/// What one command that the engine sees is answered with.
#[derive(Debug, Clone, Copy)]
enum Expected {
    /// That so many peers were entered or removed.
    Done { peers: u64 },
    /// Peers.
    Sample(Key),
}

/// Adds a command, and what it will be answered with.
fn add(pipeline: &mut Pipeline, expected: &mut Vec<Expected>, command: &Command) {
    let mut done = |command: Cmd, peers: usize| {
        pipeline.add_command(command);
        expected.push(Expected::Done { peers: peers as u64 });
    };
    match command {
        Command::Write { key, peers, keep, only_new } => {
            let name = key.to_string();
            if *only_new {
                for peer in peers {
                    done(on("HSETNX", &name).arg(peer.peer.as_bytes()).arg(&peer.value()[..]).take(), 1);
                }
            } else {
                let mut write = on("HSET", &name);
                for peer in peers {
                    write.arg(peer.peer.as_bytes()).arg(&peer.value()[..]);
                }
                done(write, peers.len());
            }
            done(on("EXPIRE", &name).arg(*keep).take(), 0);
        }
        Command::Remove { key, peers } => {
            let mut remove = on("HDEL", &key.to_string());
            for peer in peers {
                remove.arg(peer.as_bytes());
            }
            done(remove, peers.len());
        }
        Command::Sample { key } => {
            pipeline.add_command(on("HRANDFIELD", &key.to_string()).arg(SAMPLE).arg("WITHVALUES").take());
            expected.push(Expected::Sample(*key));
        }
    }
}

fn on(name: &str, key: &str) -> Cmd {
    let mut command = cmd(name);
    command.arg(key);
    command
}

/// What went wrong, in words for an operator.
pub(super) fn told(error: &RedisError) -> String {
    if error.is_timeout() {
        return "it does not answer".to_owned();
    }
    if error.is_connection_refusal() {
        return "nothing listens there".to_owned();
    }
    if error.is_connection_dropped() {
        return "it has closed the connection".to_owned();
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed => "it does not accept the user and password".to_owned(),
        _ => metainfo::without_os_error(&error.to_string()).to_owned(),
    }
}
