//! What we take, every client can parse: documents in, ours and expat's opinion (Firefox's parser, here Python's) out.

use std::io::Write;
use std::process::{Command, Stdio};

use jitsi_xmpp::xml::{self, Element};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

/// One document per line, as hexadecimal digits; one line per document: `1` if it is XML with namespaces.
const EXPAT: &str = "
import sys, xml.parsers.expat as x
for line in sys.stdin:
    p = x.ParserCreate('utf-8', ' ')
    try:
        p.Parse(bytes.fromhex(line), True)
        print('1')
    except x.ExpatError:
        print('0')
";

/// Expat's opinion of each document.
fn expat(documents: &[String]) -> Vec<bool> {
    let mut python = Command::new("python3")
        .args(["-c", EXPAT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is missing: `cargo xtask test` installs it");
    let mut stdin = python.stdin.take().unwrap();
    let lines: String =
        documents.iter().map(|d| d.bytes().map(|b| format!("{b:02x}")).collect::<String>() + "\n").collect();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
    let out = python.wait_with_output().unwrap();
    writer.join().unwrap();
    let verdicts: Vec<bool> = String::from_utf8(out.stdout).unwrap().lines().map(|l| l == "1").collect();
    assert_eq!(verdicts.len(), documents.len());
    verdicts
}

/// What we take of these, as it came and as we write it on: alone, and the children without what stands around them.
fn taken(documents: &[String]) -> Vec<String> {
    let mut out = Vec::new();
    for d in documents {
        if let Ok(e) = xml::parse(d.as_bytes()) {
            out.push(e.to_xml());
            out.extend(e.children().map(Element::to_xml));
            out.push(d.clone());
        }
    }
    out
}

fn assert_taken(documents: &[String]) {
    let taken = taken(documents);
    for (d, ok) in taken.iter().zip(expat(&taken)) {
        assert!(ok, "expat refuses {d:?}");
    }
}

/// XML 1.0, fifth edition, §2.3: what libxml2 has.
fn fifth_edition(c: char, first: bool) -> bool {
    let start = matches!(c, 'A'..='Z' | '_' | 'a'..='z' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}'
        | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}' | '\u{200c}' | '\u{200d}' | '\u{2070}'..='\u{218f}'
        | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}'
        | '\u{10000}'..='\u{effff}');
    let more =
        matches!(c, '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}' | '\u{2040}');
    start || !first && more
}

/// Every code point of 16 bits and a part of those beyond, in every place: `<a²/>` and `<µ/>` in a presence made a
/// participant that browsers did not see.
#[test]
fn every_character_in_every_place() {
    let beyond = (0x1_0000..=0x10_ffff).step_by(61).chain([0x1_fffe, 0x1_ffff, 0x10_ffff]);
    let chars: Vec<char> = (0..0x1_0000).chain(beyond).filter_map(char::from_u32).collect();
    let places: [fn(char) -> String; 10] = [
        |c| format!("<{c}/>"),
        |c| format!("<a{c}/>"),
        |c| format!("<a {c}='1'/>"),
        |c| format!("<a b{c}='1'/>"),
        |c| format!("<a b='{c}'/>"),
        |c| format!("<a>{c}</a>"),
        |c| format!("<a>&#{};</a>", u32::from(c)),
        |c| format!("<a b='&#x{:x};'/>", u32::from(c)),
        |c| format!("<a xmlns='urn:{c}'/>"),
        |c| format!("{c}<a/>{c}"),
    ];
    let name_places = 4;
    for (at, place) in places.iter().enumerate() {
        let documents: Vec<String> = chars.iter().map(|c| place(*c)).collect();
        assert_taken(&documents);
        if at < name_places {
            // Not more than that is refused.
            for ((c, d), ok) in chars.iter().zip(&documents).zip(expat(&documents)) {
                if ok && fifth_edition(*c, at % 2 == 0) {
                    assert!(xml::parse(d.as_bytes()).is_ok(), "{d:?}");
                }
            }
        }
    }
    for class in
        ["<a²/>", "<µ/>", "<a\u{10000}/>", "<a\u{1}/>", "<a>\u{1}</a>", "<a>\u{ffff}</a>", "<a>&#1;</a>"]
    {
        assert!(xml::parse(class.as_bytes()).is_err(), "{class:?}");
    }
}

#[test]
fn what_looks_like_xml_to_us_alone_is_refused() {
    let bad = [
        "<a b='<'/>",
        "<a b='1'c='2'/>",
        "<a>]]></a>",
        "<a b:c='1'/>",
        "<a:b:c xmlns:a='x'/>",
        "<a :b='1'/>",
        "<a b:='1'/>",
        "<a xmlns:b=''/>",
        "<a xmlns:b='x' xmlns:c='x' b:d='1' c:d='2'/>",
        "<a b='1' b='2'/>",
        "<xmlns:a xmlns:xmlns='x'/>",
        "<a xmlns:xml='x'/>",
        "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
        "<a xmlns='http://www.w3.org/XML/1998/namespace'/>",
        " <?xml version='1.0'?><a/>",
        "<?xml version='1.0'?><?xml version='1.0'?><a/>",
        "<?xml encoding='utf-16'?><a/>",
        "<a>&#x+41;</a>",
        "<a>&#X41;</a>",
        "<a>&#xD800;</a>",
        "<a>&#1114112;</a>",
        "<a b='&#0;'/>",
        "&#32;<a/>",
        "<![CDATA[ ]]><a/>",
        "<a/><![CDATA[ ]]>",
        "<a/>&#32;",
        "<a></a b>",
        "< a/>",
        "<a / >",
        "<a b/>",
        "<a b=c/>",
    ]
    .map(str::to_owned);
    for (d, ok) in bad.iter().zip(expat(&bad)) {
        assert!(xml::parse(d.as_bytes()).is_err(), "{d}");
        assert!(!ok, "expat takes {d}");
    }
}

/// Prefixes are not written, and without its own this is no XML; later versions have other rules for characters.
#[test]
fn what_cannot_be_written_on_is_refused() {
    for d in ["<xml:a/>", "<?xml version='1.1'?><a/>", "<a xmlns='x y'/>"] {
        assert!(xml::parse(d.as_bytes()).is_err(), "{d}");
    }
}

/// An attribute whose prefix is declared further out was passed on without the declaration.
#[test]
fn prefixes_go_along_when_the_elements_around_are_replaced() {
    let e = xml::parse(b"<presence xmlns:p='urn:p'><x p:y='1'/></presence>").unwrap();
    let x = e.children().next().unwrap().to_xml();
    assert!(x.contains("xmlns:p=\"urn:p\""), "{x}");
    assert_taken(&["<a xmlns:p='urn:p'><b p:y='1' p:z='2'><c xmlns:p='urn:q' p:y='1'/></b></a>".to_owned()]);
}

/// Pieces of XML in any order.
#[test]
fn whatever_we_take_of_arbitrary_pieces_expat_takes() {
    let piece = prop_oneof![
        4 => "<[a-cé²µ:]{1,3}( [a-c:]{1,3}=['\"][a-c<>&;#0-9 ]{0,4}['\"]){0,2} ?/?>",
        4 => "</[a-c:]{1,2} ?>",
        2 => "<(a|b|p:a)( xmlns(:p|:q)?='(x|y|urn:x|)')?( (p:|q:|)[ab]='1'){0,2}/?>",
        2 => prop_oneof![Just("<a>"), Just("</a>"), Just("<p:a xmlns:p='x'>"), Just("</p:a>")].prop_map(str::to_owned),
        2 => "[ a-c\t\r\n>\\]\u{1}\u{85}\u{a0}\u{feff}\u{fffe}]{1,4}",
        1 => "&(amp|lt|x|#x?[0-9a-f]{0,6});",
        1 => "<!\\[CDATA\\[[a-c\\]>&<]{0,4}\\]\\]>",
        1 => "<(!--|\\?xml version='1.0'\\?>|!DOCTYPE a>|\\?a\\?>)",
    ];
    let documents = (any::<bool>(), vec(piece, 1..5)).prop_map(|(inside, pieces)| {
        let pieces = pieces.concat();
        if inside { format!("<a xmlns:p='urn:p'>{pieces}</a>") } else { pieces }
    });
    let mut runner = TestRunner::new(Config::default());
    let documents: Vec<String> =
        (0..30_000).map(|_| documents.new_tree(&mut runner).unwrap().current()).collect();
    let taken = documents.iter().filter(|d| xml::parse(d.as_bytes()).is_ok()).count();
    assert!(taken > 1_000, "{taken} of them are something to look at");
    assert_taken(&documents);
}
