//! Rules of tokens that are possible, and perhaps not meant, judged.

use super::super::facts::Facts;
use super::Finding;
use crate::words::words;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let Ok(plan) = &facts.plan else { return Vec::new() };
    let todo = || {
        words!(
            "docs/admin/login.md says what each option lets in",
            "docs/admin/anmeldung.md sagt, wen welche Option hereinlässt"
        )
    };
    plan.cautions.iter().map(|says| Finding::yellow(says.clone(), todo())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::facts::tests::healthy;
    use super::super::Level::{Green, Yellow};
    use super::super::tests::judged;
    use super::*;

    #[test]
    fn each_caution_is_a_line() {
        let mut facts = healthy();
        assert_eq!(judged(judge, &facts).0, Green);
        if let Ok(plan) = &mut facts.plan {
            plan.cautions = vec![words!("tokens of any issuer count", "Token aller Aussteller gelten")];
        }
        let (level, said) = judged(judge, &facts);
        assert!(level == Yellow && said.contains("any issuer"), "{said}");
    }
}
