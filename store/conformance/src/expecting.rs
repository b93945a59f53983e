//! What a case expects, and what is told where something else came.

use std::fmt::{self, Debug, Write};

/// How much of an answer is told: an entry may be large.
const TOLD_MAX: usize = 600;

/// Fails the case unless what came has this form. It gives what is bound by it.
macro_rules! expect {
    ($came:expr, $form:pat $(if $guard:expr)?, $about:literal) => {
        expect!($came, $form $(if $guard)? => (), $about)
    };
    ($came:expr, $form:pat $(if $guard:expr)? => $bound:expr, $about:literal) => {
        match $came {
            $form $(if $guard)? => $bound,
            other => {
                let form = concat!("`", stringify!($form), $(" if ", stringify!($guard),)? "`");
                $crate::expecting::fail($about, &form, &other)
            }
        }
    };
}

/// Fails the case unless what came is what was expected.
#[track_caller]
pub(super) fn expect_eq<T: Debug + PartialEq>(about: &str, came: &T, expected: &T) {
    if came != expected {
        fail(about, &format_args!("{}", clipped(expected)), came);
    }
}

/// Fails the case: of this, so much was expected, and something else came.
#[track_caller]
pub(super) fn fail(about: &str, expected: &dyn fmt::Display, came: &dyn Debug) -> ! {
    panic!(
        "{about}\n    expected: {expected}\n        came: {}",
        clipped(came)
    );
}

/// What it says of itself, up to a limit that keeps the writing short, too.
fn clipped(told: &(impl Debug + ?Sized)) -> String {
    let mut clip = Clip(String::new());
    let is_whole = write!(clip, "{told:?}").is_ok();
    if is_whole { clip.0 } else { clip.0 + "…" }
}

struct Clip(String);

impl Write for Clip {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = more.floor_char_boundary(TOLD_MAX - self.0.len().min(TOLD_MAX));
        self.0.push_str(more.get(..room).unwrap_or_default());
        if room < more.len() {
            Err(fmt::Error)
        } else {
            Ok(())
        }
    }
}
