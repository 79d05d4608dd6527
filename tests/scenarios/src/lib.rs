//! What tests of several packages share. The scenarios of the whole product, in virtual time, are this package's tests.
#![forbid(unsafe_code)]

pub mod names;
