//! A collector for one test: takes requests, answers as it is told, keeps what it was sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::world::PATIENCE;

/// What it was sent: the first line, the headers in lower case, the body.
#[derive(Debug)]
pub struct Request {
    pub line: String,
    pub headers: Vec<String>,
    pub body: String,
}

/// One that listens on this machine.
pub struct Collector {
    pub address: String,
    requests: Receiver<Request>,
}

impl Collector {
    /// Answers every request with `status`.
    pub fn start(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (sender, requests) = channel();
        // Ends with the test's process; it serves whoever comes until then.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let Some(request) = read(&stream) else { continue };
                // Kept before it is answered: whoever has an answer finds its request here.
                if sender.send(request).is_err() {
                    return;
                }
                answer(&stream, status);
            }
        });
        Self { address, requests }
    }

    /// What came so far: all that was answered.
    pub fn received(&self) -> Vec<Request> {
        self.requests.try_iter().collect()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    stream.set_read_timeout(Some(PATIENCE + Duration::from_secs(1))).unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        headers.push(header.trim().to_lowercase());
    }
    let length = headers.iter().find_map(|header| header.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Request { line: line.trim().to_owned(), headers, body: String::from_utf8(body).ok()? })
}

/// One that has gone by then needs no answer.
fn answer(mut stream: &TcpStream, status: &str) {
    let said = "no, thank you";
    let answer =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{said}", said.len());
    let _ = stream.write_all(answer.as_bytes());
}
