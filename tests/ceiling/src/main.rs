//! What the machine can do at most: the least work a bridge or a meeting server must do, done in the plainest way.
#![forbid(unsafe_code)]

fn main() {}
