//! Messages on stderr. They are best effort: what a command does must not depend on who reads them.

use std::fmt::Arguments;
use std::io::{self, Write};

/// Writes a line to stderr.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::messages::write(format_args!("{}\n", format_args!($($text)*)))
    };
}

/// Writes a text without a line end to stderr.
macro_rules! say_inline {
    ($($text:tt)*) => {
        $crate::messages::write(format_args!($($text)*))
    };
}

/// Writes to stderr. An error is ignored: `eprintln!` would panic, in the middle of a change.
pub(crate) fn write(text: Arguments<'_>) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_fmt(text).and_then(|()| stderr.flush());
}
