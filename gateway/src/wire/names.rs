//! The protocol's own names, and ours.

/// Methods that the gateway looks at; all others pass.
pub mod method {
    /// Runs a tool.
    pub const TOOLS_CALL: &str = "tools/call";
    /// Tells which tools there are, and what their server says of them.
    pub const TOOLS_LIST: &str = "tools/list";
    /// Asks how a task stands.
    pub const TASKS_GET: &str = "tasks/get";
    /// Waits for what a task comes to, up to 2025-11-25.
    pub const TASKS_RESULT: &str = "tasks/result";
    /// Opens a session, up to 2025-11-25.
    pub const INITIALIZE: &str = "initialize";
    /// Asks what a server speaks and offers, since 2026-07-28.
    pub const DISCOVER: &str = "server/discover";
    /// Cancels a request.
    pub const CANCELLED: &str = "notifications/cancelled";
    /// Says what a server logs.
    pub const LOG: &str = "notifications/message";
    /// Says how far a request has come.
    pub const PROGRESS: &str = "notifications/progress";
    /// Says that a client knows what it needs for a session.
    pub const INITIALIZED: &str = "notifications/initialized";
    /// Subscribes to change notifications, since 2026-07-28.
    pub const LISTEN: &str = "subscriptions/listen";
    /// Acknowledges `subscriptions/listen`.
    pub const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
    /// Sets the lowest level of log messages, up to 2025-11-25.
    pub const SET_LEVEL: &str = "logging/setLevel";
    /// Subscribes to a resource, up to 2025-11-25.
    pub const RESOURCES_SUBSCRIBE: &str = "resources/subscribe";
    /// Ends a subscription to a resource.
    pub const RESOURCES_UNSUBSCRIBE: &str = "resources/unsubscribe";
    /// Says that a resource has changed.
    pub const RESOURCE_UPDATED: &str = "notifications/resources/updated";
    /// Gives a prompt.
    pub const PROMPTS_GET: &str = "prompts/get";
    /// Completes an argument.
    pub const COMPLETE: &str = "completion/complete";
    /// Checks that the other side answers, up to 2025-11-25.
    pub const PING: &str = "ping";
    /// Lists the prompts.
    pub const PROMPTS_LIST: &str = "prompts/list";
    /// Lists the resources.
    pub const RESOURCES_LIST: &str = "resources/list";
    /// Lists the templates of resources.
    pub const RESOURCE_TEMPLATES_LIST: &str = "resources/templates/list";
    /// Asks the user of a client for input.
    pub const ELICIT: &str = "elicitation/create";
    /// Asks a client for a completion by its model.
    pub const SAMPLE: &str = "sampling/createMessage";
    /// Asks a client for its root folders.
    pub const ROOTS_LIST: &str = "roots/list";
    /// Reports that `prompts/list` has changed.
    pub const PROMPTS_CHANGED: &str = "notifications/prompts/list_changed";
    /// Reports that `resources/list` has changed.
    pub const RESOURCES_CHANGED: &str = "notifications/resources/list_changed";
    /// Reads a resource.
    pub const RESOURCES_READ: &str = "resources/read";
    /// Reports that `tools/list` has changed.
    pub const TOOLS_CHANGED: &str = "notifications/tools/list_changed";
}

/// Names within `_meta`.
pub mod meta {
    /// The protocol version of a request, since 2026-07-28.
    pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
    /// The capabilities of a request's client, since 2026-07-28.
    pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
    /// From which level on a request's client reads what is logged, since 2026-07-28.
    pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
    /// The name and version of a request's client, since 2026-07-28.
    pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
    /// The name and version of a result's server, since 2026-07-28.
    pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
    /// To which `subscriptions/listen` a notification belongs, since 2026-07-28.
    pub const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
    /// The kind of answer to a call.
    pub const ANSWER: &str = "dev.semel/answer";
    /// The operation that an answer is about.
    pub const OPERATION: &str = "dev.semel/operation";
    /// True if the ledger has a record.
    pub const RECORDED: &str = "dev.semel/recorded";
    /// The operator's switches that were in use for an answer.
    pub const SWITCHES: &str = "dev.semel/switches";
    /// The server's response to a call whose answer is not its result.
    pub const SERVER_SAID: &str = "dev.semel/server-said";
    /// The text of a recorded result whose numbers a value cannot hold.
    pub const TEXT: &str = "dev.semel/text";
    /// The next step that is allowed.
    pub const NEXT: &str = "dev.semel/next";
}

/// Headers of streamable HTTP.
pub mod header {
    /// Names a session, up to 2025-11-25.
    pub const SESSION: &str = "mcp-session-id";
    /// Names the protocol version, since 2025-06-18.
    pub const VERSION: &str = "mcp-protocol-version";
    /// Says after which event a stream is read on, up to 2025-11-25.
    pub const LAST_EVENT: &str = "last-event-id";
    /// Repeats the method of a request, since 2026-07-28.
    pub const METHOD: &str = "mcp-method";
    /// Repeats what a request is about, since 2026-07-28.
    pub const NAME: &str = "mcp-name";
    /// Those of a trace, which go on to the server; in `_meta` they have the same names.
    pub const TRACE: [&str; 3] = ["traceparent", "tracestate", "baggage"];
    /// The prefix of headers that repeat an argument, since 2026-07-28.
    pub const PARAMETER: &str = "mcp-param-";
}

/// Protocol versions. Their order is that of their dates.
pub mod version {
    /// The one that is spoken where a request over HTTP does not say, and the only one with batches.
    pub const V2025_03_26: &str = "2025-03-26";
    /// The first with a header of its own and without batches.
    pub const V2025_06_18: &str = "2025-06-18";
    /// The last that opens with `initialize`.
    pub const V2025_11_25: &str = "2025-11-25";
    /// The first without sessions: each request says what it needs.
    pub const V2026_07_28: &str = "2026-07-28";
    /// All that the gateway speaks, oldest first.
    pub const ALL: [&str; 5] = [
        "2024-11-05",
        V2025_03_26,
        V2025_06_18,
        V2025_11_25,
        V2026_07_28,
    ];
}
