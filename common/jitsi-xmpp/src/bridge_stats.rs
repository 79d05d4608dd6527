//! `stats` that a bridge publishes in the brewery: the presence child in, names and values out, and back.

use crate::limits::MAX_STATS;
use crate::ns;
use crate::parse::{ParseError, expect};
use crate::xml::Element;

/// Names and values in order (videobridge, appendix A).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BridgeStats(pub Vec<(String, String)>);

impl BridgeStats {
    /// A value by name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// A value by name, parsed.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.trim().parse().ok()
    }

    /// A boolean by name; absent or odd counts as `false`.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// Appends a name with its value.
    pub fn push(&mut self, name: &str, value: impl ToString) {
        self.0.push((name.to_owned(), value.to_string()));
    }

    /// Reads the `stats` child of a presence, if it has one.
    pub fn from_presence(presence: &Element) -> Option<Self> {
        Self::from_element(presence.child("stats", ns::COLIBRI)?).ok()
    }

    /// Reads `stats`.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        expect(e, "stats", ns::COLIBRI)?;
        Ok(Self(
            e.children()
                .filter(|c| c.name() == "stat")
                .filter_map(|s| Some((s.attr("name")?.to_owned(), s.attr("value")?.to_owned())))
                .take(MAX_STATS)
                .collect(),
        ))
    }

    /// Writes `stats`.
    pub fn to_element(&self) -> Element {
        Element::new("stats", ns::COLIBRI).with_children(
            self.0.iter().map(|(n, v)| Element::inherit("stat").with_attr("name", n).with_attr("value", v)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_at_the_limit_and_one_beyond() {
        for (n, kept) in [(MAX_STATS, MAX_STATS), (MAX_STATS + 1, MAX_STATS)] {
            let mut s = BridgeStats::default();
            (0..n).for_each(|i| s.push(&format!("s{i}"), i));
            assert_eq!(BridgeStats::from_element(&s.to_element()).unwrap().0.len(), kept);
        }
    }

    #[test]
    fn round_trip() {
        let mut s = BridgeStats::default();
        s.push("stress_level", 0.031);
        s.push("healthy", true);
        assert_eq!(
            s.to_element().to_xml(),
            "<stats xmlns=\"http://jitsi.org/protocol/colibri\"><stat name=\"stress_level\" value=\"0.031\"/><stat name=\"healthy\" value=\"true\"/></stats>"
        );
        let again = BridgeStats::from_element(&s.to_element()).unwrap();
        assert_eq!(again.number::<f64>("stress_level"), Some(0.031));
        assert!(again.flag("healthy") && !again.flag("drain"));
    }
}
