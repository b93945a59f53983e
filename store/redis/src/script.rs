//! The Lua scripts, and how one runs on a server.
//!
//! A script performs one transition of one record atomically: no reader sees a part of it, and no part of it survives a
//! crash alone. Each begins with `#!lua`, so that a replica, a server without memory and one that cannot write its log
//! reject it before its first command.
//!
//! **Errors within a script** have a code of their own, [`SCRIPT_FAILED`]. Redis gives an error within a script the code of
//! the command that failed, so `OOM` alone would not say whether a part of the script was executed.

use super::connection::Connection;
use redis::{Cmd, RedisError, Value};
use std::sync::LazyLock;

/// A script, and the digest by which a server that has loaded it finds it.
pub(super) struct Script {
    pub(super) source: String,
    pub(super) digest: String,
}

/// The code of an error that was raised after a script had begun: a part of it may be executed.
pub(super) const SCRIPT_FAILED: &str = "SCRIPTFAILED";

/// The line that each file of a whole script begins with.
const SHEBANG: &str = "#!lua\n";

/// Defines a script by its files, which are joined in this order.
macro_rules! script {
    ($name:ident = $($file:literal)+) => {
        pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(concat!($(include_str!(concat!("scripts/", $file)),)+)));
    };
}

script!(CREATE = "head.lua" "record.lua" "write.lua" "create.lua");
script!(REPLACE = "head.lua" "record.lua" "write.lua" "replace.lua");
script!(REMOVE = "head.lua" "record.lua" "remove.lua");
script!(GET = "head.lua" "record.lua" "get.lua");
script!(LIST = "head.lua" "list.lua");
script!(PURGE = "head.lua" "purge.lua");
script!(READ_MARKER = "read_marker.lua");
script!(UPDATE_MARKER = "update_marker.lua");
script!(BEGIN_EPOCH = "begin_epoch.lua");
script!(ADOPT_BUCKET = "adopt_bucket.lua");

/// The reply of a script that found another epoch in its bucket than the host's.
pub(super) const EPOCH_ENDED: i64 = -1;

/// The reply of a script that finds its record lost.
pub(super) const RECORD_LOST: i64 = -2;

impl Script {
    /// Returns the script with this body. Its errors get the code [`SCRIPT_FAILED`].
    fn new(body: &str) -> Self {
        let body = body.strip_prefix(SHEBANG).unwrap_or(body);
        let source = format!(
            "{SHEBANG}local done, answer = pcall(function()\n{body}\nend)\n\
             if done then return answer end\n\
             local cause = type(answer) == 'table' and answer.err or tostring(answer)\n\
             return redis.error_reply('{SCRIPT_FAILED} ' .. cause)\n"
        );
        let digest = redis::Script::new(&source).get_hash().to_owned();
        Self { source, digest }
    }

    /// Runs the script with the arguments of `fill`: the number of keys, the keys, the script's arguments.
    pub(super) async fn run(
        &self,
        on: &Connection,
        fill: impl Fn(&mut Cmd),
    ) -> Result<Value, RedisError> {
        match on.query(&self.command(&fill)).await {
            // Nothing was executed. `EVAL` both loads and runs it, so a `SCRIPT FLUSH` in between does no harm.
            Err(error) if error.code() == Some("NOSCRIPT") => {
                let mut eval = redis::cmd("EVAL");
                eval.arg(&self.source);
                fill(&mut eval);
                on.query(&eval).await
            }
            answer => answer,
        }
    }

    /// Returns the command that runs the script on a server that has loaded it.
    pub(super) fn command(&self, fill: impl FnOnce(&mut Cmd)) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.digest);
        fill(&mut command);
        command
    }
}
