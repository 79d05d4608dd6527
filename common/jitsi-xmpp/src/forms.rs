//! Data forms (XEP-0004): `x` in, fields out, and back.

use crate::words::words;

words! {
    /// What the form is for.
    FormKind {
        /// Withdrawn.
        Cancel = "cancel",
        /// To be filled in.
        Form = "form",
        /// Information.
        Result = "result",
        /// Filled in.
        Submit = "submit",
    }
}

/// `field`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Field {
    /// Its name.
    pub var: String,
    /// `hidden`, `boolean`, `text-single` …
    pub kind: Option<String>,
    /// For people.
    pub label: Option<String>,
    /// Its values in order.
    pub values: Vec<String>,
}

/// `x` of `jabber:x:data`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// What it is for.
    pub kind: FormKind,
    /// For people.
    pub title: Option<String>,
    /// For people.
    pub instructions: Option<String>,
    /// Fields in order; `FORM_TYPE` among them.
    pub fields: Vec<Field>,
}
