use super::*;

fn variables() -> Variables {
    [
        ("subdomain", "stadt-a."),
        ("subdir", "stadt-a/"),
        ("prefix", "stadt-a"),
        ("http_host", "meet.example"),
        ("empty", ""),
    ]
    .into_iter()
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .collect()
}

fn page(text: &str) -> String {
    render(text, "/index.html", variables(), &|path| match path {
        "/title.html" => Some("<title>Rathaus</title>".into()),
        "/config.js" => Some("var config = { s: '<!--# echo var=\"subdomain\" default=\"\" -->' };".into()),
        "/self.html" => Some("x<!--#include virtual=\"self.html\" -->".into()),
        "/static/inner.html" => Some("<!--#include virtual=\"part.html\" -->".into()),
        "/static/part.html" => Some("part".into()),
        "/many.html" => Some("m".repeat(70_000)),
        _ => None,
    })
}

#[test]
fn pages_as_the_stock_app_writes_them() {
    let text = "<head><!--#include virtual=\"title.html\" -->\n<script><!--#include virtual=\"/config.js\" --></script>\
                <!-- a comment --><!--#include virtual=\"plugin.head.html\" --></head>";
    assert_eq!(
        page(text),
        "<head><title>Rathaus</title>\n<script>var config = { s: 'stadt-a.' };</script><!-- a comment --></head>"
    );
}

#[test]
fn echo_with_default_and_encodings() {
    let with = |v: &str| {
        let mut vars = variables();
        vars.insert("x".into(), v.into());
        move |t: &str| render(t, "/", vars.clone(), &|_| None)
    };
    assert_eq!(
        page(
            "<!--# echo var=\"nothing\" default=\"d\" -->|<!--#echo var='nothing' default='' -->|<!--#echo var=\"nothing\"-->"
        ),
        "d||(none)"
    );
    let x = with("a<b>&\"'ü/ ");
    assert_eq!(x("<!--#echo var=\"x\" -->"), "a&lt;b&gt;&amp;&quot;&#39;ü/ ");
    assert_eq!(x("<!--#echo var=\"x\" encoding=\"url\" -->"), "a%3Cb%3E%26%22%27%C3%BC/%20");
    assert_eq!(x("<!--#echo var=\"x\" encoding=\"none\" -->"), "a<b>&\"'ü/ ");
}

#[test]
fn conditions_also_nested_and_with_patterns() {
    for (text, want) in [
        ("<!--#if expr=\"$subdomain\" -->yes<!--#else -->no<!--#endif -->", "yes"),
        ("<!--#if expr=\"$empty\" -->yes<!--#else -->no<!--#endif -->", "no"),
        (
            "<!--#if expr=\"$prefix = stadt-b\" -->b<!--#elif expr=\"$prefix = stadt-a\" -->a<!--#else -->?<!--#endif -->",
            "a",
        ),
        ("<!--#if expr=\"$prefix != stadt-a\" -->x<!--#endif -->y", "y"),
        ("<!--#if expr=\"$http_host = /^meet\\.ex.*e$/\" -->host<!--#endif -->", "host"),
        ("<!--#if expr=\"$http_host = /^example/\" -->host<!--#endif -->", ""),
        (
            "<!--#if expr=\"$empty\" -->a<!--#if expr=\"$prefix\" -->b<!--#endif -->c<!--#else -->d<!--#endif -->e",
            "de",
        ),
        (
            "<!--#if expr=\"$prefix\" -->a<!--#if expr=\"$empty\" -->b<!--#else -->c<!--#endif -->d<!--#endif -->",
            "acd",
        ),
    ] {
        assert_eq!(page(text), want, "{text}");
    }
}

#[test]
fn set_expands_variables_and_includes_use_them() {
    assert_eq!(
        page("<!--#set var=\"name\" value=\"${prefix}.title\" --><!--#echo var=\"name\" -->"),
        "stadt-a.title"
    );
    assert_eq!(
        page("<!--#set var=\"what\" value=\"title\" --><!--#include virtual=\"/$what.html\" -->"),
        "<title>Rathaus</title>"
    );
}

#[test]
fn includes_are_relative_to_their_page_and_cannot_leave_the_root() {
    assert_eq!(page("<!--#include virtual=\"/static/inner.html\" -->"), "part");
    assert_eq!(page("<!--#include virtual=\"title.html?v=1\" -->"), "<title>Rathaus</title>");
    let asked = std::cell::RefCell::new(Vec::new());
    let text = "<!--#include virtual=\"../../etc/passwd\" --><!--#include file=\"/../etc/passwd\" --><!--#include virtual=\"/a/../b\" -->";
    render(text, "/index.html", variables(), &|p| {
        asked.borrow_mut().push(p.to_owned());
        None
    });
    assert_eq!(*asked.borrow(), ["/b"]);
}

#[test]
fn a_block_stands_in_for_a_missing_include() {
    let text =
        "<!--#block name=\"b\" -->instead<!--#endblock -->[<!--#include virtual=\"/nothing\" stub=\"b\" -->]";
    assert_eq!(page(text), "[instead]");
}

#[test]
fn what_is_no_directive_stays_or_is_an_error_sentence_and_nothing_is_lost() {
    assert_eq!(page("a<!-- # no -->b<!--#"), "a<!-- # no -->b<!--#");
    assert_eq!(page("a<!--#!! -->b"), format!("a{ERROR}b"));
    assert_eq!(page("a<!--#exec cmd=\"id\" -->b"), format!("a{ERROR}b"));
    assert_eq!(page("<!--#config errmsg=\"\" --><!--#exec cmd=\"id\" -->"), "");
    assert_eq!(page("<!--#echo var=\"prefix -->rest"), format!("{ERROR}rest"));
    assert_eq!(page("<!--#endif --><!--#else -->ü"), "ü");
}

#[test]
fn a_page_that_includes_itself_ends_at_the_depth_limit() {
    assert_eq!(page("<!--#include virtual=\"self.html\" -->"), "x".repeat(limits::SSI_DEPTH));
}

#[test]
fn includes_and_output_stop_at_their_limits() {
    let many = "<!--#include virtual=\"static/part.html\" -->";
    assert_eq!(page(&many.repeat(limits::SSI_INCLUDES)).len(), 4 * limits::SSI_INCLUDES);
    assert_eq!(page(&many.repeat(limits::SSI_INCLUDES + 1)).len(), 4 * limits::SSI_INCLUDES);
    let large = page(&"<!--#include virtual=\"many.html\" -->".repeat(60));
    assert!(large.len() <= limits::SSI_OUTPUT, "{}", large.len());
    let at = "<!--#set var=\"v\" value=\"$v$v$vx\" -->".repeat(20)
        + "<!--#set var=\"v\" value=\"ab\" -->"
        + &"<!--#set var=\"v\" value=\"$v$v\" -->".repeat(40)
        + "<!--#echo var=\"v\" -->";
    assert_eq!(page(&at).len(), limits::SSI_VALUE);
}

#[test]
fn variables_stop_at_their_limit() {
    let set = |n: usize| (0..n).map(|i| format!("<!--#set var=\"n{i}\" value=\"1\" -->")).collect::<String>();
    let room = limits::SSI_VARIABLES - variables().len();
    let last = format!("<!--#echo var=\"n{}\" default=\"\" -->", room - 1);
    let beyond = format!("<!--#echo var=\"n{room}\" default=\"\" -->");
    assert_eq!(page(&(set(room + 1) + &last + &beyond)), "1");
}
