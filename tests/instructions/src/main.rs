//! A scenario's name in; the pure cores driven through it, always the same way, so that their instructions can be counted.
#![forbid(unsafe_code)]

fn main() {}
