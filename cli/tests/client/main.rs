//! The operator's client as its users run it, against a console that gives canned answers.
//!
//! - `console`: the canned console, and what it was asked. `sample`: what it answers. `skictl`: a run of the client.
//! - `shows`, `changes`: every command in every form; `machines`: those about machines. `exits`: exit codes. `places`: which
//!   console is asked, with which token. `terminal`: questions, colours and `--watch` on a pseudo-terminal. `top`: the
//!   screen of `skictl top`.

mod changes;
mod console;
mod exits;
mod machines;
mod places;
mod sample;
mod shows;
mod skictl;
mod terminal;
mod top;
