//! Rejections: a server's answers that prove it did not run the tool.
//!
//! Three kinds count: a code that the protocol reserves for rejections; the exact text that a library writes at that point;
//! and similar words, if the server's own tool list confirms them. The host compares that list and passes the result as
//! facts.

use semel_guest::{Call, Failure, Value};

/// The codes of a server that did not run the tool: the request is invalid, the tool does not
/// exist, the arguments do not fit, or the user must open a page first and call again.
const CODES: [&str; 4] = ["-32600", "-32601", "-32602", "-32042"];

/// The prefix that TypeScript's library writes before such an error in a result's text.
const AS_TEXT: &str = "MCP error ";

/// The text that libraries write, in the same place and under the same code, once the tool *has*
/// run and its result does not fit its schema.
const AFTER_THE_TOOL: &str = "output validation";

/// Words for a tool that its server does not have.
const NO_TOOL: [&str; 3] = ["unknown tool", "no such tool", "tool not found"];

/// Words for arguments that are not the tool's.
const NOT_ITS_ARGUMENTS: [&str; 4] = [
    "validation error",
    "invalid argument",
    "invalid param",
    "invalid input",
];

/// Returns true if the failure means that of the call.
pub(crate) fn is_told_by(failure: &Failure, call: &Call) -> bool {
    let said = failure.message.trim_start();
    let tool = super::text_fact(call, "server.tool").unwrap_or(call.tool());
    let is_told = match &failure.code {
        Some(code) => CODES.contains(&code.as_str()),
        None => has_code(said) || is_written_before(said, tool),
    };
    (is_told || is_borne_out(call, said)) && !contains_words(said, AFTER_THE_TOOL)
}

fn has_code(said: &str) -> bool {
    let Some(said) = said.strip_prefix(AS_TEXT) else {
        return false;
    };
    CODES.iter().any(|code| {
        said.strip_prefix(code)
            .is_some_and(|said| said.starts_with(':'))
    })
}

/// Returns true if it is a text that a library writes before it runs `tool`. Most texts name the
/// tool, and then it must be this one: a tool may pass on another's error.
fn is_written_before(said: &str, tool: &str) -> bool {
    let wrapped = || {
        said.strip_prefix("Error executing tool ")?
            .strip_prefix(tool)?
            .strip_prefix(": ")
    };
    // Python's library in both of its ages, and FastMCP with quotes.
    said.strip_prefix("Unknown tool: ").is_some_and(|name| name == tool || is_quoted(name, tool))
        // TypeScript's library since 2.0, and Python's until then.
        || said.starts_with("Input validation error: ")
        || invalid_object(said).is_some_and(|what| is_made_of(what, "call[", tool, "]"))
        || wrapped().and_then(invalid_object).is_some_and(|what| is_made_of(what, "", tool, "Arguments"))
}

/// Returns the name of the object that pydantic found invalid: Python's library calls a tool's
/// arguments by the tool's name, and FastMCP by `call`.
fn invalid_object(said: &str) -> Option<&str> {
    let rest = said
        .trim_start_matches(|letter: char| letter.is_ascii_digit())
        .strip_prefix(" validation error")?;
    rest.strip_prefix('s')
        .unwrap_or(rest)
        .strip_prefix(" for ")?
        .lines()
        .next()
}

fn is_made_of(text: &str, before: &str, name: &str, after: &str) -> bool {
    text.strip_prefix(before)
        .and_then(|rest| rest.strip_prefix(name))
        == Some(after)
}

fn is_quoted(text: &str, name: &str) -> bool {
    is_made_of(text, "'", name, "'") || is_made_of(text, "\"", name, "\"")
}

/// Returns true if the text says so, and the server's list agrees.
fn is_borne_out(call: &Call, said: &str) -> bool {
    let is_denied = |fact| call.fact(fact) == Some(&Value::Bool(false));
    let says_any = |words: &[&str]| words.iter().any(|words| contains_words(said, words));
    (is_denied("server.lists-tool") && says_any(&NO_TOOL))
        || (is_denied("arguments.fit") && says_any(&NOT_ITS_ARGUMENTS))
}

/// Returns true if `text` contains `words` in any capitalisation. A search from the library would
/// be a tenth of this guest.
fn contains_words(text: &str, words: &str) -> bool {
    text.as_bytes()
        .windows(words.len())
        .any(|part| part.eq_ignore_ascii_case(words.as_bytes()))
}
