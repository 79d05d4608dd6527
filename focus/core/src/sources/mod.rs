//! Who sends what: sources of `session-accept`, `source-add` and `source-remove` in; the conference's checked
//! set and what each receiver must be told out.

mod map;
mod signal;
mod validate;

pub(crate) use map::{Semantics, Source, SourceGroup, SourceMap, SourceSet};
pub(crate) use signal::{ByOwner, Filter, Signaling, portions, wanted};
pub(crate) use validate::{SourceError, check_add, check_remove};
