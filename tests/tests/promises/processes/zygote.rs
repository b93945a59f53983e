//! A process that waits with everything compiled, and starts copies of itself, each of which plays a part.
//!
//! The process is this test binary. It reads a role from a line of its standard input and answers
//! with the fork's process id, or waits for a fork and answers with its exit.

use super::{fork, parts::Part};
use crate::stories::Tools;
use rustix::process::{Pid, Signal, WaitStatus, kill_process};
use std::{
    env,
    io::{BufRead, BufReader, Write, stdin},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

const HERE: &str = "SEMEL_TEST_ZYGOTE";

/// The prefix of its lines, which the test harness does not use.
const MARK: &str = "zygote: ";

/// A zygote, seen from the test that uses it.
pub struct Zygote {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Zygote {
    pub fn start() -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args([
                "processes::zygote::zygote",
                "--exact",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(HERE, "here")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (
            process.stdin.take().unwrap(),
            BufReader::new(process.stdout.take().unwrap()),
        );
        Self { process, to, from }
    }

    /// Starts a process that plays `part`.
    pub fn play(&mut self, part: &Part) -> Pid {
        let said = self.tell(&format!("play {}", serde_json::to_string(part).unwrap()));
        Pid::from_raw(said.parse().unwrap()).unwrap()
    }

    /// Waits until the process has ended, and says whether it was killed. Any other failure is one of the test.
    pub fn was_killed(&mut self, copy: Pid) -> bool {
        match self
            .tell(&format!("wait {}", copy.as_raw_nonzero()))
            .as_str()
        {
            "killed" => true,
            "done" => false,
            other => panic!("the process ended by itself: {other}"),
        }
    }

    fn tell(&mut self, line: &str) -> String {
        writeln!(self.to, "{line}").unwrap();
        loop {
            let mut said = String::new();
            assert!(
                self.from.read_line(&mut said).unwrap() > 0,
                "the zygote has ended"
            );
            // The harness ends no line before the test has ended, so the mark may stand within one.
            if let Some((_, said)) = said.split_once(MARK) {
                return said.trim_end().to_owned();
            }
        }
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.process), Signal::KILL);
        let _ = self.process.wait();
    }
}

/// A part of other tests, which start it as a process of its own: alone there is nothing to do.
#[test]
fn zygote() {
    if env::var_os(HERE).is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let tools = runtime.block_on(Tools::load());
    // With it end the threads on which policies were compiled.
    drop(runtime);
    for line in stdin().lines().map(Result::unwrap) {
        let answer = match line.split_once(' ').unwrap() {
            ("play", part) => {
                let part: Part = serde_json::from_str(part).unwrap();
                fork::fork(|| part.play(&tools))
                    .as_raw_nonzero()
                    .to_string()
            }
            (_, copy) => ended(fork::wait(Pid::from_raw(copy.parse().unwrap()).unwrap())),
        };
        println!("{MARK}{answer}");
    }
}

fn ended(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(0), _) => "done".to_owned(),
        (_, Some(signal)) if signal == Signal::KILL.as_raw() => "killed".to_owned(),
        _ => format!("{status:?}"),
    }
}
