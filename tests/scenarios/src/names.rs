//! One long list of names, and whether they are names: every part is held to the same list.

/// What stands before the room in a page's path, decoded; whether it is a tenant.
pub fn tenants() -> Vec<(String, bool)> {
    let taken = [
        "stadt",
        "stadt-a",
        "Stadt_B",
        "stadt.c",
        "-x-",
        "1",
        "köln",
        "KÖLN",
        "cafe\u{301}",
        "москва",
        "東京",
        "القاهرة",
        "a+b",
        "a,b",
        "a!b",
        "a~b",
        "a(b)",
        "a*b",
        "a=b",
        "a$b",
        "a;b",
        "+",
        "ａｂ",
    ];
    let refused = [
        "",
        "a@b",
        "a b",
        "a%b",
        "a%20b",
        "a&b",
        "a'b",
        "a\"b",
        "a:b",
        "a?b",
        "a#b",
        "a<b",
        "a>b",
        "a[b",
        "[a]",
        "a]b",
        "a{b}",
        "a|b",
        "a^b",
        "a`b",
        "\u{feff}",
        "a\u{200b}b",
        "a\u{202e}b",
        "a\u{ad}b",
        "a\u{2028}b",
        "a\tb",
        "a\0b",
        "a\u{7f}b",
        "🏠",
        "a²b",
        "aﬁb",
        "\u{301}\u{2060}",
        "a＠b",
        "a／b",
        "a\u{e000}b",
        "1א",
    ];
    let mut all: Vec<(String, bool)> = taken.iter().map(|t| ((*t).to_owned(), true)).collect();
    all.extend(refused.iter().map(|t| ((*t).to_owned(), false)));
    all.extend([
        ("t".repeat(63), true),
        ("t".repeat(64), false),
        ("ü".repeat(63), true),
        ("t".repeat(1023), false),
    ]);
    all
}

/// What people write behind it, decoded; the node that the web app makes of it, if the page is a room's.
pub fn typed() -> Vec<(String, Option<String>)> {
    let taken = [
        ("rathaus", "rathaus"),
        ("Rat haus", "rat%20haus"),
        ("Bürgerforum", "b%c3%bcrgerforum"),
        ("Cafe\u{301}", "caf%c3%a9"),
        ("ﬁnanzen²", "finanzen2"),
        ("ＲＡＴ", "rat"),
        ("Straße", "stra%c3%9fe"),
        ("东京", "%e4%b8%9c%e4%ba%ac"),
        ("עברית", "%d7%a2%d7%91%d7%a8%d7%99%d7%aa"),
        ("👨‍👩‍👧", "%f0%9f%91%a8%e2%80%8d%f0%9f%91%a9%e2%80%8d%f0%9f%91%a7"),
        ("\u{feff}", "%ef%bb%bf"),
        ("a\u{200b}b", "a%e2%80%8bb"),
        ("50% mehr", "50%25%20mehr"),
        ("[town]room", "townroom"),
        ("a!b$c(d)*e+f,g;h=i@j", "abcdefghij"),
        ("a.b-c_d~e", "a.b-c_d~e"),
        ("a{b}|^`", "a%7bb%7d%7c%5e%60"),
        ("_intern", "_intern"),
    ];
    // What upstream's web server refuses, the app's own folders, and names of which the app leaves nothing.
    let refused = [
        "", "a&b", "a:b", "a'b", "a\"b", "a<b", "a>b", "a?b", "a#b", "[]", "!!!", "libs", "_unlock",
        "a\u{7}b", "a\\b",
    ];
    let mut all: Vec<(String, Option<String>)> =
        taken.iter().map(|(n, node)| ((*n).to_owned(), Some((*node).to_owned()))).collect();
    all.extend(refused.iter().map(|n| ((*n).to_owned(), None)));
    all.extend([
        ("r".repeat(900), Some("r".repeat(900))),
        ("r".repeat(1024), None),
        ("ü".repeat(150), Some("%c3%bc".repeat(150))),
        ("ü".repeat(400), None),
    ]);
    all
}

/// Nodes of room addresses as other clients may spell them; whether they are a room's.
pub fn nodes() -> Vec<(String, bool)> {
    let taken = [
        "rathaus",
        "RATHAUS",
        "b%c3%bcrgerforum",
        "bürgerforum",
        "cafe\u{301}",
        "東京",
        "עברית",
        "a!#$%()*+,-.;=?[\\]^_`{|}~",
        "ａｂ",
        "x[y]",
    ];
    let refused = [
        "[town]room",
        "[]x",
        "[x",
        "［town］x",
        "\u{feff}",
        "a\u{200b}b",
        "a\u{202e}b",
        "a b",
        "a\u{a0}b",
        "a\u{3000}b",
        "a\"b",
        "a&b",
        "a'b",
        "a:b",
        "a<b",
        "a>b",
        "a@b",
        "a＠b",
        "a／b",
        "👨‍👩‍👧",
        "a²",
        "ﬁ",
        "a\u{e000}b",
        "a\u{ffff}",
        "a\u{1}b",
        "a\tb",
        "a\u{85}b",
    ];
    let mut all: Vec<(String, bool)> = taken.iter().map(|n| ((*n).to_owned(), true)).collect();
    all.extend(refused.iter().map(|n| ((*n).to_owned(), false)));
    // With its tenant's six bytes it has to fit as well.
    all.extend([("r".repeat(1017), true), ("r".repeat(1018), false), ("ü".repeat(600), false)]);
    all
}

/// Resources: nicks in a room; whether they are an address's.
pub fn nicks() -> Vec<(String, bool)> {
    let taken = [
        "a1b2c3d4",
        "Anna",
        "Anna B.",
        "a@b/c",
        "[x]",
        "\"'&<>",
        "Jose\u{301}",
        "東京",
        "☃",
        "²",
        " x ",
        "%20",
        "אנה",
    ];
    let refused = ["", "a\u{7}", "a\u{200b}", "\u{feff}", "a\u{ffff}", "a\u{85}b", "a\nb"];
    let mut all: Vec<(String, bool)> = taken.iter().map(|n| ((*n).to_owned(), true)).collect();
    all.extend(refused.iter().map(|n| ((*n).to_owned(), false)));
    all.extend([("n".repeat(1023), true), ("n".repeat(1024), false)]);
    all
}

/// Display names: texts, of which none is refused and none is changed.
pub fn display_names() -> Vec<String> {
    let mut all: Vec<String> = [
        "Anna",
        "Anna <b>B.</b>",
        "\"'&<>",
        "Jose\u{301}",
        "José",
        "👨‍👩‍👧",
        "עברית 123",
        "a\u{202e}b",
        "\u{feff}",
        "\u{200b}",
        "]]>",
        "&amp;",
        "  x  ",
        "a\tb\nc",
        "²µ",
        "\u{e000}",
        "\u{10ffff}\u{1f3e0}",
        "%3Cscript%3E",
        "[town]room@muc.meet.jitsi",
    ]
    .map(str::to_owned)
    .to_vec();
    all.push("ü".repeat(5000));
    all
}
