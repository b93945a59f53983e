//! Whatever a record tells is sealed, in every state; whatever a store lists by is not.

use super::*;
use semel_core::model::{Boot, Incarnation};
use semel_core::{
    ledger::{
        AttemptRecord, Evidence, Fence, KeptOutcome, KnownEffect, LandingSource,
        OperationGeneration, OperationTerms, Person, PolicyName, ProbeOrigin, RecordSecrets,
        RecordTime, ReleaseSource, State,
    },
    model::{
        Call, CallDigest, Field, Fingerprint, KeyForm, KeyPlace, Nonce, OperationLifetime, Outcome,
        PolicyDigest, RepeatEffect, Stamp, Target, Tenant,
    },
};
use serde_json::json;

/// In everything that tells something.
pub(super) const CANARY: &str = "canary";

fn told(place: &str) -> String {
    format!("{CANARY} in {place}")
}

fn field(place: &str) -> Vec<Field> {
    vec![Field {
        name: told(&format!("the name of {place}")),
        value: json!(told(place)).into(),
    }]
}

fn answer(place: &str) -> Option<KeptOutcome> {
    Some(KeptOutcome::Whole(Outcome::returned(
        json!({ "id": told(place) }),
    )))
}

pub(super) fn states() -> Vec<State> {
    let reason = || told("a reason");
    let person = || Person {
        who: told("a name"),
        why: told("a ground"),
    };
    let nonce = Nonce::from_bytes([5; 16]);
    let stamp = Stamp {
        wall_ms: 7,
        steady_ms: 8,
        boot: Boot(9),
        incarnation: Incarnation(10),
    };
    let generation = |number| OperationGeneration {
        key: semel_conformance::key(number),
        generation: 1,
    };
    let landed = |via| State::Landed {
        via,
        delivered: true,
        undone_by: Some(generation(3)),
    };
    vec![
        State::Started,
        State::Waiting {
            continuation: told("a continuation"),
            limit_seconds: 30,
        },
        State::InDoubt { reason: reason() },
        State::Retrying,
        State::Probing {
            look: nonce,
            from: ProbeOrigin::Held,
            reason: reason(),
        },
        State::Held {
            reason: reason(),
            two_effects: true,
        },
        State::Released {
            by: ReleaseSource::Owner,
            new_key: false,
            wait_ms: 0,
        },
        State::Released {
            by: ReleaseSource::Person(person()),
            new_key: false,
            wait_ms: 0,
        },
        State::Released {
            by: ReleaseSource::TimedRerun,
            new_key: false,
            wait_ms: 0,
        },
        State::Refused {
            by: ReleaseSource::Person(person()),
            replay_ms: 4,
        },
        landed(LandingSource::Answer),
        landed(LandingSource::Probe),
        landed(LandingSource::Person(person())),
        State::Undone {
            by: Some(generation(4)),
            delivered: false,
        },
        State::Tombstone {
            landed: stamp,
            delivered: false,
        },
        State::Alias {
            to: semel_conformance::key(5),
        },
    ]
}

fn terms() -> OperationTerms {
    let call = Call::new("charge", json!({ "order": told("an argument") })).unwrap();
    OperationTerms {
        operation: "charge".to_owned(),
        identity: field("an identity"),
        content: Fingerprint::from_bytes([1; 32]),
        call_digest: CallDigest::from_bytes([2; 32]),
        call: Some(
            call.with_fact("server", json!(told("a fact of a call")))
                .into(),
        ),
        until: OperationLifetime::Window,
        window_seconds: 3_600,
        attempt_seconds: 60,
        lease_seconds: 15,
        refusal_seconds: 600,
        target: Some(Target {
            places: vec![KeyPlace::Header("Idempotency-Key".to_owned())],
            form: KeyForm::Uuid(8),
            repeats: RepeatEffect::Replayed,
            remembers_seconds: Some(86_400),
        }),
        policy: PolicyName {
            name: "sample".to_owned(),
            digest: PolicyDigest::from_bytes([3; 32]),
            key_epoch: 1,
        },
        undoing: false,
        shadow: false,
    }
}

pub(super) fn record(state: State) -> Record {
    let attempt = |number| AttemptRecord {
        fence: Fence {
            number,
            nonce: Nonce::from_bytes([6; 16]),
        },
        generation: 1,
        series: 1,
        started: RecordTime::ThisWrite,
        known: KnownEffect::Landed,
        outcome: answer("an outcome"),
        reason: Some(told("a verdict's reason")),
        facts: field("a fact"),
        suspended: false,
    };
    Record {
        tenant: Tenant::new("acme").unwrap(),
        name_space: "shop".to_owned(),
        terms: terms().into(),
        generation: 1,
        series: 1,
        state,
        since: RecordTime::ThisWrite,
        leased: RecordTime::ThisWrite,
        first_started: RecordTime::ThisWrite,
        attempts: vec![attempt(1), attempt(2)],
        evidence: vec![Evidence {
            attempt: 1,
            generation: 1,
            series: 1,
            content: Fingerprint::from_bytes([4; 32]),
            known: KnownEffect::Landed,
            outcome: answer("evidence"),
            reason: told("a reason of evidence"),
            weighed: false,
        }],
        looks: 1,
        standing: Some(1),
        found: answer("what was found"),
        handles: vec![told("a handle")],
        undoes: Vec::new(),
        left_marks: false,
        undid: Vec::new(),
        rewritten: false,
    }
}

/// How often bytes tell something, also where they are wrapped in base64.
fn tellings(entry: &Entry) -> usize {
    let mut bytes = entry.to_bytes().unwrap();
    if let Entry::Sealed(sealed) = entry {
        use base64::Engine as _;
        bytes.extend(
            base64::engine::general_purpose::STANDARD
                .decode(sealed.sealed())
                .unwrap(),
        );
    }
    bytes
        .windows(CANARY.len())
        .filter(|window| *window == CANARY.as_bytes())
        .count()
}

#[test]
fn what_a_record_tells_is_sealed_and_the_same_once_it_is_opened() {
    let at = semel_conformance::key(1);
    let version = semel_conformance::fresh_version();
    for record in records() {
        let sealed = seal::seal_record(&key("a"), at, version, &record).unwrap();
        let clear = Entry::Operation(Box::new(record.clone()));
        let entry = Entry::Sealed(Box::new(sealed.clone()));
        assert!(
            tellings(&clear) > 15,
            "the control tells nothing: {clear:?}"
        );
        assert_eq!(tellings(&entry), 0, "{entry:?}");
        assert!(!format!("{entry:?}").contains(CANARY));
        assert_eq!(entry.labels(), clear.labels());
        let read = Entry::from_bytes(&entry.to_bytes().unwrap()).unwrap();
        assert_eq!(read, entry);
        assert_eq!(
            seal::open_record(&keys("a"), at, version, &sealed).unwrap(),
            record
        );
    }
}

#[test]
fn no_two_sealings_are_the_same() {
    let at = semel_conformance::key(1);
    let version = semel_conformance::fresh_version();
    let record = records().remove(0);
    let sealed = |_| {
        seal::seal_record(&key("a"), at, version, &record)
            .unwrap()
            .sealed()
            .to_owned()
    };
    let all: std::collections::BTreeSet<_> = (0..100).map(sealed).collect();
    assert_eq!(all.len(), 100);
}

#[test]
fn what_is_erased_tells_nothing_and_still_knows_what_landed() {
    for mut record in records() {
        RecordSecrets::erase(&mut record);
        assert_eq!(
            tellings(&Entry::Operation(Box::new(record.clone()))),
            0,
            "{record:?}"
        );
        assert_eq!(
            (record.attempts.len(), record.landed_evidence().count()),
            (2, 1)
        );
    }
}

#[test]
fn neither_keys_nor_their_secrets_are_printed() {
    let secret = "a secret of many letters, such as nobody would guess";
    let keys = SealingKeys::new(SealingKey::new("a", secret.as_bytes()).unwrap());
    let store = SealingStore::new(Arc::new(MemoryStore::new()), keys.clone());
    let printed = format!("{keys:?} {store:?}");
    assert!(
        !printed.contains(secret) && printed.contains("SealingKey(a, …)"),
        "{printed}"
    );
}
