//! What the focus counts: events in, the figures of `/stats` and of the metrics page out.

/// Counters since start, named as upstream names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Counters {
    pub conferences_created: u64,
    pub conference_requests: u64,
    pub conference_requests_new: u64,
    pub requests_rate_limited: u64,
    pub participants: u64,
    pub participants_moved: u64,
    pub participants_restart_requested: u64,
    pub restarts_delayed: u64,
    pub ice_restarts_requested: u64,
    /// The bridge's new credentials were told to the client.
    pub ice_restarts_relayed: u64,
    pub ice_restarts_not_needed: u64,
    pub ice_restarts_failed: u64,
    pub bridges_removed: u64,
    /// People moved away from a bridge because an admin said so, because it drains or because of its load.
    pub endpoints_moved: u64,
    /// Relays that bridges were asked for, on either side.
    pub relays_created: u64,
    /// Requests about relays that bridges refused, or did not answer.
    pub relays_failed: u64,
    pub bridge_not_available: u64,
    pub sessions_initiated: u64,
    pub sessions_accepted: u64,
    pub sources_refused: u64,
    /// Those of them that gave themselves for somebody else's.
    pub sources_foreign: u64,
    pub iq_timeouts: u64,
    pub iqs_unknown: u64,
    pub stanzas_ignored: u64,
    /// Requests to the focus beyond their sender's budget.
    pub iqs_rate_limited: u64,
    /// Requests of the focus that found no place; they are repeated.
    pub requests_postponed: u64,
    /// Requests whose id is so long that an answer would cost the link.
    pub requests_unanswerable: u64,
    /// Answers of bridges that say nothing of what was asked.
    pub answers_absurd: u64,
    /// Answers of bridges that nobody waits for any more, or that came twice.
    pub answers_late: u64,
    /// Bridges that refused an update over what one participant said.
    pub updates_refused: u64,
    /// Another person under the nick of somebody in the room.
    pub nicks_taken: u64,
    /// Rooms in which another focus was seen under our nick.
    pub focuses_beside: u64,
    /// Rights of an owner that the server would not give, twice.
    pub owner_grants_failed: u64,
    /// Owners who left and came back with the same browser before the right went to the next one.
    pub owners_returned: u64,
    /// Sessions that ended because of an answer that could not be taken.
    pub answers_refused: u64,
    /// Rooms that found no bridge of the version they are bound to.
    pub pins_unmet: u64,
    /// Bridges that say no relay id where conferences span several.
    pub bridges_unlinkable: u64,
    /// Bugs that ended one conference.
    pub panics: u64,
    pub xmpp_disconnects: u64,
    pub recording_failures: u64,
    pub streaming_failures: u64,
    /// Wishes to record for which there was no recorder.
    pub no_recorder: u64,
    /// Calls and transcribers for which there was no gateway, or none that could.
    pub dial_failures: u64,
}

/// A picture of now, plus the counters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Stats {
    pub connected: bool,
    pub draining: bool,
    pub conferences: usize,
    pub participants: usize,
    pub largest_conference: usize,
    pub endpoint_pairs: usize,
    pub visitors: usize,
    pub conferences_with_visitors: usize,
    pub bridge_count: usize,
    pub operational_bridge_count: usize,
    pub in_shutdown_bridge_count: usize,
    pub bridge_version_count: usize,
    pub lost_bridges: u64,
    /// Bridges that were left because they said nothing.
    pub silent_bridges: u64,
    /// Bridges that had to wait because they came and went.
    pub bridges_held: u64,
    /// Presences of bridges with a load that cannot be.
    pub bridge_figures_refused: u64,
    /// Conferences on bridges: one that spans two counts twice.
    pub bridge_sessions: usize,
    /// Conferences that span several.
    pub conferences_over_bridges: usize,
    /// Links between two bridges.
    pub relays: usize,
    /// Those that many of their people do not reach.
    pub bridges_failing_ice: Vec<(String, bool)>,
    /// People by bridge, by what the bridge calls itself among the bridges.
    pub bridge_endpoints: Vec<(String, usize)>,
    pub recorders: usize,
    pub recorders_available: usize,
    pub recordings: usize,
    pub streams: usize,
    /// Gateways that make calls, those of them that are about to leave, and gateways that transcribe.
    pub gateways: (usize, usize, usize),
    /// Requests to others that wait for a reply.
    pub pending_requests: usize,
    pub counters: Counters,
}
