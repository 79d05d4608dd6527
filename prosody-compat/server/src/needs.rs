//! A policy as written, and the modules that act where it holds, in; the first rule without the module that keeps it out.
//!
//! A rule that nobody keeps is worse than none: the admin believes in it.

use crate::table::RawPolicy;

/// An option of a policy, and the modules of which one has to be named for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unkept {
    /// `max_participants`
    pub option: &'static str,
    /// Upstream's names.
    pub modules: &'static [&'static str],
}

/// What is written and would change nothing.
pub(crate) fn unkept(policy: &RawPolicy, named: impl Fn(&str) -> bool) -> Option<Unkept> {
    rules(policy)
        .into_iter()
        .find(|(written, _, modules)| *written && !modules.iter().any(|m| named(m)))
        .map(|(_, option, modules)| Unkept { option, modules })
}

/// Every option that a module keeps: whether something is written that is not as without it, its name, and the modules.
///
/// A policy is taken apart whole, so that who adds an option has to say here whether a module keeps it.
fn rules(p: &RawPolicy) -> [(bool, &'static str, &'static [&'static str]); 14] {
    const MINUTES: &[&str] = &["time_restricted", "per_room_time_restricted"];
    let RawPolicy {
        all_owners,
        strict_nicks,
        max_participants,
        max_participants_of_rooms,
        max_minutes,
        max_minutes_of_rooms,
        grace_seconds,
        admitted,
        default_permissions,
        hide_names,
        max_messages,
        joins_per_second,
        services_alone_seconds,
        max_outgoing_calls,
        // Lets somebody past a rule.
        anybody_creates: _,
        uncounted: _,
        password_exempt: _,
        token_exempt: _,
        lobby_exempt: _,
        tokens_lift_max_messages: _,
        owners_revoke: _,
        // Says how something is done that is there anyway, or narrows one of the above.
        lobby_asks_name: _,
        blocked_metadata: _,
        moderated_rooms: _,
        moderated_tenants: _,
        hosts_own: _,
        viewers_come_in: _,
        // Its component keeps it, without which nothing is translated.
        max_translations: _,
        translations_told_after_ms: _,
    } = p;
    let on = |switch: &Option<bool>| *switch == Some(true);
    let usual = prosody_core::Policy::default().default_permissions;
    let permissions = default_permissions.as_ref().is_some_and(|list| *list != usual);
    let admitted = admitted.as_ref().is_some_and(|list| !list.is_empty());
    [
        (on(all_owners), "all_owners", &["muc_allowners"]),
        (on(strict_nicks), "strict_nicks", &["muc_resource_validate"]),
        (max_participants.is_some(), "max_participants", &["muc_max_occupants"]),
        (max_participants_of_rooms.is_some(), "max_participants_of_rooms", &["muc_max_occupants"]),
        (max_minutes.is_some(), "max_minutes", MINUTES),
        (max_minutes_of_rooms.is_some(), "max_minutes_of_rooms", MINUTES),
        (grace_seconds.is_some(), "grace_seconds", MINUTES),
        (admitted, "admitted", &["muc_filter_access"]),
        (on(hide_names), "hide_names", &["muc_displayname"]),
        (permissions, "default_permissions", &["muc_meeting_id", "jitsi_permissions"]),
        (max_messages.is_some(), "max_messages", &["muc_limit_messages"]),
        (joins_per_second.is_some(), "joins_per_second", &["muc_rate_limit"]),
        (services_alone_seconds.is_some(), "services_alone_seconds", &["muc_cleanup_backend_services"]),
        (max_outgoing_calls.is_some(), "max_outgoing_calls", &["filter_iq_rayo"]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> RawPolicy {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_rule_without_the_module_that_keeps_it_is_found() {
        let of =
            |text: &str, modules: &[&str]| unkept(&policy(text), |m| modules.contains(&m)).map(|u| u.option);
        assert_eq!(of("max_participants = 3", &[]), Some("max_participants"));
        assert_eq!(of("max_participants = 3", &["muc_max_occupants"]), None);
        assert_eq!(of("admitted = [\"auth.example\"]", &["muc_hide_all"]), Some("admitted"));
        assert_eq!(of("default_permissions = []", &["jitsi_permissions"]), None);
        assert_eq!(of("all_owners = false", &[]), None, "what is off needs nobody");
        assert_eq!(of("", &[]), None);
    }

    #[test]
    fn every_module_that_keeps_a_rule_exists() {
        for (_, option, modules) in rules(&RawPolicy::default()) {
            for module in modules {
                let mut table = prosody_core::Table::docker("meet.jitsi");
                if let Some(meetings) = table.meetings_mut() {
                    meetings.modules.push((*module).to_owned());
                }
                let unknown = table.check().map_err(|e| e.to_string());
                assert!(!unknown.is_err_and(|e| e.contains("not known")), "{option}: {module}");
            }
        }
    }
}
