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

/// Every option that a module keeps: whether something is written that is not as without it, its name, and the modules. Those that only
/// let somebody past a rule are not among them.
fn rules(p: &RawPolicy) -> [(bool, &'static str, &'static [&'static str]); 14] {
    const MINUTES: &[&str] = &["time_restricted", "per_room_time_restricted"];
    let on = |switch: Option<bool>| switch == Some(true);
    let usual = prosody_core::Policy::default().default_permissions;
    let permissions = p.default_permissions.as_ref().is_some_and(|list| *list != usual);
    let admitted = p.admitted.as_ref().is_some_and(|list| !list.is_empty());
    [
        (on(p.all_owners), "all_owners", &["muc_allowners"]),
        (on(p.strict_nicks), "strict_nicks", &["muc_resource_validate"]),
        (p.max_participants.is_some(), "max_participants", &["muc_max_occupants"]),
        (p.max_participants_of_rooms.is_some(), "max_participants_of_rooms", &["muc_max_occupants"]),
        (p.max_minutes.is_some(), "max_minutes", MINUTES),
        (p.max_minutes_of_rooms.is_some(), "max_minutes_of_rooms", MINUTES),
        (p.grace_seconds.is_some(), "grace_seconds", MINUTES),
        (admitted, "admitted", &["muc_filter_access"]),
        (on(p.hide_names), "hide_names", &["muc_displayname"]),
        (permissions, "default_permissions", &["muc_meeting_id", "jitsi_permissions"]),
        (p.max_messages.is_some(), "max_messages", &["muc_limit_messages"]),
        (p.joins_per_second.is_some(), "joins_per_second", &["muc_rate_limit"]),
        (p.services_alone_seconds.is_some(), "services_alone_seconds", &["muc_cleanup_backend_services"]),
        (p.max_outgoing_calls.is_some(), "max_outgoing_calls", &["filter_iq_rayo"]),
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
