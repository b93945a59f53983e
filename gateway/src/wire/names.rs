//! Names of the protocol, and names that the gateway adds.

/// Methods that the gateway acts on. Messages of all others pass.
pub(crate) mod method {
    /// Runs a tool.
    pub(crate) const TOOLS_CALL: &str = "tools/call";
    /// Lists the tools, with their schemas and annotations.
    pub(crate) const TOOLS_LIST: &str = "tools/list";
    /// Returns the state of a task.
    pub(crate) const TASKS_GET: &str = "tasks/get";
    /// Waits for the result of a task, up to 2025-11-25.
    pub(crate) const TASKS_RESULT: &str = "tasks/result";
    /// Opens a session, up to 2025-11-25.
    pub(crate) const INITIALIZE: &str = "initialize";
    /// Returns a server's versions and capabilities, since 2026-07-28.
    pub(crate) const DISCOVER: &str = "server/discover";
    /// Cancels a request.
    pub(crate) const CANCELLED: &str = "notifications/cancelled";
    /// Carries a log message of a server.
    pub(crate) const LOG: &str = "notifications/message";
    /// Reports the progress of a request.
    pub(crate) const PROGRESS: &str = "notifications/progress";
    /// Reports that the client is ready, up to 2025-11-25.
    pub(crate) const INITIALIZED: &str = "notifications/initialized";
    /// Subscribes to change notifications, since 2026-07-28.
    pub(crate) const LISTEN: &str = "subscriptions/listen";
    /// Acknowledges `subscriptions/listen`.
    pub(crate) const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
    /// Sets the lowest level of log messages, up to 2025-11-25.
    pub(crate) const SET_LEVEL: &str = "logging/setLevel";
    /// Subscribes to a resource, up to 2025-11-25.
    pub(crate) const RESOURCES_SUBSCRIBE: &str = "resources/subscribe";
    /// Ends a subscription to a resource.
    pub(crate) const RESOURCES_UNSUBSCRIBE: &str = "resources/unsubscribe";
    /// Reports that a resource has changed.
    pub(crate) const RESOURCE_UPDATED: &str = "notifications/resources/updated";
    /// Returns a prompt.
    pub(crate) const PROMPTS_GET: &str = "prompts/get";
    /// Completes an argument.
    pub(crate) const COMPLETE: &str = "completion/complete";
    /// Checks that the other side answers, up to 2025-11-25.
    pub(crate) const PING: &str = "ping";
    /// Lists the prompts.
    pub(crate) const PROMPTS_LIST: &str = "prompts/list";
    /// Lists the resources.
    pub(crate) const RESOURCES_LIST: &str = "resources/list";
    /// Lists the templates of resources.
    pub(crate) const RESOURCE_TEMPLATES_LIST: &str = "resources/templates/list";
    /// Asks the user of a client for input.
    pub(crate) const ELICIT: &str = "elicitation/create";
    /// Asks a client for a completion by its model.
    pub(crate) const SAMPLE: &str = "sampling/createMessage";
    /// Asks a client for its root folders.
    pub(crate) const ROOTS_LIST: &str = "roots/list";
    /// Reports that `prompts/list` has changed.
    pub(crate) const PROMPTS_CHANGED: &str = "notifications/prompts/list_changed";
    /// Reports that `resources/list` has changed.
    pub(crate) const RESOURCES_CHANGED: &str = "notifications/resources/list_changed";
    /// Reads a resource.
    pub(crate) const RESOURCES_READ: &str = "resources/read";
    /// Reports that `tools/list` has changed.
    pub(crate) const TOOLS_CHANGED: &str = "notifications/tools/list_changed";
}

/// Names within `_meta`.
pub(crate) mod meta {
    /// The protocol version of a request, since 2026-07-28.
    pub(crate) const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
    /// The capabilities of a request's client, since 2026-07-28.
    pub(crate) const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
    /// The lowest level of log messages for a request, since 2026-07-28.
    pub(crate) const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
    /// The name and version of a request's client, since 2026-07-28.
    pub(crate) const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
    /// The name and version of a result's server, since 2026-07-28.
    pub(crate) const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
    /// The id of the `subscriptions/listen` that a notification belongs to, since 2026-07-28.
    pub(crate) const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
    /// The kind of answer to a call.
    pub(crate) const ANSWER: &str = "dev.semel/answer";
    /// The operation that an answer is about.
    pub(crate) const OPERATION: &str = "dev.semel/operation";
    /// True if the ledger has a record.
    pub(crate) const RECORDED: &str = "dev.semel/recorded";
    /// The operator's switches that were in effect for an answer.
    pub(crate) const SWITCHES: &str = "dev.semel/switches";
    /// The server's response to a call, if the answer is another one.
    pub(crate) const SERVER_SAID: &str = "dev.semel/server-said";
    /// The text of a recorded result with numbers that a value would round.
    pub(crate) const TEXT: &str = "dev.semel/text";
    /// The next step that is allowed.
    pub(crate) const NEXT: &str = "dev.semel/next";
}

/// Headers of streamable HTTP.
pub(crate) mod header {
    /// The id of a session, up to 2025-11-25.
    pub(crate) const SESSION: &str = "mcp-session-id";
    /// The protocol version, since 2025-06-18.
    pub(crate) const VERSION: &str = "mcp-protocol-version";
    /// The event after which a stream is resumed, up to 2025-11-25.
    pub(crate) const LAST_EVENT: &str = "last-event-id";
    /// Repeats the method of a request, since 2026-07-28.
    pub(crate) const METHOD: &str = "mcp-method";
    /// Repeats the name or URI in a request's parameters, since 2026-07-28.
    pub(crate) const NAME: &str = "mcp-name";
    /// The W3C headers of a trace, which are forwarded. In `_meta` they have the same names.
    pub(crate) const TRACE: [&str; 3] = ["traceparent", "tracestate", "baggage"];
    /// The prefix of headers that repeat an argument, since 2026-07-28.
    pub(crate) const PARAMETER: &str = "mcp-param-";
}

/// Protocol versions. Their order is that of their dates.
pub(crate) mod version {
    /// The version of a request over HTTP that names none, and the only one with batches.
    pub(crate) const V2025_03_26: &str = "2025-03-26";
    /// The first with a version header and without batches.
    pub(crate) const V2025_06_18: &str = "2025-06-18";
    /// The last with sessions, which `initialize` opens.
    pub(crate) const V2025_11_25: &str = "2025-11-25";
    /// The first without sessions: each request describes its client.
    pub(crate) const V2026_07_28: &str = "2026-07-28";
    /// All versions that the gateway supports, oldest first.
    pub(crate) const ALL: [&str; 5] = [
        "2024-11-05",
        V2025_03_26,
        V2025_06_18,
        V2025_11_25,
        V2026_07_28,
    ];
}
