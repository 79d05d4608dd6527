//! Stanza errors: a condition and a text in, the `<error/>` element that clients recognise out, and back.

use crate::ns;
use crate::words::words;
use crate::xml::Element;

words! {
    /// RFC 6120 §8.3.3.
    #[allow(missing_docs)]
    Condition {
        BadRequest = "bad-request",
        Conflict = "conflict",
        FeatureNotImplemented = "feature-not-implemented",
        Forbidden = "forbidden",
        Gone = "gone",
        InternalServerError = "internal-server-error",
        ItemNotFound = "item-not-found",
        JidMalformed = "jid-malformed",
        NotAcceptable = "not-acceptable",
        NotAllowed = "not-allowed",
        NotAuthorized = "not-authorized",
        PolicyViolation = "policy-violation",
        RecipientUnavailable = "recipient-unavailable",
        RegistrationRequired = "registration-required",
        RemoteServerNotFound = "remote-server-not-found",
        RemoteServerTimeout = "remote-server-timeout",
        ResourceConstraint = "resource-constraint",
        ServiceUnavailable = "service-unavailable",
        SubscriptionRequired = "subscription-required",
        UndefinedCondition = "undefined-condition",
        UnexpectedRequest = "unexpected-request",
    }
}

words! {
    /// RFC 6120 §8.3.2.
    #[allow(missing_docs)]
    ErrorType {
        Auth = "auth",
        Cancel = "cancel",
        Continue = "continue",
        Modify = "modify",
        Wait = "wait",
    }
}

impl Condition {
    /// The error type that RFC 6120 §8.3.3 recommends for this condition.
    pub const fn default_type(self) -> ErrorType {
        match self {
            Self::Forbidden
            | Self::NotAuthorized
            | Self::RegistrationRequired
            | Self::SubscriptionRequired => ErrorType::Auth,
            Self::BadRequest | Self::JidMalformed | Self::NotAcceptable | Self::PolicyViolation => {
                ErrorType::Modify
            }
            Self::RecipientUnavailable
            | Self::RemoteServerTimeout
            | Self::ResourceConstraint
            | Self::UnexpectedRequest => ErrorType::Wait,
            _ => ErrorType::Cancel,
        }
    }
}

/// A stanza error as it goes over the wire.
#[derive(Debug, Clone, PartialEq)]
pub struct StanzaError {
    /// What the sender can do about it.
    pub kind: ErrorType,
    /// What went wrong.
    pub condition: Condition,
    /// Text for people; must hold no personal data.
    pub text: Option<String>,
    /// Application-specific condition elements after the text.
    pub extra: Vec<Element>,
}

impl StanzaError {
    /// An error with the recommended type and no text.
    pub fn new(condition: Condition) -> Self {
        Self { kind: condition.default_type(), condition, text: None, extra: Vec::new() }
    }

    /// The same with another type.
    #[must_use]
    pub fn with_type(mut self, kind: ErrorType) -> Self {
        self.kind = kind;
        self
    }

    /// The same with a text.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// The same with an application-specific condition.
    #[must_use]
    pub fn with_extra(mut self, element: Element) -> Self {
        self.extra.push(element);
        self
    }

    /// The `<error/>` element. The condition and the text carry their literal `xmlns` (client §0.1).
    pub fn to_element(&self) -> Element {
        let mut e = Element::inherit("error").with_attr("type", self.kind.as_str());
        e.push(Element::new(self.condition.as_str(), ns::STANZA_ERRORS));
        if let Some(t) = &self.text {
            e.push(Element::new("text", ns::STANZA_ERRORS).with_text(t));
        }
        for x in &self.extra {
            e.push(x.clone());
        }
        e
    }

    /// Reads the `<error/>` child of a stanza. Unknown conditions become `undefined-condition`.
    pub fn from_stanza(stanza: &Element) -> Option<Self> {
        let e = stanza.children().find(|c| c.name() == "error")?;
        let condition = e
            .children()
            .filter(|c| c.ns() == ns::STANZA_ERRORS)
            .find_map(|c| Condition::parse(c.name()))
            .unwrap_or(Condition::UndefinedCondition);
        let kind = e.attr("type").and_then(ErrorType::parse).unwrap_or_else(|| condition.default_type());
        let text = e.child("text", ns::STANZA_ERRORS).map(Element::text);
        let extra = e.children().filter(|c| c.ns() != ns::STANZA_ERRORS).cloned().collect();
        Some(Self { kind, condition, text, extra })
    }
}
