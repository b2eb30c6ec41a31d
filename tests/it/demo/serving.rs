//! TLS, hostile request heads, and many clients.

use super::*;

async fn tls(demo: &DemoNodes, alpn: &[&[u8]]) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(demo.ca_pem().as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let socket = TcpStream::connect(address(&demo.nodes()[0])).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("127.0.0.1").unwrap(), socket).await
}

#[tokio::test]
async fn the_tls_node_speaks_both_http_versions() {
    let demo = DemoNodes::start(vec![NodePlan::standard().remove(0)]).await.unwrap();
    let mut stream = tls(&demo, &[b"http/1.1"]).await.unwrap();
    let request = format!("GET {} HTTP/1.1\r\nhost: demo\r\nconnection: close\r\n\r\n", asset(IMAGE_ID));
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = vec![];
    stream.read_to_end(&mut bytes).await.unwrap();
    let head = String::from_utf8_lossy(&bytes[..400]).to_lowercase();
    assert!(
        head.starts_with("http/1.1 200") && head.contains("server: caddy") && !head.contains("keep-alive"),
        "{head}"
    );
    assert!(bytes.ends_with(&samples::image(1343)));

    let stream = tls(&demo, &[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut tasks = JoinSet::new();
    let io = TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tasks.spawn(connection);
    let url = demo.nodes()[0].asset_url(&demo.nodes()[0].assets[1]);
    let request = http::Request::get(url.as_str()).header("range", "bytes=1000000-1999999").body(Empty::<&[u8]>::new());
    let response = sender.send_request(request.unwrap()).await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["x-cache"].to_str().unwrap()), (206, "hit"));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body[..] == samples::video(1343)[1_000_000..2_000_000]);
}

#[tokio::test]
async fn an_oversized_head_is_refused_and_the_node_goes_on() {
    let demo = DemoNodes::start(vec![plan(Behaviour::Sound)]).await.unwrap();
    let node = &demo.nodes()[0];
    let reply = ask(node, "GET", &asset(&"1".repeat(24 << 10)), None).await;
    assert!(matches!(reply.status, 414 | 431), "{}", reply.status);
    assert_eq!(ask(node, "GET", &asset(IMAGE_ID), None).await.status, 200);
}

#[tokio::test]
async fn more_clients_than_places_are_all_served() {
    let demo = DemoNodes::start(vec![plan(Behaviour::Sound)]).await.unwrap();
    let mut clients = JoinSet::new();
    for _ in 0..200 {
        let node = demo.nodes().remove(0);
        clients.spawn(async move { ask(&node, "GET", &asset(IMAGE_ID), Some("bytes=0-9")).await.body.len() });
    }
    assert_eq!(clients.join_all().await, [10; 200]);
}
