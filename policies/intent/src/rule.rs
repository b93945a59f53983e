//! Verdict rules: which answers mean that it landed, was refused, is absent or stays unknown.

use semel_guest::{Effect, Verdict};

use crate::answer::Answer;
use crate::condition::{Condition, Look};
use crate::settings::SettingValue;
use crate::span;
use crate::template::ValueSource;

/// A rule that was understood.
pub(crate) struct Rule {
    when: Condition,
    effect: Effect,
    reason: String,
    retry_after_ms: Option<u32>,
}

const EFFECTS: &[(&str, Effect)] = &[
    ("landed", Effect::Landed),
    ("refused", Effect::Refused),
    ("absent", Effect::Absent),
    ("unknown", Effect::Unknown),
];

impl Rule {
    /// Reads the rules, in their order.
    pub(crate) fn read_list(list: &SettingValue<'_>) -> Result<Vec<Self>, String> {
        let rules = list.list()?;
        check_reachable(&rules)?;
        rules.iter().map(Self::read).collect()
    }

    fn read(at: &SettingValue<'_>) -> Result<Self, String> {
        let table = at.table(&["when", "effect", "reason", "retry_after"])?;
        let when = Condition::read(&table.need("when")?, &[ValueSource::Arguments])?;
        let effect = table.need("effect")?.choice(EFFECTS)?;
        if effect == Effect::Landed && table.get("retry_after").is_some() {
            return Err(table.mistake_at(
                "retry_after",
                "an effect that landed is not retried: leave it out",
            ));
        }
        let reason = table.read("reason", SettingValue::text)?;
        Ok(Self {
            when,
            effect,
            reason: reason.map_or_else(
                || format!("rule `{}` of the settings", at.path()),
                str::to_owned,
            ),
            retry_after_ms: table.read("retry_after", span::milliseconds)?,
        })
    }

    /// The verdict of the first rule that holds.
    pub(crate) fn first_verdict(
        rules: &[Self],
        answer: &Answer,
        look: Look<'_>,
    ) -> Option<Verdict> {
        rules
            .iter()
            .find(|rule| rule.when.holds(answer, look))
            .map(Self::verdict)
    }

    fn verdict(&self) -> Verdict {
        let mut verdict = Verdict::unknown(&self.reason);
        verdict.effect = self.effect;
        verdict.retry_after_ms = self.retry_after_ms;
        verdict
    }
}

/// Refuses a rule that an earlier one makes unreachable.
fn check_reachable(rules: &[SettingValue<'_>]) -> Result<(), String> {
    let when = |rule: &SettingValue<'_>| rule.value.get("when").cloned();
    rules.iter().enumerate().try_for_each(|(index, rule)| {
        match rules
            .iter()
            .take(index)
            .find(|earlier| when(earlier).is_some() && when(earlier) == when(rule))
        {
            None => Ok(()),
            Some(earlier) => Err(rule.wrong(format!(
                "it is never reached: `{}` matches the same answers",
                earlier.path()
            ))),
        }
    })
}
