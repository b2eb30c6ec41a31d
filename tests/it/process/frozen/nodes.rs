//! Nodes that keep one phase of a transfer open until bandprobe is stopped, and then continue.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::mpsc,
    time::Duration,
};

use rustls::{ServerConnection, StreamOwned};
use socket2::{Domain, SockRef, Socket, Type};

use crate::{
    fault::certificate::{self, Flaw},
    process::until,
};

/// Where a node and the test meet.
pub(super) struct Meeting {
    pub(super) reached: mpsc::Sender<()>,
    pub(super) stopped: mpsc::Receiver<()>,
}

impl Meeting {
    /// The phase is reached; returns when the prober has been stopped.
    pub(super) fn stop_the_prober(&self) {
        self.reached.send(()).unwrap();
        // An error means that the test has failed already.
        let _ = self.stopped.recv();
    }
}

/// A node's part: everything that it does for its first client.
pub(super) type Part = fn(&TcpListener, &Meeting) -> io::Result<()>;

pub(super) const BODY: usize = 100_000;

fn head() -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: image/webp\r\ncontent-length: {BODY}\r\n\r\n")
}

/// A port of 127.0.0.1 where one client is let in at a time.
pub(super) fn listen() -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    socket.into()
}

fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (socket, _) = listener.accept()?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

pub(super) fn read_head(stream: &mut impl Read) -> io::Result<()> {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(())
}

pub(super) fn answer(stream: &mut (impl Read + Write)) -> io::Result<()> {
    stream.write_all(&[head().as_bytes(), &[b'x'; BODY]].concat())?;
    stream.flush()?;
    hold(stream)
}

/// Waits for the client to leave.
fn hold(stream: &mut impl Read) -> io::Result<()> {
    while stream.read(&mut [0; 4_096])? > 0 {}
    Ok(())
}

/// Leaves no room for another connection: clients that have gone wait to be let in.
pub(super) fn fill(listener: &TcpListener) {
    let address = listener.local_addr().unwrap();
    while TcpStream::connect_timeout(&address, Duration::from_millis(300)).is_ok() {}
    // A process that another test starts at this moment holds our sockets for a while.
    until("the last of our own SYNs has gone", || !is_dialled(listener));
}

/// Does anybody wait to be connected? In proc(5) the remote address is in hexadecimal, then comes the state: 02 is SYN_SENT.
fn is_dialled(listener: &TcpListener) -> bool {
    let dialled = format!(" 0100007F:{:04X} 02 ", listener.local_addr().unwrap().port());
    std::fs::read_to_string("/proc/net/tcp").unwrap().contains(&dialled)
}

/// There is no room ([`fill`]) until the prober is frozen. The system repeats its SYN after a second.
pub(super) fn connect(listener: &TcpListener, meeting: &Meeting) -> io::Result<()> {
    until("a SYN of the prober", || is_dialled(listener));
    meeting.stop_the_prober();
    loop {
        let mut socket = accept(listener)?;
        if read_head(&mut socket).is_ok() {
            return answer(&mut socket);
        }
    }
}

/// A client hello without an answer.
pub(super) fn tls(listener: &TcpListener, meeting: &Meeting) -> io::Result<()> {
    let socket = accept(listener)?;
    socket.peek(&mut [0])?;
    meeting.stop_the_prober();
    let tls = ServerConnection::new(certificate::server(Flaw::None, &[b"http/1.1"])).unwrap();
    serve(&mut StreamOwned::new(tls, socket))
}

fn serve(stream: &mut (impl Read + Write)) -> io::Result<()> {
    read_head(stream)?;
    answer(stream)
}

/// A request without an answer.
pub(super) fn wait(listener: &TcpListener, meeting: &Meeting) -> io::Result<()> {
    let mut socket = accept(listener)?;
    read_head(&mut socket)?;
    meeting.stop_the_prober();
    answer(&mut socket)
}

/// Half a body.
fn half(listener: &TcpListener, meeting: &Meeting) -> io::Result<TcpStream> {
    let mut socket = accept(listener)?;
    read_head(&mut socket)?;
    socket.write_all(&[head().as_bytes(), &[b'x'; BODY / 2]].concat())?;
    // Time to read it. Where it does not suffice, the prober is stopped in `wait`, and the same has to hold.
    std::thread::sleep(Duration::from_millis(300));
    meeting.stop_the_prober();
    Ok(socket)
}

/// The other half arrives while the prober is frozen.
pub(super) fn receive(listener: &TcpListener, meeting: &Meeting) -> io::Result<()> {
    let mut socket = half(listener, meeting)?;
    socket.write_all(&[b'x'; BODY - BODY / 2])?;
    hold(&mut socket)
}

/// The other half arrives in pieces, some of them after the freeze.
pub(super) fn trickle(listener: &TcpListener, meeting: &Meeting) -> io::Result<()> {
    let mut socket = half(listener, meeting)?;
    for piece in [b'x'; BODY - BODY / 2].chunks(BODY / 20) {
        socket.write_all(piece)?;
        std::thread::sleep(Duration::from_millis(900));
    }
    hold(&mut socket)
}

/// The other half never arrives.
pub(super) fn silent_body(listener: &TcpListener, meeting: &Meeting) -> io::Result<()> {
    hold(&mut half(listener, meeting)?)
}

/// No answer ever arrives.
pub(super) fn silent_head(listener: &TcpListener, meeting: &Meeting) -> io::Result<()> {
    let mut socket = accept(listener)?;
    read_head(&mut socket)?;
    meeting.stop_the_prober();
    hold(&mut socket)
}

/// The node gives up on a client that does not read.
pub(super) fn gives_up_on_body(listener: &TcpListener, meeting: &Meeting) -> io::Result<()> {
    drop(half(listener, meeting)?);
    Ok(())
}

/// The same by a reset, which discards what lies in the socket.
pub(super) fn resets(listener: &TcpListener, meeting: &Meeting) -> io::Result<()> {
    let mut socket = accept(listener)?;
    read_head(&mut socket)?;
    meeting.stop_the_prober();
    SockRef::from(&socket).set_linger(Some(Duration::ZERO))
}

/// The node gives up on a client that does not go on with its handshake.
pub(super) fn gives_up_on_tls(listener: &TcpListener, meeting: &Meeting) -> io::Result<()> {
    let socket = accept(listener)?;
    socket.peek(&mut [0])?;
    meeting.stop_the_prober();
    SockRef::from(&socket).set_linger(Some(Duration::ZERO))
}

/// The node says that the request came too late.
pub(super) fn request_timeout(listener: &TcpListener, meeting: &Meeting) -> io::Result<()> {
    says(listener, meeting, "408 Request Timeout")
}

/// The node's own answer, of which the freeze changes nothing.
pub(super) fn not_found(listener: &TcpListener, meeting: &Meeting) -> io::Result<()> {
    says(listener, meeting, "404 Not Found")
}

fn says(listener: &TcpListener, meeting: &Meeting, status: &str) -> io::Result<()> {
    let mut socket = accept(listener)?;
    read_head(&mut socket)?;
    meeting.stop_the_prober();
    write!(socket, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")?;
    hold(&mut socket)
}

/// A name server that answers each IPv4 question with 127.0.0.1, the first one while the prober is frozen.
pub(super) fn names(socket: &UdpSocket, meeting: &Meeting) -> io::Result<()> {
    let mut met = false;
    let mut query = [0; 512];
    loop {
        let (length, client) = socket.recv_from(&mut query)?;
        if !std::mem::replace(&mut met, true) {
            meeting.stop_the_prober();
        }
        // RFC 1035 §4.1: the header, the question as it came, and one answer whose name is a pointer to it.
        let end = 12 + query[12..length].iter().position(|byte| *byte == 0).unwrap() + 5;
        let header = [&query[..2], &[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]].concat();
        let record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1];
        socket.send_to(&[&header, &query[12..end], &record].concat(), client)?;
    }
}
