//! `[defaults]` and `[[tool]]`: the settings of tools.

use crate::{
    OnCancel, PolicySource, ToolRule, ToolSetup,
    environment::Environment,
    error::{Origin, Problem},
    reference::{ConfigKey, ValueType, table},
    section::{MistakeList, Section, SpannedValue, parse_path, shorten},
};
use globset::{Glob, GlobSet};
use semel::{
    guard::ToolAllowance,
    ledger::ServerErrorRule,
    model::{Tenant, ToolMode},
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

/// The most `[[tool]]` sections.
pub(crate) const TOOLS_MAX: usize = 1000;

/// The most globs of one `[[tool]]`.
pub(crate) const GLOBS_MAX: usize = 64;

/// The longest glob, in bytes.
const GLOB_BYTES_MAX: usize = 256;

/// The longest name of a policy, in bytes.
const POLICY_NAME_BYTES_MAX: usize = 64;

/// The keys that `[defaults]` refuses: each is the operator's decision about a named tool.
static TOOL_ONLY: [&ConfigKey; 7] = [
    &table::TRUSTED,
    &table::IRREVERSIBLE,
    &table::ALLOW_FORGETFUL,
    &table::SERVER_ERRORS,
    &table::OPEN_WITHOUT_LEDGER,
    &table::TIMED_RERUN,
    &table::PROBE_COMMAND,
];

/// The settings that hold where no `[[tool]]` says otherwise.
pub(crate) struct DefaultSettings {
    pub(crate) tenant: Tenant,
    /// The settings of a tool that no `[[tool]]` matches.
    pub(crate) unnamed: ToolSetup,
}

impl DefaultSettings {
    pub(crate) fn read(
        section: Option<&Section<'_>>,
        folder: &Path,
        environment: &Environment,
        mistakes: &MistakeList<'_>,
    ) -> Self {
        let mut defaults = Self {
            tenant: Tenant::default(),
            unnamed: ToolSetup::default(),
        };
        // In this order, because variables override the file.
        if let Some(section) = section {
            defaults.apply_section(section, folder);
        }
        defaults.apply_variables(environment, mistakes);
        defaults
    }

    fn apply_section(&mut self, section: &Section<'_>, folder: &Path) {
        let tenant = section.name(&table::TENANT);
        if let Some(tenant) = tenant.and_then(|name| Tenant::new(name).ok()) {
            self.tenant = tenant;
        }
        apply_policy(section, folder, &mut self.unnamed);
        apply_shared_keys(section, &mut self.unnamed);
        apply_taken_within(section, &mut self.unnamed);
        self.unnamed.defined_at = Some(section.origin());
        for key in TOOL_ONLY {
            section.refuse(key, "write it into the `[[tool]]` of each tool it is for");
        }
    }

    fn apply_variables(&mut self, environment: &Environment, mistakes: &MistakeList<'_>) {
        let read_tenant = |text: &str| Tenant::new(text).map_err(Problem::from_error);
        let tenant = read_variable("SEMEL_TENANT", environment, mistakes, read_tenant);
        set(&mut self.tenant, tenant);
        let read_wait = |text: &str| parse_duration(text, &table::WAIT);
        let wait = read_variable("SEMEL_WAIT", environment, mistakes, read_wait);
        set(&mut self.unnamed.allowance.wait_ms, wait.map(milliseconds));
        let read_lease = |text: &str| parse_duration(text, &table::LEASE);
        let lease = read_variable("SEMEL_LEASE", environment, mistakes, read_lease);
        set(&mut self.unnamed.lease_seconds, lease.map(seconds));
    }

    /// The settings of a `[[tool]]` before its own keys.
    fn for_named_tool(&self) -> ToolSetup {
        ToolSetup {
            taken_within: None,
            ..self.unnamed.clone()
        }
    }
}

fn read_variable<T>(
    name: &'static str,
    environment: &Environment,
    mistakes: &MistakeList<'_>,
    parse: impl FnOnce(&str) -> Result<T, Problem>,
) -> Option<T> {
    let value = match environment.variable(name)?.to_str() {
        Some(text) => parse(text),
        None => Err("this is not UTF-8 text: correct it".into()),
    };
    mistakes.value_or_note_at(value, Origin::Variable(name))
}

fn parse_duration(text: &str, key: &ConfigKey) -> Result<Duration, Problem> {
    let ValueType::Duration(range) = &key.value else {
        return Err("this key is not a duration".into());
    };
    range.parse(text).ok_or_else(|| {
        let message = format!("this is not a valid value: write {}", range.description());
        message.into()
    })
}

/// Reads the rules of all `[[tool]]` sections.
pub(crate) fn read_rules(
    file: &Section<'_>,
    defaults: &DefaultSettings,
    folder: &Path,
) -> Vec<ToolRule> {
    let mut sections = file.sections(&table::TOOL_SECTION);
    if let Some(first) = sections.get(TOOLS_MAX) {
        let message = format!("there are more than {TOOLS_MAX} tools: match several with one glob");
        first.note(Problem::too_many(message));
        sections.truncate(TOOLS_MAX);
    }
    let mut earlier_globs = BTreeSet::new();
    sections
        .iter()
        .map(|section| read_rule(section, defaults, folder, &mut earlier_globs))
        .collect()
}

fn read_rule(
    section: &Section<'_>,
    defaults: &DefaultSettings,
    folder: &Path,
    earlier_globs: &mut BTreeSet<String>,
) -> ToolRule {
    let mut setup = defaults.for_named_tool();
    let written = read_globs(section);
    if let Some(earlier) = shadowing_glob(&written, earlier_globs)
        && let Some(first) = written.first()
    {
        let message = format!(
            "this `[[tool]]` never applies, because `{}` is before it: move it up",
            shorten(&earlier)
        );
        let problem = Problem::contradiction(message);
        section.mistakes.note(first.span.clone(), problem);
    }
    // Afterwards: a rule does not shadow itself.
    let patterns: Vec<_> = written.iter().map(|glob| glob.value.to_owned()).collect();
    earlier_globs.extend(patterns.iter().cloned());
    let globs = compile_globs(section, written);
    apply_policy(section, folder, &mut setup);
    apply_shared_keys(section, &mut setup);
    apply_taken_within(section, &mut setup);
    apply_tool_keys(section, &mut setup);
    setup.defined_at = Some(section.origin());
    section.refuse(&table::TENANT, "write it into `[defaults]`");
    section.refuse_unknown();
    ToolRule {
        globs,
        patterns,
        setup,
    }
}

fn read_globs<'a>(section: &Section<'a>) -> Vec<SpannedValue<&'a str>> {
    let Some(written) = section.texts(&table::MATCH) else {
        if !section.has_key(&table::MATCH) {
            let message = "this `[[tool]]` matches nothing: write the names of its tools, or globs, as `match`";
            section.note(Problem::missing(message));
        }
        return Vec::new();
    };
    if written.is_empty() || written.len() > GLOBS_MAX {
        let message = format!(
            "`match` has {} globs: write 1 to {GLOBS_MAX}",
            written.len()
        );
        section.note(message);
    }
    written
}

fn compile_globs(section: &Section<'_>, written: Vec<SpannedValue<&str>>) -> GlobSet {
    let mut globs = Vec::new();
    for text in written.into_iter().take(GLOBS_MAX) {
        let glob = parse_glob(text.value);
        globs.extend(section.mistakes.value_or_note(glob, text.span));
    }
    let set = GlobSet::new(globs).map_err(|error| {
        let message = format!("these globs cannot be used together: {error}");
        Problem::from(message).with_source(error)
    });
    let set = section.mistakes.value_or_note(set, section.span.clone());
    set.unwrap_or_else(GlobSet::empty)
}

/// Returns an earlier glob because of which a rule with these globs is never the first that
/// matches.
///
/// It finds only the two plain cases: a glob for every name, and the same globs again.
fn shadowing_glob(
    written: &[SpannedValue<&str>],
    earlier_globs: &BTreeSet<String>,
) -> Option<String> {
    let first = written.first()?;
    for every_name in ["*", "**"] {
        if earlier_globs.contains(every_name) {
            return Some(every_name.to_owned());
        }
    }
    let are_repeated = written
        .iter()
        .all(|glob| earlier_globs.contains(glob.value));
    are_repeated.then(|| first.value.to_owned())
}

fn parse_glob(text: &str) -> Result<Glob, Problem> {
    if text.is_empty() || text.len() > GLOB_BYTES_MAX {
        let message = format!(
            "a glob has 1 to {GLOB_BYTES_MAX} bytes, and this has {}",
            text.len()
        );
        return Err(message.into());
    }
    Glob::new(text).map_err(|error| {
        let message = format!(
            "`{}` is not a valid glob ({}): correct it",
            shorten(text),
            error.kind()
        );
        Problem::from(message).with_source(error)
    })
}

fn apply_policy(section: &Section<'_>, folder: &Path, setup: &mut ToolSetup) {
    if let Some(written) = section.text(&table::POLICY) {
        let policy = parse_policy(written.value, folder);
        if let Some(policy) = section.mistakes.value_or_note(policy, written.span) {
            setup.policy = policy;
            // The inherited settings are those of another policy.
            setup.settings.clear();
        }
    }
    if let Some(settings) = section.object(&table::SETTINGS) {
        setup.settings = settings;
    }
    if let Some(name_space) = section.name(&table::NAME_SPACE) {
        setup.name_space = Some(name_space.to_owned());
    }
}

/// Reads a policy: a path if it contains a separator or ends with `.wasm`, else a name.
fn parse_policy(written: &str, folder: &Path) -> Result<PolicySource, Problem> {
    if written.contains(['/', '\\']) || written.ends_with(".wasm") {
        return find_component(folder.join(parse_path(written)?));
    }
    let is_name_byte =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !written.is_empty()
        && written.len() <= POLICY_NAME_BYTES_MAX
        && written.bytes().all(is_name_byte)
    {
        return Ok(PolicySource::Named(written.to_owned()));
    }
    let message = format!(
        "`{}` is not a policy: write the name of a ready-made one, such as `intent`, or a path, \
         such as `./refund.wasm`",
        shorten(written)
    );
    Err(message.into())
}

fn find_component(path: PathBuf) -> Result<PolicySource, Problem> {
    let shown = path.display();
    match path.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(PolicySource::File(path)),
        Ok(_) => {
            let message = format!("the policy `{shown}` is not a file: name a component");
            Err(message.into())
        }
        Err(error) => {
            let message =
                format!("the policy `{shown}` cannot be read ({error}): correct its path");
            Err(Problem::unreadable(message, error))
        }
    }
}

/// Reads the keys that both the defaults and a tool may set.
fn apply_shared_keys(section: &Section<'_>, setup: &mut ToolSetup) {
    let allowance = &mut setup.allowance;
    set(
        &mut allowance.wait_ms,
        section.duration(&table::WAIT).map(milliseconds),
    );
    set(
        &mut setup.lease_seconds,
        section.duration(&table::LEASE).map(seconds),
    );
    set(
        &mut setup.refusal_seconds,
        section.duration(&table::REFUSAL).map(seconds),
    );
    set(&mut allowance.reruns, section.number(&table::RERUNS));
    set(&mut allowance.retries, section.number(&table::RETRIES));
    set(&mut allowance.probes, section.number(&table::LOOKS));
    let bytes = section
        .number(&table::OUTCOME_BYTES)
        .and_then(|bytes| usize::try_from(bytes).ok());
    set(&mut setup.outcome_bytes_max, bytes);
    set(
        &mut setup.keep_identity,
        section.flag(&table::KEEP_IDENTITY),
    );
    set(&mut setup.mode, read_mode(section));
    set(
        &mut setup.answer_within,
        section.duration(&table::ANSWER_WITHIN),
    );
    set(&mut setup.on_cancel, read_on_cancel(section));
}

fn read_on_cancel(section: &Section<'_>) -> Option<OnCancel> {
    match section.choice(&table::ON_CANCEL)? {
        "forward" => Some(OnCancel::Forward),
        _ => Some(OnCancel::Finish),
    }
}

fn read_mode(section: &Section<'_>) -> Option<ToolMode> {
    ToolMode::from_word(section.choice(&table::MODE)?)
}

fn apply_taken_within(section: &Section<'_>, setup: &mut ToolSetup) {
    if let Some(within) = section.duration(&table::TAKEN_WITHIN) {
        setup.taken_within = (!within.is_zero()).then_some(within);
    }
}

/// Reads the keys that only a tool may set.
fn apply_tool_keys(section: &Section<'_>, setup: &mut ToolSetup) {
    let ToolAllowance {
        server_errors,
        timed_rerun_ms,
        open_without_ledger,
        ..
    } = &mut setup.allowance;
    if section.flag(&table::SERVER_ERRORS) == Some(true) {
        *server_errors = ServerErrorRule::AreAnswers;
    }
    if let Some(after) = section.duration(&table::TIMED_RERUN) {
        *timed_rerun_ms = Some(milliseconds(after));
    }
    if let Some(command) = section.texts(&table::PROBE_COMMAND) {
        if command
            .first()
            .is_none_or(|program| program.value.is_empty())
        {
            section.note(
                "`probe_command` is empty: write the program and its arguments, or leave it out",
            );
        }
        setup.probe_command = command.iter().map(|word| word.value.to_owned()).collect();
    }
    set(
        open_without_ledger,
        section.flag(&table::OPEN_WITHOUT_LEDGER),
    );
    set(&mut setup.irreversible, section.flag(&table::IRREVERSIBLE));
    set(
        &mut setup.allow_forgetful_ledger,
        section.flag(&table::ALLOW_FORGETFUL),
    );
    set(&mut setup.trusted, section.flag(&table::TRUSTED));
}

/// Sets a setting that the file has a key for.
fn set<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

// Neither saturates: the reference bounds every duration.
fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
