//! The dependency graph: what `cargo metadata` says in, out which crates are where they may not be.
//!
//! Three questions: does anything impure hide behind a pure crate, is every licence on the list of `deny.toml`, does everything
//! come from the registry. `cargo deny check` asks the last two as well, and about advisories, where there is a network.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::{Context, Result};
use serde_json::Value;

/// What must not be reachable from a pure crate: it does I/O, reads a clock or makes randomness.
const IMPURE: &[&str] = &[
    "async-std",
    "axum",
    "chrono",
    "crossbeam-channel",
    "fastrand",
    "getrandom",
    "hyper",
    "libc",
    "mio",
    "nix",
    "polling",
    "rand",
    "reqwest",
    "rustix",
    "smol",
    "socket2",
    "tempfile",
    "tokio",
    "tokio-tungstenite",
    "tracing-subscriber",
    "ureq",
    "uuid",
];
/// Edges of the graph that are known, with the reason why they do not make the crate in front impure for us.
const ACCEPTED: &[(&str, &str, &str)] = &[
    ("dimpl", "rand", "handshake secrets; a DTLS stack has no way to be handed them"),
    ("sctp-proto", "rand", "association tags; what they are changes nothing that we decide"),
    (
        "str0m-proto",
        "fastrand",
        "transaction ids of `is`; credentials and tie-breakers are ours (decision 0001)",
    ),
];

/// The graph of normal dependencies.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// Package id → name, licence, source.
    packages: BTreeMap<String, Package>,
    /// Package id → ids of what it needs.
    needs: BTreeMap<String, Vec<(String, Kind)>>,
}

#[derive(Debug)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal,
    /// For build scripts or tests.
    Other,
}

impl Graph {
    /// From `cargo metadata --format-version 1`.
    pub(super) fn new(metadata: &Value) -> Result<Self> {
        let mut graph = Self::default();
        let text = |v: &Value, key: &str| v[key].as_str().map(str::to_owned);
        for p in metadata["packages"].as_array().context("cargo metadata without packages")? {
            let package = Package {
                name: text(p, "name").context("a package without name")?,
                version: text(p, "version").unwrap_or_default(),
                license: text(p, "license"),
                source: text(p, "source"),
            };
            graph.packages.insert(text(p, "id").context("a package without id")?, package);
        }
        let manifests: BTreeMap<&str, &Value> = metadata["packages"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|p| Some((p["id"].as_str()?, p)))
            .collect();
        for node in metadata["resolve"]["nodes"].as_array().context("cargo metadata without a graph")? {
            let id = text(node, "id").context("a node without id")?;
            let deps = node["deps"].as_array().into_iter().flatten().filter_map(|d| {
                let kinds = d["dep_kinds"].as_array()?;
                let needed = graph.packages.get(d["pkg"].as_str()?)?;
                if !manifests.get(id.as_str()).is_some_and(|m| activates(m, &node["features"], &needed.name))
                {
                    return None;
                }
                let normal = kinds.iter().any(|k| k["kind"].is_null());
                Some((text(d, "pkg")?, if normal { Kind::Normal } else { Kind::Other }))
            });
            let deps = deps.collect();
            graph.needs.insert(id, deps);
        }
        Ok(graph)
    }

    /// Impure crates behind pure ones, with the way to them.
    pub(super) fn impure(&self, pure: &[impl AsRef<str>]) -> Vec<String> {
        let mut bad = Vec::new();
        for (id, package) in self.packages.iter().filter(|(_, p)| pure.iter().any(|n| n.as_ref() == p.name)) {
            for way in self.ways(id) {
                if way.last().is_some_and(|name| IMPURE.contains(name)) {
                    bad.push(format!("{}: pure, but needs {}", package.name, way.join(" → ")));
                }
            }
        }
        bad
    }

    /// The shortest way from a package to each that it needs, accepted edges not followed.
    fn ways(&self, from: &str) -> Vec<Vec<&str>> {
        let mut seen = BTreeSet::from([from]);
        let mut queue = VecDeque::from([(from, Vec::new())]);
        let mut ways = Vec::new();
        while let Some((id, way)) = queue.pop_front() {
            let name = self.name(id);
            for (next, _) in self.needs.get(id).into_iter().flatten().filter(|(_, k)| *k == Kind::Normal) {
                let next_name = self.name(next);
                let accepted = ACCEPTED.iter().any(|(a, b, _)| *a == name && *b == next_name);
                if !accepted && seen.insert(next) {
                    let mut way = way.clone();
                    way.push(next_name);
                    ways.push(way.clone());
                    queue.push_back((next, way));
                }
            }
        }
        ways
    }

    fn name(&self, id: &str) -> &str {
        self.packages.get(id).map_or("?", |p| p.name.as_str())
    }

    /// Licences, banned crates, versions and sources of what is `used` (`name v1.2.3`), against `deny.toml`.
    pub(super) fn supply(&self, used: &BTreeSet<String>, policy: &Policy) -> Vec<String> {
        let mut bad = Vec::new();
        let used: Vec<&Package> =
            self.packages.values().filter(|p| used.contains(&format!("{} v{}", p.name, p.version))).collect();
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for package in used.iter().filter(|p| !policy.may_be_twice(p)) {
            versions.entry(&package.name).or_default().push(&package.version);
        }
        for (name, versions) in versions.into_iter().filter(|(_, v)| v.len() > 1) {
            bad.push(format!("deny.toml: {name} more than once: {}", versions.join(", ")));
        }
        for package in used {
            let name = format!("{} {}", package.name, package.version);
            if let Some(reason) = policy.banned.get(&package.name) {
                bad.push(format!("deny.toml: {name} is banned: {reason}"));
            }
            let Some(source) = &package.source else { continue };
            if source != REGISTRY {
                bad.push(format!("deny.toml: {name} comes from {source}"));
            }
            match &package.license {
                None => bad.push(format!("deny.toml: {name} names no licence")),
                Some(license) if !policy.allows(license) => {
                    bad.push(format!("deny.toml: {name}: {license} is not on the list"));
                }
                Some(_) => {}
            }
        }
        bad
    }
}

/// What a build really uses, from `cargo tree --prefix none`: `cargo metadata` also lists what no feature asks for.
pub(super) fn used(tree: &str) -> BTreeSet<String> {
    tree.lines()
        .filter_map(|l| l.split_once(" v"))
        .map(|(name, rest)| {
            let version = rest.split(' ').next().unwrap_or_default();
            format!("{name} v{version}")
        })
        .collect()
}

/// Whether a package with these features needs `dependency`: cargo lists optional ones that only a weak feature
/// (`ring?/std`) names.
fn activates(manifest: &Value, features: &Value, dependency: &str) -> bool {
    let listed: Vec<&Value> = manifest["dependencies"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|d| d["name"] == dependency)
        .collect();
    if listed.iter().all(|d| d["optional"] != true) {
        return true;
    }
    let keys: Vec<&str> =
        listed.iter().filter_map(|d| d["rename"].as_str().or_else(|| d["name"].as_str())).collect();
    let enabled = features.as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut implied = enabled.flat_map(|f| manifest["features"][f].as_array().into_iter().flatten());
    implied.any(|item| {
        let item = item.as_str().unwrap_or_default();
        let name = item.strip_prefix("dep:").unwrap_or(item);
        keys.iter().any(|k| name.split('/').next() == Some(*k))
    })
}

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What `deny.toml` says.
#[derive(Debug, Default)]
pub(super) struct Policy {
    licenses: BTreeSet<String>,
    banned: BTreeMap<String, String>,
    /// Name and beginning of the version of crates that may be there beside a newer one.
    twice: Vec<(String, String)>,
}

impl Policy {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let table: toml::Table = text.parse().context("deny.toml")?;
        let list = |a: &str, b: &str| table.get(a).and_then(|t| t.get(b)).and_then(|v| v.as_array()).cloned();
        let licenses = list("licenses", "allow").context("deny.toml: [licenses] allow")?;
        let banned = list("bans", "deny").unwrap_or_default();
        let skipped = list("bans", "skip").unwrap_or_default();
        let field = |v: &toml::Value, key: &str| v.get(key).and_then(toml::Value::as_str).map(str::to_owned);
        Ok(Self {
            licenses: licenses.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
            banned: banned
                .iter()
                .filter_map(|v| Some((field(v, "name")?, field(v, "reason").unwrap_or_default())))
                .collect(),
            twice: skipped
                .iter()
                .filter_map(|v| field(v, "crate"))
                .filter_map(|c| {
                    c.split_once('@').map(|(name, version)| (name.to_owned(), version.to_owned()))
                })
                .collect(),
        })
    }

    fn may_be_twice(&self, package: &Package) -> bool {
        let of = |version: &str| {
            package.version.strip_prefix(version).is_some_and(|r| r.is_empty() || r.starts_with('.'))
        };
        self.twice.iter().any(|(name, version)| *name == package.name && of(version))
    }

    /// SPDX: `OR` binds weaker than `AND`; `/` is an old `OR`.
    fn allows(&self, expression: &str) -> bool {
        let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
        let mut words = spaced.split_whitespace().peekable();
        self.any(&mut words)
    }

    fn any<'a>(&self, words: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>) -> bool {
        let mut allowed = self.all(words);
        while words.next_if_eq(&"OR").is_some() {
            allowed |= self.all(words);
        }
        allowed
    }

    fn all<'a>(&self, words: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>) -> bool {
        let mut allowed = self.one(words);
        while words.next_if_eq(&"AND").is_some() {
            allowed &= self.one(words);
        }
        allowed
    }

    fn one<'a>(&self, words: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>) -> bool {
        match words.next() {
            Some("(") => {
                let allowed = self.any(words);
                words.next_if_eq(&")").is_some() && allowed
            }
            Some(name) => match words.next_if_eq(&"WITH").and_then(|_| words.next()) {
                Some(exception) => self.licenses.contains(&format!("{name} WITH {exception}")),
                None => self.licenses.contains(name),
            },
            None => false,
        }
    }
}

/// Dependencies of the root manifest without a line in `docs/dependencies.md`, and lines without a dependency.
pub(super) fn reasons(manifest: &str, page: &str) -> Result<Vec<String>> {
    let manifest: toml::Table = manifest.parse().context("Cargo.toml")?;
    let listed =
        manifest.get("workspace").and_then(|w| w.get("dependencies")).and_then(toml::Value::as_table);
    let foreign = listed
        .context("Cargo.toml: no [workspace.dependencies]")?
        .iter()
        .filter(|(_, v)| v.get("path").is_none());
    let used: BTreeSet<&str> = foreign.map(|(name, _)| name.as_str()).collect();
    let rows = page.lines().filter_map(|l| l.strip_prefix("| ")?.split(" | ").next()).skip(1);
    let explained: BTreeSet<&str> =
        rows.flat_map(|names| names.split(", ")).map(|n| n.trim_matches('`')).collect();
    let missing = used.difference(&explained).map(|n| format!("docs/dependencies.md: why {n}?"));
    let gone =
        explained.difference(&used).map(|n| format!("docs/dependencies.md: {n} is no dependency any more"));
    Ok(missing.chain(gone).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn graph(edges: &[(&str, &str, Value)], license: &str, source: &str) -> Graph {
        let mut names: Vec<&str> = edges.iter().flat_map(|(a, b, _)| [*a, *b]).collect();
        names.sort_unstable();
        names.dedup();
        let node = |name: &&str| {
            let deps = edges.iter().filter(|(a, ..)| a == name);
            let deps: Vec<Value> =
                deps.map(|(_, b, kind)| json!({"pkg": b, "dep_kinds": [{"kind": kind}]})).collect();
            json!({"id": name, "deps": deps})
        };
        let package = |name: &&str| json!({"id": name, "name": name, "version": "1.0.0", "license": license, "source": source});
        let packages: Vec<Value> = names.iter().map(package).collect();
        let nodes: Vec<Value> = names.iter().map(node).collect();
        Graph::new(&json!({"packages": packages, "resolve": {"nodes": nodes}})).unwrap()
    }

    #[test]
    fn an_impure_crate_behind_a_pure_one_is_found_however_deep() {
        let g = graph(
            &[("core", "a", Value::Null), ("a", "b", Value::Null), ("b", "tokio", Value::Null)],
            "MIT",
            REGISTRY,
        );
        assert_eq!(g.impure(&["core"]), ["core: pure, but needs a → b → tokio"]);
        assert_eq!(g.impure(&["other"]), Vec::<String>::new());
    }

    #[test]
    fn tests_build_scripts_and_accepted_edges_do_not_make_impure() {
        let g = graph(
            &[
                ("core", "tokio", json!("dev")),
                ("core", "libc", json!("build")),
                ("core", "dimpl", Value::Null),
                ("dimpl", "rand", Value::Null),
            ],
            "MIT",
            REGISTRY,
        );
        assert_eq!(g.impure(&["core"]), Vec::<String>::new());
    }

    #[test]
    fn an_optional_dependency_counts_when_a_feature_asks_for_it() {
        let manifest = json!({
            "dependencies": [{"name": "ring", "optional": true, "rename": null}, {"name": "a", "optional": false}],
            "features": {"std": ["ring?/std"], "ring": ["dep:ring"], "fast": ["ring/asm"]},
        });
        assert!(activates(&manifest, &json!([]), "a"));
        assert!(!activates(&manifest, &json!(["std"]), "ring"));
        assert!(activates(&manifest, &json!(["std", "ring"]), "ring"));
        assert!(activates(&manifest, &json!(["fast"]), "ring"));
    }

    #[test]
    fn a_dependency_without_a_reason_and_a_reason_without_a_dependency_are_found() {
        let manifest = "[workspace.dependencies]\na = '1'\nb = { version = '1' }\nours = { path = 'x' }\n";
        let page = |names: &str| format!("# D\n\n| crate | why |\n|---|---|\n| {names} | because |\n");
        assert_eq!(reasons(manifest, &page("a, b")).unwrap(), Vec::<String>::new());
        assert_eq!(reasons(manifest, &page("a")).unwrap(), ["docs/dependencies.md: why b?"]);
        assert_eq!(
            reasons(manifest, &page("a, `b`, c")).unwrap(),
            ["docs/dependencies.md: c is no dependency any more"]
        );
    }

    #[test]
    fn licences_are_read_as_spdx() {
        let policy =
            Policy::parse("[licenses]\nallow = ['MIT', 'ISC', 'Apache-2.0 WITH LLVM-exception']").unwrap();
        for good in
            ["MIT", "MIT/GPL-3.0", "GPL-3.0 OR ISC", "(MIT OR X) AND ISC", "Apache-2.0 WITH LLVM-exception"]
        {
            assert!(policy.allows(good), "{good}");
        }
        for bad in ["GPL-3.0", "MIT AND GPL-3.0", "Apache-2.0", "(MIT", "", "ISC AND (X OR Y)"] {
            assert!(!policy.allows(bad), "{bad}");
        }
    }

    #[test]
    fn a_second_version_without_a_reason_is_found() {
        let packages = [("a 1", "a", "1.2.0"), ("a 2", "a", "2.0.0"), ("ours", "ours", "0.1.0")];
        let package = |(id, name, version): &(&str, &str, &str)| json!({"id": id, "name": name, "version": version, "license": "MIT", "source": REGISTRY});
        let packages: Vec<Value> = packages.iter().map(package).collect();
        let deps = json!([{"pkg": "a 1", "dep_kinds": [{"kind": null}]}, {"pkg": "a 2", "dep_kinds": [{"kind": "dev"}]}]);
        let metadata = json!({"packages": packages,
            "resolve": {"nodes": [{"id": "ours", "deps": deps}, {"id": "a 1", "deps": []}, {"id": "a 2", "deps": []}]}});
        let graph = Graph::new(&metadata).unwrap();
        let used = used("ours v0.1.0 (x)\na v1.2.0\na v2.0.0 (*)\n");
        let with = |skip: &str| {
            Policy::parse(&format!("[licenses]\nallow = ['MIT']\n[bans]\nskip = [{skip}]")).unwrap()
        };
        assert_eq!(graph.supply(&used, &with("")), ["deny.toml: a more than once: 1.2.0, 2.0.0"]);
        assert_eq!(graph.supply(&used, &with("{ crate = 'a@1', reason = 'x' }")), Vec::<String>::new());
        assert_eq!(graph.supply(&used, &with("{ crate = 'a@1.20', reason = 'x' }")).len(), 1);
    }

    #[test]
    fn a_wrong_licence_a_foreign_source_and_a_banned_crate_are_found() {
        let policy = Policy::parse(
            "[licenses]\nallow = ['MIT']\n[bans]\ndeny = [{ name = 'ring', reason = 'one is enough' }]",
        )
        .unwrap();
        let one = |name, license, source| {
            graph(&[(name, name, Value::Null)], license, source)
                .supply(&used("a v1.0.0\nring v1.0.0 (*)\n"), &policy)
        };
        assert_eq!(one("a", "MIT", REGISTRY), Vec::<String>::new());
        assert_eq!(one("a", "AGPL-3.0", REGISTRY), ["deny.toml: a 1.0.0: AGPL-3.0 is not on the list"]);
        assert_eq!(one("a", "MIT", "git+https://x"), ["deny.toml: a 1.0.0 comes from git+https://x"]);
        assert_eq!(one("ring", "MIT", REGISTRY), ["deny.toml: ring 1.0.0 is banned: one is enough"]);
    }
}
