//! The scripts, and how one is run.
//!
//! A script carries out one transition of one record as a whole: no reader sees a part of it, and
//! no part of it survives a crash alone. All of them begin with `#!lua`, so that the server reports
//! before it runs one whether it would have to stop half-way: where it is a replica, out of memory,
//! or cannot write its log.

use super::connection::Connection;
use redis::{Cmd, RedisError, Value};
use std::sync::LazyLock;

/// A script, and the name by which a server that has seen it knows it.
pub(super) struct Script {
    pub(super) source: &'static str,
    pub(super) name: String,
}

/// A script made of these files, one after the other.
macro_rules! script {
    ($name:ident = $($file:literal)+) => {
        pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::of(concat!($(include_str!(concat!("scripts/", $file)),)+)));
    };
}

script!(CREATE = "head.lua" "record.lua" "write.lua" "create.lua");
script!(REPLACE = "head.lua" "record.lua" "write.lua" "replace.lua");
script!(REMOVE = "head.lua" "record.lua" "remove.lua");
script!(GET = "head.lua" "record.lua" "get.lua");
script!(LIST = "head.lua" "list.lua");
script!(PURGE = "head.lua" "purge.lua");
script!(LOOK = "look.lua");
script!(NOTE = "note.lua");
script!(BEGIN = "begin.lua");
script!(ADOPT = "adopt.lua");

/// The answer of a script where the incarnation of the bucket is not the one that the host knows.
pub(super) const LIFE_ENDED: i64 = -1;

/// The answer of a script where a record was there and is gone.
pub(super) const RECORD_LOST: i64 = -2;

impl Script {
    fn of(source: &'static str) -> Self {
        Self {
            source,
            name: redis::Script::new(source).get_hash().to_owned(),
        }
    }

    /// Runs it with what `fill` puts after its name: the number of keys, the keys, the arguments.
    pub(super) async fn run(
        &self,
        on: &Connection,
        fill: impl Fn(&mut Cmd),
    ) -> Result<Value, RedisError> {
        match on.ask(&self.call(&fill)).await {
            // Nothing was run. With its source the server runs it and keeps it, even if its script
            // cache is flushed in between.
            Err(error) if error.code() == Some("NOSCRIPT") => {
                let mut whole = redis::cmd("EVAL");
                whole.arg(self.source);
                fill(&mut whole);
                on.ask(&whole).await
            }
            answer => answer,
        }
    }

    /// The command that runs it on a server that has seen it.
    pub(super) fn call(&self, fill: impl FnOnce(&mut Cmd)) -> Cmd {
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.name);
        fill(&mut call);
        call
    }
}
