//! The running server: its health and version, judged.

use super::super::facts::Facts;
use super::Finding;
use crate::words::words;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let Some(server) = &facts.server else {
        return vec![Finding::green(words!("does not run", "läuft nicht"))];
    };
    if !server.ours {
        return vec![Finding::red(
            words!(
                "another program answers on admin.listen",
                "auf admin.listen antwortet ein anderes Programm"
            ),
            words!(
                "choose another address (admin.listen / PLAUSCH_ADMIN / --admin)",
                "eine andere Adresse wählen (admin.listen / PLAUSCH_ADMIN / --admin)"
            ),
        )];
    }
    let mut found = Vec::new();
    let (status, said) = (server.status, server.said.trim());
    match status {
        200 => {
            if let Some(worry) = said.strip_prefix("OK; ") {
                found.push(Finding::yellow(
                    words!("it is well, and worried: {worry}", "er ist gesund und in Sorge: {worry}"),
                    words!("see to it; its log says more", "sich darum kümmern; im Log steht mehr"),
                ));
            }
        }
        // It may recover by itself.
        503 => found.push(Finding::yellow(
            words!("it runs, but something is missing: {said}", "er läuft, aber etwas fehlt: {said}"),
            words!("wait a minute; then look into its log", "eine Minute warten; dann ins Log schauen"),
        )),
        _ => found.push(Finding::red(
            words!("it is not well ({status}): {said}", "er ist nicht gesund ({status}): {said}"),
            words!("restart it, and look into its log", "neu starten und ins Log schauen"),
        )),
    }
    let ours = env!("CARGO_PKG_VERSION");
    if let Some(version) = server.version.as_deref().filter(|v| *v != ours) {
        found.push(Finding::yellow(
            words!(
                "version {version} runs, {ours} is installed",
                "Version {version} läuft, {ours} ist installiert"
            ),
            words!(
                "restart it when it suits: plausch drain, then restart",
                "neu starten, wenn es passt: plausch drain, dann Neustart"
            ),
        ));
    }
    if server.draining {
        found.push(Finding::yellow(
            words!("it takes no new meetings", "er nimmt keine neuen Besprechungen an"),
            words!("plausch drain --cancel, or restart it", "plausch drain --cancel, oder neu starten"),
        ));
    }
    if found.is_empty() {
        found.push(Finding::green(words!("runs and is well", "läuft und ist gesund")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::super::facts::Server;
    use super::super::super::facts::tests::healthy;
    use super::super::Level::{Green, Red, Yellow};
    use super::super::tests::judged;
    use super::*;

    #[test]
    fn health_version_and_drain_of_a_running_server_are_judged() {
        let ours = Some(env!("CARGO_PKG_VERSION").to_owned());
        let well = Server { ours: true, status: 200, said: "OK".into(), version: ours, draining: false };
        for (server, level, word) in [
            (well.clone(), Green, "well"),
            (Server { status: 503, said: "focus: no bridge".into(), ..well.clone() }, Yellow, "no bridge"),
            (Server { status: 500, said: "stuck".into(), ..well.clone() }, Red, "stuck"),
            (Server { version: Some("0.0.9".into()), ..well.clone() }, Yellow, "0.0.9"),
            (Server { draining: true, ..well.clone() }, Yellow, "--cancel"),
            (Server { ours: false, ..well.clone() }, Red, "another program"),
        ] {
            let mut facts = healthy();
            facts.server = Some(server);
            let (got, said) = judged(judge, &facts);
            assert!(got == level && said.contains(word), "{said}");
        }
    }
}
