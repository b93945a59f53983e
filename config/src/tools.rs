//! How tools are set up: the defaults, and what `[[tool]]` says.

use super::{
    GLOB_BYTES_MAX, GLOBS_MAX, OnCancel, PolicySource, TOOLS_MAX, ToolRule, ToolSetup,
    error::Origin,
    places::Surroundings,
    reference::{ConfigKey, ValueType, table},
    section::{Located, MistakeList, Section, Span, path, shown},
};
use globset::{Glob, GlobSet};
use semel::{
    guard::ToolAllowance,
    ledger::ServerErrorRule,
    model::{Tenant, ToolMode},
};
use std::{collections::BTreeSet, path::Path, time::Duration};

/// Keys that only a `[[tool]]` takes: each needs the operator's decision for that tool.
static TOOL_ONLY: [&ConfigKey; 6] = [
    &table::TRUSTED,
    &table::IRREVERSIBLE,
    &table::ALLOW_FORGETFUL,
    &table::SERVER_ERRORS,
    &table::OPEN_WITHOUT_LEDGER,
    &table::TIMED_RERUN,
];

/// The settings where no `[[tool]]` says otherwise.
pub(super) struct Defaults {
    pub(super) tenant: Tenant,
    pub(super) unnamed: ToolSetup,
}

impl Defaults {
    pub(super) fn read(
        section: Option<&Section<'_>>,
        folder: &Path,
        around: &Surroundings,
        mistakes: &MistakeList<'_>,
    ) -> Self {
        let mut defaults = Self {
            tenant: Tenant::default(),
            unnamed: ToolSetup::default(),
        };
        if let Some(section) = section {
            defaults.take(section, folder);
        }
        defaults.take_variables(around, mistakes);
        defaults
    }

    fn take(&mut self, section: &Section<'_>, folder: &Path) {
        if let Some(tenant) = section
            .name(&table::TENANT)
            .and_then(|name| Tenant::new(name).ok())
        {
            self.tenant = tenant;
        }
        take_policy(section, folder, &mut self.unnamed);
        take_terms(section, &mut self.unnamed);
        take_taken_within(section, &mut self.unnamed);
        self.unnamed.defined_at = Some(section.mistakes.origin(section.span.clone()));
        for key in TOOL_ONLY {
            section.refuse(key, "say it of a tool by name, in a `[[tool]]`");
        }
    }

    fn take_variables(&mut self, around: &Surroundings, mistakes: &MistakeList<'_>) {
        if let Some(tenant) = variable(around, mistakes, "SEMEL_TENANT", |text| {
            Tenant::new(text).map_err(|fault| fault.to_string())
        }) {
            self.tenant = tenant;
        }
        let duration = |name, key: &ConfigKey| {
            let read = |text: &str| match &key.value {
                ValueType::Duration(range) => range.parse(text).ok_or_else(|| {
                    format!("this is not a valid value: write {}", range.description())
                }),
                _ => Err("this key is not a duration".to_owned()),
            };
            variable(around, mistakes, name, read)
        };
        if let Some(wait) = duration("SEMEL_WAIT", &table::WAIT) {
            self.unnamed.allowance.wait_ms = milliseconds(wait);
        }
        if let Some(lease) = duration("SEMEL_LEASE", &table::LEASE) {
            self.unnamed.lease_seconds = seconds(lease);
        }
    }

    /// The settings of a named tool, before its own keys.
    fn named(&self) -> ToolSetup {
        ToolSetup {
            taken_within: None,
            ..self.unnamed.clone()
        }
    }
}

fn variable<T>(
    around: &Surroundings,
    mistakes: &MistakeList<'_>,
    name: &'static str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    let value = around
        .variable(name)?
        .to_str()
        .ok_or_else(|| "this is not UTF-8 text".to_owned());
    value
        .and_then(read)
        .map_err(|problem| mistakes.note_elsewhere(Origin::Variable(name), problem))
        .ok()
}

/// The rules of all `[[tool]]` sections.
pub(super) fn rules(top: &Section<'_>, defaults: &Defaults, folder: &Path) -> Vec<ToolRule> {
    let mut sections = top.sections(&table::TOOL_SECTION);
    if let Some(first) = sections.get(TOOLS_MAX) {
        top.mistakes.note(
            first.span.clone(),
            format!("there are more than {TOOLS_MAX} tools: match several with one glob"),
        );
        sections.truncate(TOOLS_MAX);
    }
    let mut seen = BTreeSet::new();
    sections
        .iter()
        .map(|section| rule(section, defaults, folder, &mut seen))
        .collect()
}

fn rule(
    section: &Section<'_>,
    defaults: &Defaults,
    folder: &Path,
    seen: &mut BTreeSet<String>,
) -> ToolRule {
    let mut setup = defaults.named();
    let (globs, patterns) = globs(section, seen);
    take_policy(section, folder, &mut setup);
    take_terms(section, &mut setup);
    take_taken_within(section, &mut setup);
    take_switches(section, &mut setup);
    setup.defined_at = Some(section.mistakes.origin(section.span.clone()));
    section.refuse(&table::TENANT, "write it into `[defaults]`");
    section.refuse_unknown();
    ToolRule {
        globs,
        patterns,
        setup,
    }
}

fn globs(section: &Section<'_>, seen: &mut BTreeSet<String>) -> (GlobSet, Vec<String>) {
    let note = |span: Span, problem: String| section.mistakes.note(span, problem);
    let Some(written) = section.texts(&table::MATCH) else {
        if !section.has(&table::MATCH) {
            note(
                section.span.clone(),
                "this `[[tool]]` matches nothing: write `match` and a tool's name, or a glob"
                    .to_owned(),
            );
        }
        return Default::default();
    };
    if written.is_empty() || written.len() > GLOBS_MAX {
        note(
            section.span.clone(),
            format!(
                "`match` has {} globs: write 1 to {GLOBS_MAX}",
                written.len()
            ),
        );
    }
    if let Some(first) = written.first()
        && let Some(earlier) = never_reached(&written, seen)
    {
        note(
            first.span.clone(),
            format!(
                "this `[[tool]]` never applies, because `{}` stands before it: move it up",
                shown(&earlier)
            ),
        );
    }
    seen.extend(written.iter().map(|glob| glob.value.to_owned()));
    let patterns = written.iter().map(|glob| glob.value.to_owned()).collect();
    let globs: Vec<_> = written
        .into_iter()
        .take(GLOBS_MAX)
        .filter_map(|text| match glob(text.value) {
            Ok(glob) => Some(glob),
            Err(problem) => {
                note(text.span, problem);
                None
            }
        })
        .collect();
    let globs = GlobSet::new(globs).unwrap_or_else(|fault| {
        note(
            section.span.clone(),
            format!("these globs cannot be used together: {fault}"),
        );
        GlobSet::empty()
    });
    (globs, patterns)
}

/// Why a rule can never be the first that matches, as far as that is plain to see: the glob that is always before it.
fn never_reached(written: &[Located<&str>], seen: &BTreeSet<String>) -> Option<String> {
    let all = ["*", "**"]
        .into_iter()
        .find(|all| seen.contains(*all))
        .map(ToOwned::to_owned);
    let are_all_seen = written.iter().all(|glob| seen.contains(glob.value));
    all.or_else(|| {
        are_all_seen.then(|| {
            written
                .first()
                .map_or_else(String::new, |glob| glob.value.to_owned())
        })
    })
}

fn glob(text: &str) -> Result<Glob, String> {
    if text.is_empty() || text.len() > GLOB_BYTES_MAX {
        return Err(format!(
            "a glob has 1 to {GLOB_BYTES_MAX} bytes, and this has {}",
            text.len()
        ));
    }
    Glob::new(text).map_err(|fault| {
        format!(
            "`{}` is not a valid glob ({}): correct it",
            shown(text),
            fault.kind()
        )
    })
}

fn take_policy(section: &Section<'_>, folder: &Path, setup: &mut ToolSetup) {
    if let Some(written) = section.text(&table::POLICY) {
        match policy(written.value, folder) {
            Ok(policy) => {
                setup.policy = policy;
                // The settings of another policy mean nothing to this one.
                setup.settings.clear();
            }
            Err(problem) => section.mistakes.note(written.span, problem),
        }
    }
    if let Some(settings) = section.object(&table::SETTINGS) {
        setup.settings = settings;
    }
    if let Some(name_space) = section.name(&table::NAME_SPACE) {
        setup.name_space = Some(name_space.to_owned());
    }
}

/// A file where it looks like one, else a name.
fn policy(written: &str, folder: &Path) -> Result<PolicySource, String> {
    let is_file = written.contains(['/', '\\']) || written.ends_with(".wasm");
    if is_file {
        let path = folder.join(path(written)?);
        return match path.metadata() {
            Ok(data) if data.is_file() => Ok(PolicySource::File(path)),
            Ok(_) => Err(format!(
                "the policy `{}` is not a file: name a component",
                path.display()
            )),
            Err(error) => Err(format!(
                "the policy `{}` cannot be read ({error}): correct its path",
                path.display()
            )),
        };
    }
    let is_name = !written.is_empty()
        && written.len() <= 64
        && written
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if is_name {
        return Ok(PolicySource::Named(written.to_owned()));
    }
    Err(format!(
        "`{}` is not a policy: write the name of a ready-made one, such as `intent`, or a path, such as `./refund.wasm`",
        shown(written)
    ))
}

/// Reads the keys that both the defaults and a tool may set.
fn take_terms(section: &Section<'_>, setup: &mut ToolSetup) {
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
    set(&mut allowance.looks, section.number(&table::LOOKS));
    let bytes = section
        .number(&table::OUTCOME_BYTES)
        .and_then(|bytes| usize::try_from(bytes).ok());
    set(&mut setup.outcome_bytes_max, bytes);
    set(
        &mut setup.keep_identity,
        section.flag(&table::KEEP_IDENTITY),
    );
    set(&mut setup.mode, mode(section));
    set(
        &mut setup.answer_within,
        section.duration(&table::ANSWER_WITHIN),
    );
    set(&mut setup.on_cancel, on_cancel(section));
}

fn on_cancel(section: &Section<'_>) -> Option<OnCancel> {
    match section.choice(&table::ON_CANCEL)? {
        "forward" => Some(OnCancel::Forward),
        _ => Some(OnCancel::Finish),
    }
}

fn mode(section: &Section<'_>) -> Option<ToolMode> {
    ToolMode::from_word(section.choice(&table::MODE)?)
}

fn take_taken_within(section: &Section<'_>, setup: &mut ToolSetup) {
    if let Some(within) = section.duration(&table::TAKEN_WITHIN) {
        setup.taken_within = (!within.is_zero()).then_some(within);
    }
}

/// Reads the keys that only a tool may set.
fn take_switches(section: &Section<'_>, setup: &mut ToolSetup) {
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

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

// Both are within range: every duration is bounded where it is read.
fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
