//! Nothing comes out of a cache that this host did not put into it, as it is now. The code here is never run.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    time::{Duration, SystemTime},
};
use tempfile::TempDir;

const CODE: &[u8] = &[0xc3; 5_000];

/// A cache in a home of its own.
struct Kept {
    home: TempDir,
    cache: CodeCache,
}

impl Kept {
    fn empty() -> Self {
        let home = TempDir::new().unwrap();
        let cache = CodeCache::in_folder(home.path().join("semel/code"));
        Self { home, cache }
    }

    /// With the code of component 1 in it.
    fn one() -> Self {
        let kept = Self::empty();
        kept.keep(1, CODE);
        kept
    }

    fn keep(&self, component: u8, code: &[u8]) {
        self.cache.keep(
            &name(component),
            &facts(),
            &MachineCode::vouched_for(code.to_vec()),
        );
    }

    fn find(&self, component: u8) -> Option<Vec<u8>> {
        let (found, code) = self.cache.find(&name(component), 1 << 20)?;
        assert_eq!(found, facts());
        Some(code.as_bytes().to_vec())
    }

    fn has(&self, component: u8) -> bool {
        self.find(component).is_some()
    }

    fn file(&self, component: u8) -> PathBuf {
        self.cache.path().join(name(component).file())
    }

    fn key(&self) -> PathBuf {
        self.cache.path().join(key::FILE)
    }

    fn set_mode(&self, path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// It is compiled anew, kept again, and found then.
    #[track_caller]
    fn is_mended(&self) {
        assert!(!self.has(1));
        self.keep(1, CODE);
        assert!(self.has(1), "kept again");
    }
}

fn facts() -> ComponentFacts {
    ComponentFacts {
        census: ComponentCensus {
            bytes: 17,
            exports: vec!["a".to_owned()],
            ..ComponentCensus::default()
        },
        from_module: true,
    }
}

fn name(component: u8) -> EntryName {
    EntryName::new(
        [component; 32],
        EngineId::from_bytes([7; 32]),
        &Limits::default(),
    )
}

#[test]
fn what_was_kept_is_found_with_what_was_known_of_it() {
    let kept = Kept::one();
    assert_eq!(kept.find(1).as_deref(), Some(CODE));
    assert!(!kept.has(2));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (
            mode(kept.cache.path()),
            mode(&kept.file(1)),
            mode(&kept.key())
        ),
        (0o700, 0o600, 0o600)
    );
    assert_eq!(kept.cache.state().unwrap().entries, 1);
}

#[test]
fn code_for_another_engine_or_under_other_limits_is_not_found() {
    let kept = Kept::one();
    let find = |engine, limits: &Limits| {
        kept.cache
            .find(
                &EntryName::new([1; 32], EngineId::from_bytes(engine), limits),
                1 << 20,
            )
            .is_some()
    };
    let mut other = Limits::default();
    other.load.functions -= 1;
    assert!(find([7; 32], &Limits::default()));
    assert!(!find([8; 32], &Limits::default()));
    assert!(!find([7; 32], &other));
}

#[test]
fn a_flipped_bit_anywhere_or_a_cut_anywhere_is_found_out() {
    let kept = Kept::one();
    let whole = fs::read(kept.file(1)).unwrap();
    let body = (160..whole.len()).step_by(13);
    for at in (0..160).chain(body.clone()) {
        let mut altered = whole.clone();
        altered[at] ^= 1 << (at % 8);
        fs::write(kept.file(1), altered).unwrap();
        assert!(!kept.has(1), "byte {at} was flipped");
    }
    for end in (0..=160).chain(body) {
        fs::write(kept.file(1), &whole[..end]).unwrap();
        assert!(!kept.has(1), "cut after {end}");
    }
    fs::write(kept.file(1), [&whole[..], b"\0"].concat()).unwrap();
    assert!(!kept.has(1), "something was added");
    fs::write(kept.file(1), whole).unwrap();
    assert!(kept.has(1), "and it was found out by that alone");
}

#[test]
fn only_the_tag_stands_between_altered_code_and_a_processor() {
    let kept = Kept::one();
    let key = CacheFolder::open(kept.cache.path()).unwrap().key().unwrap();
    let forged = CacheEntry::seal(
        &name(1),
        &facts(),
        &MachineCode::vouched_for(b"other code".to_vec()),
        &key,
    )
    .unwrap();
    fs::write(kept.file(1), forged).unwrap();
    assert_eq!(
        kept.find(1).unwrap(),
        b"other code",
        "who has the key may put in what it likes"
    );
}

#[test]
fn an_entry_under_another_name_is_not_taken_for_it() {
    let kept = Kept::one();
    fs::copy(kept.file(1), kept.file(2)).unwrap();
    assert!(kept.has(1));
    assert!(!kept.has(2));
}

#[test]
fn a_key_that_is_missing_changed_cut_or_open_to_others_makes_everything_be_compiled_anew() {
    let spoil: [fn(&Kept); 6] = [
        |kept| fs::remove_file(kept.key()).unwrap(),
        |kept| fs::write(kept.key(), [0; 32]).unwrap(),
        |kept| fs::write(kept.key(), [0; 31]).unwrap(),
        |kept| fs::write(kept.key(), [0; 33]).unwrap(),
        |kept| kept.set_mode(&kept.key(), 0o640),
        |kept| {
            let elsewhere = kept.home.path().join("key");
            fs::rename(kept.key(), &elsewhere).unwrap();
            symlink(elsewhere, kept.key()).unwrap();
        },
    ];
    for spoil in spoil {
        let kept = Kept::one();
        spoil(&kept);
        kept.is_mended();
    }
}

#[test]
fn an_entry_that_others_could_write_to_or_that_is_no_file_of_ours_is_compiled_anew() {
    let spoil: [fn(&Kept); 6] = [
        |kept| kept.set_mode(&kept.file(1), 0o620),
        |kept| kept.set_mode(&kept.file(1), 0o602),
        |kept| {
            let elsewhere = kept.home.path().join("entry");
            fs::rename(kept.file(1), &elsewhere).unwrap();
            symlink(elsewhere, kept.file(1)).unwrap();
        },
        |kept| fs::hard_link(kept.file(1), kept.home.path().join("entry")).unwrap(),
        |kept| {
            fs::remove_file(kept.file(1)).unwrap();
            rustix::fs::mknodat(
                rustix::fs::CWD,
                kept.file(1),
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
                0,
            )
            .unwrap();
        },
        |kept| fs::remove_file(kept.file(1)).unwrap(),
    ];
    for spoil in spoil {
        let kept = Kept::one();
        spoil(&kept);
        kept.is_mended();
    }
}

#[test]
fn a_folder_that_is_not_ours_alone_is_not_used_and_is_told() {
    let spoil: [fn(&Kept); 4] = [
        |kept| kept.set_mode(kept.cache.path(), 0o720),
        |kept| kept.set_mode(kept.cache.path(), 0o702),
        |kept| {
            let elsewhere = kept.home.path().join("code");
            fs::rename(kept.cache.path(), &elsewhere).unwrap();
            symlink(elsewhere, kept.cache.path()).unwrap();
        },
        |kept| {
            fs::remove_dir_all(kept.cache.path()).unwrap();
            fs::write(kept.cache.path(), "").unwrap();
        },
    ];
    for spoil in spoil {
        let kept = Kept::one();
        spoil(&kept);
        assert!(!kept.has(1));
        kept.keep(1, CODE);
        assert!(!kept.has(1), "nor is anything kept there");
        let fault = kept.cache.state().unwrap_err();
        assert!(matches!(fault, CacheError::NotOurs { .. }), "{fault}");
        assert!(fault.to_string().contains("chmod 700"), "{fault}");
    }
}

#[test]
fn a_folder_of_another_user_is_not_used() {
    let kept = Kept::one();
    let us = rustix::process::geteuid();
    CacheFolder::open_of(kept.cache.path(), us).unwrap();
    let another = rustix::process::Uid::from_raw(us.as_raw() + 1);
    let error = CacheFolder::open_of(kept.cache.path(), another).unwrap_err();
    assert!(folder::is_not_ours(&error), "{error}");
}

#[test]
fn what_was_not_used_for_the_longest_time_goes_first_and_the_whole_stays_within_its_bounds() {
    let mut kept = Kept::empty();
    kept.keep(1, CODE);
    let one = kept.cache.state().unwrap().bytes;
    kept.cache.bytes_max = 3 * one;
    let age = |component, hours| {
        let used = SystemTime::now() - Duration::from_secs(3600 * hours);
        fs::File::open(kept.file(component))
            .unwrap()
            .set_modified(used)
            .unwrap();
    };
    for component in [2, 3] {
        kept.keep(component, CODE);
    }
    (1..=3).for_each(|component| age(component, 10 - u64::from(component)));
    assert!(kept.has(1), "it is used");
    kept.keep(4, CODE);
    assert_eq!(
        [1, 2, 3, 4].map(|component| kept.has(component)),
        [true, false, true, true]
    );
    kept.keep(5, &CODE.repeat(4));
    assert!(!kept.has(5), "more than there may be at all");
    assert!(kept.cache.state().unwrap().bytes <= 3 * one);
}

#[test]
fn what_somebody_began_to_write_and_never_finished_goes_in_time() {
    let kept = Kept::one();
    let [old, fresh] = ["0.new", "1.new"].map(|name| kept.cache.path().join(name));
    for path in [&old, &fresh] {
        fs::write(path, "half").unwrap();
    }
    fs::File::open(&old)
        .unwrap()
        .set_modified(SystemTime::now() - Duration::from_secs(7200))
        .unwrap();
    kept.keep(2, CODE);
    assert_eq!((old.exists(), fresh.exists()), (false, true));
}

#[test]
fn many_who_keep_and_find_at_once_never_find_half_of_it() {
    let kept = Kept::empty();
    let hit = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    (0..50).fold(0, |found, round| {
                        kept.keep(round % 3, CODE);
                        found
                            + kept
                                .find(round % 3)
                                .map_or(0, |code| usize::from(code == CODE))
                    })
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum::<usize>()
    });
    assert!(
        hit > 300,
        "{hit} of 400: those who made the key at the same time may have missed theirs"
    );
    assert!((0..3).all(|component| kept.has(component)));
}
