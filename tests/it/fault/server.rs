//! The scripted server: one thread for the port, and one for each connection, which follows its script.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rustls::{ServerConnection, StreamOwned};
use socket2::SockRef;
use tokio::sync::mpsc;

use super::certificate::{self, Flaw};

/// How long a thread waits for a client that neither sends nor leaves.
pub(crate) const HOLD: Duration = Duration::from_secs(20);

/// The longest request head, in bytes.
const MAX_HEAD: usize = 64 << 10;
/// The most that an endless answer sends, in bytes.
pub(crate) const ENDLESS: usize = 1 << 30;

/// A behaviour: what the port is, and what each connection to it meets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behaviour {
    pub(crate) port: Port,
    /// The script of the n-th connection, from 0. After its last step the server waits for the client to leave.
    pub(crate) script: fn(usize) -> Vec<Step>,
}

/// What listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// Nothing.
    Refused,
    /// Plain TCP, `http`.
    Http,
    /// TLS with `http/1.1` by ALPN, `https`.
    Https(Flaw),
    /// TLS that chooses no protocol, `https`.
    HttpsWithoutAlpn,
    /// TLS with `h2` by ALPN, `https`.
    Http2,
    /// Plain TCP where the URL says `https`: the script has the socket itself.
    PlainBehindHttps,
}

/// One thing that a server does.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Reads one request head and keeps it.
    Request,
    /// Reads whatever arrives first.
    Anything,
    /// Reads HTTP/2's preface, and frames up to the end of the first HEADERS frame (RFC 9113 §3.4, §6.2).
    Http2Request,
    /// The same without the preface: a further request on the connection.
    Http2Head,
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends these bytes below TLS.
    Raw(Vec<u8>),
    /// Sends these bytes one at a time, so far apart.
    Drip(Vec<u8>, Duration),
    /// Sends these bytes over and over until the client leaves.
    Endless(Vec<u8>),
    /// Waits.
    Pause(Duration),
    /// Waits for the client to leave.
    Hold,
    /// Ends the connection with FIN.
    Close,
    /// Ends the connection with RST.
    Reset,
}

/// A running server. Dropping it closes the port.
pub(crate) struct FaultServer {
    address: SocketAddr,
    scheme: &'static str,
    heads: Arc<Mutex<Vec<String>>>,
    accepted: Arc<AtomicUsize>,
    left: mpsc::UnboundedReceiver<bool>,
    stop: Arc<AtomicBool>,
}

impl FaultServer {
    /// Listens on a port of 127.0.0.1 that the system picks.
    pub(crate) fn start(behaviour: Behaviour) -> Self {
        Self::playing((Ipv4Addr::LOCALHOST, 0).into(), behaviour, usize::MAX)
    }

    /// Listens at that address.
    pub(crate) fn start_at(address: SocketAddr, behaviour: Behaviour) -> Self {
        Self::playing(address, behaviour, usize::MAX)
    }

    /// The same for the first connection only; later ones get no answer.
    pub(crate) fn start_once(behaviour: Behaviour) -> Self {
        Self::playing((Ipv4Addr::LOCALHOST, 0).into(), behaviour, 1)
    }

    fn playing(address: SocketAddr, behaviour: Behaviour, connections: usize) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let tls = match behaviour.port {
            Port::Https(flaw) => Some(certificate::server(flaw, &[b"http/1.1"])),
            Port::HttpsWithoutAlpn => Some(certificate::server(Flaw::None, &[])),
            Port::Http2 => Some(certificate::server(Flaw::None, &[b"h2"])),
            Port::Refused | Port::Http | Port::PlainBehindHttps => None,
        };
        let scheme = if matches!(behaviour.port, Port::Refused | Port::Http) { "http" } else { "https" };
        let heads = Arc::new(Mutex::new(vec![]));
        let stop = Arc::new(AtomicBool::new(false));
        let accepted = Arc::new(AtomicUsize::new(0));
        let (report, left) = mpsc::unbounded_channel();
        let server = Self {
            address,
            scheme,
            heads: Arc::clone(&heads),
            accepted: Arc::clone(&accepted),
            left,
            stop: Arc::clone(&stop),
        };
        if behaviour.port == Port::Refused {
            return server;
        }
        thread::spawn(move || {
            for (index, socket) in listener.incoming().flatten().enumerate() {
                if stop.load(Ordering::Acquire) {
                    return;
                }
                accepted.fetch_add(1, Ordering::AcqRel);
                let script = if index < connections { (behaviour.script)(index) } else { vec![Step::Hold] };
                let heads = Arc::clone(&heads);
                let tls = tls.clone().map(|config| ServerConnection::new(config).unwrap());
                let report = report.clone();
                thread::spawn(move || {
                    let mut connection = Connection::new(socket, tls, heads).unwrap();
                    // An error means that the client left in mid-script, which is its right.
                    let _ = connection.play(script);
                    // The client may already be gone.
                    let _ = report.send(connection.is_left());
                });
            }
        });
        server
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A URL on the server; no script looks at its path.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}/distributor/api/v1/assets/1343", self.scheme, self.address)
    }

    /// How many connections were accepted.
    pub(crate) fn connections(&self) -> usize {
        self.accepted.load(Ordering::Acquire)
    }

    /// Did the client end each connection, within [`HOLD`] after its script?
    pub(crate) async fn is_left(&mut self) -> bool {
        for _ in 0..self.connections() {
            if self.left.recv().await != Some(true) {
                return false;
            }
        }
        true
    }

    /// Waits, without a runtime, until this many connections have ended: did the client end each, within [`HOLD`] after
    /// its script?
    pub(crate) fn is_left_by(&mut self, connections: usize) -> bool {
        (0..connections).all(|_| self.left.blocking_recv() == Some(true))
    }

    /// The request heads that came, in order, verbatim (HTTP/1 only).
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
    }
}

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

struct Connection {
    stream: Box<dyn Stream>,
    socket: TcpStream,
    heads: Arc<Mutex<Vec<String>>>,
    /// Ended by RST, on drop.
    reset: bool,
}

impl Connection {
    fn new(socket: TcpStream, tls: Option<ServerConnection>, heads: Arc<Mutex<Vec<String>>>) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(HOLD))?;
        socket.set_write_timeout(Some(HOLD))?;
        let own = socket.try_clone()?;
        let stream: Box<dyn Stream> = match tls {
            Some(tls) => Box::new(StreamOwned::new(tls, own)),
            None => Box::new(own),
        };
        Ok(Self { stream, socket, heads, reset: false })
    }

    fn play(&mut self, script: Vec<Step>) -> io::Result<()> {
        for step in script {
            match step {
                Step::Request => self.request()?,
                Step::Anything => drop(self.stream.read(&mut vec![0; MAX_HEAD])?),
                Step::Http2Request => {
                    self.stream.read_exact(&mut [0; 24])?;
                    self.http2_head()?;
                }
                Step::Http2Head => self.http2_head()?,
                Step::Send(bytes) => self.send(&bytes)?,
                Step::Raw(bytes) => self.socket.write_all(&bytes)?,
                Step::Drip(bytes, every) => {
                    for byte in bytes {
                        self.send(&[byte])?;
                        thread::sleep(every);
                    }
                }
                Step::Endless(bytes) => {
                    for _ in 0..ENDLESS / bytes.len() {
                        self.send(&bytes)?;
                    }
                }
                Step::Pause(time) => thread::sleep(time),
                Step::Hold => self.hold()?,
                Step::Close => return self.socket.shutdown(Shutdown::Write),
                Step::Reset => {
                    // A socket that lingers for no time is closed with RST when both handles are dropped.
                    self.reset = true;
                    return SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
                }
            }
        }
        self.hold()
    }

    /// Reads the socket itself until the client has ended it.
    fn is_left(&mut self) -> bool {
        let mut rest = vec![0; MAX_HEAD];
        while !self.reset {
            match self.socket.read(&mut rest) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
            }
        }
        true
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    fn hold(&mut self) -> io::Result<()> {
        let mut rest = vec![0; MAX_HEAD];
        while self.stream.read(&mut rest)? > 0 {}
        Ok(())
    }

    fn request(&mut self) -> io::Result<()> {
        let mut head = vec![];
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_HEAD {
            self.stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        self.heads.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
        Ok(())
    }

    fn http2_head(&mut self) -> io::Result<()> {
        const HEADERS: u8 = 1;
        loop {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head)?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            self.stream.read_exact(&mut vec![0; length])?;
            if head[3] == HEADERS {
                return Ok(());
            }
        }
    }
}
