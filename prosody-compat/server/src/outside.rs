//! Questions to services that the admin has named: what a module of the server asks in; the answer, or that there was none
//! in time, out, as one more input of the server.
//!
//! Nothing is asked that no option names; the server bounds how many questions are open.

use axum::body::{Body, to_bytes};
use http::{Request, Uri, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jitsi_xmpp::Sensitive;
use prosody_core::{Answer, Question, QuestionId};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time;

use crate::limits;
use crate::owner::Input;

/// Why there is no answer. Blame: the service, or whoever named it; the server goes on without.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error("the address is no http:// one")]
    Address,
    #[error("connecting failed: {0}")]
    Connect(#[from] std::io::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("the question is no request: {0}")]
    Request(#[from] http::Error),
    #[error("the answer is too long, or broke off")]
    Body(#[from] axum::Error),
    #[error("not in time")]
    Late,
}

/// Asks, and hands the answer to the server.
pub(crate) fn ask(inputs: mpsc::Sender<Input>, id: QuestionId, question: Question) {
    tokio::spawn(async move {
        let asked = time::timeout(question.deadline, over_http(&question));
        let answer = asked.await.unwrap_or(Err(NoAnswer::Late)).unwrap_or_else(|error| {
            tracing::warn!(%error, "a service that was asked did not answer");
            if matches!(error, NoAnswer::Late) { Answer::Late } else { Answer::Unreachable }
        });
        // Fails only when the server has stopped.
        let _ = inputs.send(Input::Answer { id, answer }).await;
    });
}

async fn over_http(question: &Question) -> Result<Answer, NoAnswer> {
    let uri: Uri = question.url.reveal().parse().map_err(|_| NoAnswer::Address)?;
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http")).ok_or(NoAnswer::Address)?;
    // An IPv6 address stands in brackets.
    let host = authority.host().trim_matches(['[', ']']);
    let io = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await?;
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    let mut request = Request::builder().method(question.method).uri(path);
    request = request.header(header::HOST, authority.as_str());
    for (name, value) in &question.headers {
        request = request.header(*name, value.reveal());
    }
    let request = request.body(Body::from(question.body.reveal().clone()))?;
    // Ends with the question, whatever becomes of that.
    let mut driver = tokio::task::JoinSet::new();
    driver.spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = to_bytes(Body::new(response.into_body()), limits::ANSWER_BYTES).await?;
    Ok(Answer::Response { status, body: Sensitive::new(body.into()) })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(20);

    /// A service that answers one request with these bytes, and the request as it came.
    async fn service(answer: Vec<u8>) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/rooms?name=a%20b", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let (mut io, _) = listener.accept().await.unwrap();
            let (mut request, mut buffer) = (Vec::new(), [0; 1024]);
            while !request.ends_with(b"hello") {
                let n = io.read(&mut buffer).await.unwrap();
                request.extend_from_slice(&buffer[..n]);
            }
            io.write_all(&answer).await.unwrap();
            String::from_utf8(request).unwrap()
        });
        (url, served)
    }

    async fn answer_to(url: &str) -> Answer {
        let (inputs, mut received) = mpsc::channel(1);
        let question = Question {
            method: "POST",
            url: Sensitive::new(url.to_owned()),
            headers: vec![("authorization", Sensitive::new("Bearer x".to_owned()))],
            body: Sensitive::new(b"hello".to_vec()),
            deadline: DEADLINE,
        };
        ask(inputs, QuestionId(7), question);
        match received.recv().await {
            Some(Input::Answer { id: QuestionId(7), answer }) => answer,
            other => panic!("{other:?}"),
        }
    }

    fn response(length: usize) -> Vec<u8> {
        let body = "x".repeat(length);
        format!("HTTP/1.1 201 Created\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
    }

    #[tokio::test]
    async fn a_question_reaches_the_service_and_its_answer_the_server() {
        let (url, served) = service(response(3)).await;
        let expected = Answer::Response { status: 201, body: Sensitive::new(b"xxx".to_vec()) };
        assert_eq!(answer_to(&url).await, expected);
        let request = served.await.unwrap();
        assert!(request.starts_with("POST /rooms?name=a%20b HTTP/1.1\r\n"), "{request}");
        assert!(
            request.contains("authorization: Bearer x\r\n") && request.contains("host: 127.0.0.1:"),
            "{request}"
        );
    }

    #[tokio::test]
    async fn an_answer_at_the_limit_is_heard_and_a_longer_one_is_none() {
        for (length, heard) in [(limits::ANSWER_BYTES, true), (limits::ANSWER_BYTES + 1, false)] {
            let (url, _served) = service(response(length)).await;
            assert_eq!(answer_to(&url).await != Answer::Unreachable, heard);
        }
    }

    #[tokio::test]
    async fn who_is_not_there_or_speaks_something_else_has_not_answered() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let (odd, _served) = service(b"220 mail.example ESMTP\r\n".to_vec()).await;
        for url in [&format!("http://{closed}/"), &odd, "https://127.0.0.1/", "no address"] {
            assert_eq!(answer_to(url).await, Answer::Unreachable, "{url}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_says_nothing_is_waited_for_as_long_as_the_question_says() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let start = time::Instant::now();
        assert_eq!(answer_to(&url).await, Answer::Late);
        assert_eq!(start.elapsed().as_secs(), DEADLINE.as_secs());
    }
}
