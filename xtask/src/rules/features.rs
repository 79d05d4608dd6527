//! Tables of features (`docs/differences.md`) in; numbers that are missing or twice, words that are none, and tests that do
//! not exist, out.
//!
//! Who reads `done` there believes it: it names tests that show it.

use std::collections::BTreeSet;

/// The page.
pub(super) const PAGE: &str = "docs/differences.md";

/// A table of numbered rows.
struct Table {
    heading: &'static str,
    rows: usize,
    /// What may stand in the second column.
    words: &'static [&'static str],
    /// Those of them that say that it is not here: only they go without a test.
    absent: &'static [&'static str],
    /// Those that need no word of why.
    plain: &'static [&'static str],
    /// Whether the last column names tests.
    tested: bool,
}

const TABLES: [Table; 3] = [
    Table {
        heading: "# The focus' features, one by one",
        rows: 54,
        words: &["done", "otherwise", "not"],
        absent: &["not"],
        plain: &["done"],
        tested: false,
    },
    Table {
        heading: "# The bridge's features, one by one",
        rows: 42,
        words: &["done", "otherwise", "not"],
        absent: &["not"],
        plain: &["done"],
        tested: true,
    },
    Table {
        heading: "# Bugs of upstream's bridge, one by one",
        rows: 19,
        words: &["mended", "kept", "none"],
        absent: &["none"],
        plain: &["mended"],
        tested: true,
    },
];

/// `files`: all Rust files, for the names of tests.
pub(super) fn check<'a>(page: &str, files: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let tests: BTreeSet<&str> = files.flat_map(|(_, text)| tests_of(text)).collect();
    TABLES.iter().flat_map(|table| table.check(page, &tests)).collect()
}

/// Names of functions behind a mark of a test.
fn tests_of(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut marked = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| marked) {
            found.extend(rest.split(['(', '<']).next());
            marked = false;
        }
    }
    found
}

impl Table {
    fn check(&self, page: &str, tests: &BTreeSet<&str>) -> Vec<String> {
        let (name, mut bad) = (self.heading.trim_start_matches("# "), Vec::new());
        let Some((_, rest)) = page.split_once(self.heading) else {
            return vec![format!("{PAGE}: there is no table \"{name}\"")];
        };
        let own = rest.split("\n# ").next().unwrap_or_default();
        let rows = own.lines().filter(|l| l.strip_prefix("| ").is_some_and(|l| l.starts_with(digit)));
        let mut next = 1;
        for row in rows {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let [what, here, why, more @ ..] = cells.as_slice() else {
                bad.push(format!("{PAGE}: {name}: a row with too few cells: {row}"));
                continue;
            };
            let number: String = what.chars().take_while(|c| digit(*c)).collect();
            if number != next.to_string() {
                bad.push(format!("{PAGE}: {name}: row {number} where {next} is expected"));
            }
            next += 1;
            if !self.words.contains(here) {
                bad.push(format!(
                    "{PAGE}: {name}: row {number} says `{here}`, which is none of {:?}",
                    self.words
                ));
            }
            if why.is_empty() && !self.plain.contains(here) {
                bad.push(format!("{PAGE}: {name}: row {number}: a word of why"));
            }
            if self.tested {
                let named: Vec<&str> = more.iter().flat_map(|m| m.split('`').skip(1).step_by(2)).collect();
                if named.is_empty() && !self.absent.contains(here) {
                    bad.push(format!("{PAGE}: {name}: row {number} names no test"));
                }
                let missing = named.iter().filter(|n| !tests.contains(*n));
                bad.extend(missing.map(|n| format!("{PAGE}: {name}: row {number}: there is no test `{n}`")));
            }
        }
        if next != self.rows + 1 {
            bad.push(format!("{PAGE}: {name}: {} rows, and it is {}", next - 1, self.rows));
        }
        bad
    }
}

fn digit(c: char) -> bool {
    c.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table = Table {
        heading: "# Features",
        rows: 3,
        words: &["done", "otherwise", "not"],
        absent: &["not"],
        plain: &["done"],
        tested: true,
    };

    fn check(rows: &str) -> Vec<String> {
        let text = "#[test]\nfn it_works() {\n#[tokio::test(start_paused = true)]\nasync fn it_waits() {\nfn setup() {";
        TABLE.check(
            &format!("\n# Features\n\n| a | b |\n|---|---|\n{rows}\n# Others\n\n| 9 x | no |\n"),
            &tests_of(text).into_iter().collect(),
        )
    }

    const GOOD: [&str; 3] = [
        "| 1 a | done | | `it_works`, `it_waits` |\n",
        "| 2 b | otherwise | so | `it_works` |\n",
        "| 3 c | not | why | |\n",
    ];

    #[test]
    fn a_table_with_all_numbers_and_tests_is_fine() {
        assert_eq!(check(&GOOD.concat()), [""; 0]);
    }

    #[test]
    fn a_number_that_is_missing_or_twice_is_found() {
        let [one, two, three] = GOOD;
        assert_eq!(check(&[one, two].concat()).len(), 1, "too few");
        assert_eq!(check(&[one, three, two].concat()).len(), 2, "out of order");
        assert_eq!(check(&[one, two, two, three].concat()).len(), 3, "twice");
    }

    #[test]
    fn a_row_without_a_test_a_reason_or_a_word_that_is_one_is_found() {
        let [one, two, three] = GOOD;
        for wrong in [
            "| 1 a | done | | |\n",
            "| 1 a | done | | `it_is_gone` |\n",
            "| 1 a | done | | `setup` |\n",
            "| 1 a | perhaps | so | `it_works` |\n",
            "| 1 a | otherwise | | `it_works` |\n",
        ] {
            assert_eq!(check(&[wrong, two, three].concat()).len(), 1, "{wrong}");
        }
        assert_eq!(check(&[one, two, "| 3 c | not | | |\n"].concat()).len(), 1);
        assert_eq!(Table { heading: "# Gone", ..TABLE }.check("", &BTreeSet::new()).len(), 1);
    }
}
