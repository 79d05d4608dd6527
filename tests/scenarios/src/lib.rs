//! Nothing to use: the scenarios of the whole product, in virtual time, are this package's tests.
#![forbid(unsafe_code)]
