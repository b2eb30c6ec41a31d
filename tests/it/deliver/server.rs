//! A server that gives scripted answers.

use super::*;

pub(super) const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";

/// What the server got.
pub(super) struct Request {
    pub(super) head: String,
    pub(super) body: String,
}

/// A server on loopback that answers one request a connection.
pub(super) struct Server {
    pub(super) port: u16,
    pub(super) requests: mpsc::Receiver<Request>,
}

impl Server {
    /// Answers with these texts, one after the other, and not at all then.
    pub(super) fn start(answers: Vec<String>) -> Self {
        let mut answers = answers.into_iter();
        Self::answering(move |_| answers.next())
    }

    /// Answers by the body: 204, or a status whose message says it.
    pub(super) fn judging(judge: fn(&str) -> u16) -> Self {
        Self::answering(move |body| {
            let status = judge(body);
            let said = answer(status, &format!(r#"{{"message":"said {status}"}}"#));
            Some(if status == 204 { NO_CONTENT.to_owned() } else { said })
        })
    }

    pub(super) fn answering(mut respond: impl FnMut(&str) -> Option<String> + Send + 'static) -> Self {
        Self::asked(move |request| respond(&request.body))
    }

    /// Answers by the whole request; with [`HANG`] not at all, while the connection stays.
    pub(super) fn asked(mut respond: impl FnMut(&Request) -> Option<String> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, requests) = mpsc::channel();
        thread::spawn(move || {
            let mut hanging = Vec::new();
            while let Ok((mut stream, _)) = listener.accept() {
                let request = read_request(&stream);
                let Some(answer) = respond(&request) else { return };
                let _ = sender.send(request);
                if answer == HANG {
                    hanging.push(stream);
                    continue;
                }
                let _ = stream.write_all(answer.replacen("\r\n", "\r\nconnection: close\r\n", 1).as_bytes());
            }
        });
        Self { port, requests }
    }

    pub(super) fn config(&self) -> config::InfluxDb {
        config(self.port)
    }
}

fn read_request(stream: &TcpStream) -> Request {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut packed = vec![0; length];
    reader.read_exact(&mut packed).unwrap();
    let mut body = String::new();
    if head.lines().next().unwrap().contains("/api/v2/write?") {
        assert!(head.contains("content-encoding: gzip"), "{head}");
        GzDecoder::new(&packed[..]).read_to_string(&mut body).unwrap();
    } else {
        body = String::from_utf8(packed).unwrap();
    }
    Request { head, body }
}

/// In place of an answer: none, for ever.
pub(super) const HANG: &str = "hang";

pub(super) fn answer(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}
