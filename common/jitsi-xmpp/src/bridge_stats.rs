//! `stats` that a bridge publishes in the brewery: the presence child in, names and values out, and back.

/// Names and values in order (videobridge, appendix A).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BridgeStats(pub Vec<(String, String)>);
