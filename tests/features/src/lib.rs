//! No code: its manifest alone is of use.
