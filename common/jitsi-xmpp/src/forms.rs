//! Data forms (XEP-0004): `x` in, fields out, and back.

use crate::ns;
use crate::parse::{ParseError, boolean_word, expect, word};
use crate::words::words;
use crate::xml::Element;

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

impl Field {
    /// A field with one value and no type.
    pub fn new(var: impl Into<String>, value: impl Into<String>) -> Self {
        Self { var: var.into(), kind: None, label: None, values: vec![value.into()] }
    }

    /// The same with a type.
    #[must_use]
    pub fn with_kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    fn from_element(e: &Element) -> Option<Self> {
        Some(Self {
            var: e.attr("var")?.to_owned(),
            kind: e.attr("type").map(str::to_owned),
            label: e.attr("label").map(str::to_owned),
            values: e.children().filter(|c| c.name() == "value").map(Element::text).collect(),
        })
    }

    fn to_element(&self) -> Element {
        Element::inherit("field")
            .with_attr("var", &self.var)
            .with_opt_attr("type", self.kind.as_deref())
            .with_opt_attr("label", self.label.as_deref())
            .with_children(self.values.iter().map(|v| Element::inherit("value").with_text(v)))
    }
}

impl Form {
    /// A form of a registered type without other fields.
    pub fn new(kind: FormKind, form_type: &str) -> Self {
        let fields = vec![Field::new("FORM_TYPE", form_type).with_kind("hidden")];
        Self { kind, title: None, instructions: None, fields }
    }

    /// What the fields mean.
    pub fn form_type(&self) -> Option<&str> {
        self.value("FORM_TYPE")
    }

    /// A field by name.
    pub fn field(&self, var: &str) -> Option<&Field> {
        self.fields.iter().find(|f| f.var == var)
    }

    /// The first value of a field.
    pub fn value(&self, var: &str) -> Option<&str> {
        self.field(var)?.values.first().map(String::as_str)
    }

    /// A boolean field; `None` if absent or neither true nor false.
    pub fn flag(&self, var: &str) -> Option<bool> {
        self.value(var).and_then(boolean_word)
    }

    #[cfg(test)]
    pub(crate) fn with_field(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }

    /// Reads `x`. Fields without a name are left out.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        expect(e, "x", ns::DATA_FORMS)?;
        Ok(Self {
            kind: word(e, "x", "type", FormKind::parse)?
                .ok_or(ParseError::Missing { element: "x", what: "type" })?,
            title: e.child("title", ns::DATA_FORMS).map(Element::text),
            instructions: e.child("instructions", ns::DATA_FORMS).map(Element::text),
            fields: e.children_of("field", ns::DATA_FORMS).filter_map(Field::from_element).collect(),
        })
    }

    /// Writes `x` with its literal namespace.
    pub fn to_element(&self) -> Element {
        let mut e = Element::new("x", ns::DATA_FORMS).with_attr("type", self.kind.as_str());
        for (name, text) in [("title", &self.title), ("instructions", &self.instructions)] {
            if let Some(t) = text {
                e.push(Element::inherit(name).with_text(t));
            }
        }
        e.with_children(self.fields.iter().map(Field::to_element))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let f = Form::new(FormKind::Submit, "http://jabber.org/protocol/muc#roomconfig")
            .with_field(Field::new("muc#roomconfig_membersonly", "true"))
            .with_field(Field {
                var: "list".into(),
                values: vec!["a".into(), "b".into()],
                ..Field::default()
            });
        assert_eq!(Form::from_element(&f.to_element()), Ok(f.clone()));
        assert_eq!(f.form_type(), Some("http://jabber.org/protocol/muc#roomconfig"));
        assert_eq!(f.flag("muc#roomconfig_membersonly"), Some(true));
        assert_eq!(f.flag("none"), None);
    }

    #[test]
    fn a_form_without_type_is_refused() {
        assert!(Form::from_element(&Element::new("x", ns::DATA_FORMS)).is_err());
        assert!(Form::from_element(&Element::new("x", ns::MUC).with_attr("type", "form")).is_err());
    }
}
