//! Expectations of a case, and the report where the answer differs.

use std::fmt::{self, Debug, Write};

/// The most bytes of an answer that a report shows: an entry may be large.
const SHOWN_BYTES_MAX: usize = 600;

/// Fails the case unless the value matches this pattern. Evaluates to the pattern's bindings.
macro_rules! expect {
    ($came:expr, $form:pat $(if $guard:expr)?, $about:literal) => {
        expect!($came, $form $(if $guard)? => (), $about)
    };
    ($came:expr, $form:pat $(if $guard:expr)? => $bound:expr, $about:literal) => {
        match $came {
            $form $(if $guard)? => $bound,
            other => {
                let form = concat!("`", stringify!($form), $(" if ", stringify!($guard),)? "`");
                $crate::expectation::fail($about, &form, &other)
            }
        }
    };
}

/// Fails the case unless the value equals the expected one.
#[track_caller]
pub(super) fn expect_eq<T: Debug + PartialEq>(about: &str, came: &T, expected: &T) {
    if came != expected {
        fail(about, &format_args!("{}", clipped(expected)), came);
    }
}

/// Fails the case with the subject, the expected answer and the actual one.
#[track_caller]
pub(super) fn fail(about: &str, expected: &dyn fmt::Display, came: &dyn Debug) -> ! {
    panic!(
        "{about}\n    expected: {expected}\n      actual: {}",
        clipped(came)
    );
}

/// Returns the debug text of a value, which is not written beyond the limit.
fn clipped(shown: &(impl Debug + ?Sized)) -> String {
    let mut clip = ClippedText(String::new());
    let is_whole = write!(clip, "{shown:?}").is_ok();
    if is_whole { clip.0 } else { clip.0 + "…" }
}

struct ClippedText(String);

impl Write for ClippedText {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = more.floor_char_boundary(SHOWN_BYTES_MAX - self.0.len().min(SHOWN_BYTES_MAX));
        self.0.push_str(more.get(..room).unwrap_or_default());
        if room < more.len() {
            Err(fmt::Error)
        } else {
            Ok(())
        }
    }
}
