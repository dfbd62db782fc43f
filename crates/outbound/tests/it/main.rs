//! The guard against real servers: redirects, names and ports.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::net::SocketAddr;

use axum::{Router, http::HeaderMap as AxumHeaders, response::Redirect, routing::get};
use outbound::{Blocked, ClientOptions, Guard, Method, OutboundError, header::HeaderMap};
use url::Url;

/// A server on a free port; `/hop/{n}` redirects n times, `/to?…` redirects anywhere.
async fn serve() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .route(
            "/file",
            get(|headers: AxumHeaders| async move { headers["user-agent"].to_str().unwrap().to_owned() }),
        )
        .route(
            "/encoding",
            get(|headers: AxumHeaders| async move { headers.contains_key("accept-encoding").to_string() }),
        )
        .route("/nowhere", get(|| async { (axum::http::StatusCode::FOUND, "") }))
        .route(
            "/to",
            get(|query: axum::extract::RawQuery| async move { Redirect::temporary(&query.0.unwrap()) }),
        )
        .route(
            "/hop/{n}",
            get(|path: axum::extract::Path<u8>| async move {
                let next = path.0.checked_sub(1).filter(|n| *n > 0);
                Redirect::to(&next.map_or("/file".to_owned(), |n| format!("/hop/{n}")))
            }),
        );
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

async fn get_text(allow: &str, url: &str, redirects_max: usize) -> Result<String, OutboundError> {
    let client = Guard::new(allow.parse().unwrap()).client(&ClientOptions::default()).unwrap();
    let response = client.get_following(&Url::parse(url).unwrap(), &HeaderMap::new(), redirects_max).await?;
    Ok(response.text().await.unwrap())
}

#[tokio::test]
async fn a_listed_server_is_reached_with_a_user_agent_and_without_compression() {
    let address = serve().await;
    let body = get_text(&address.to_string(), &format!("http://{address}/file"), 3).await.unwrap();
    assert!(body.starts_with("kie-delivery/"), "{body}");
    let asked = get_text(&address.to_string(), &format!("http://{address}/encoding"), 3).await.unwrap();
    assert_eq!(asked, "false");
}

#[tokio::test]
async fn redirects_are_counted() {
    let address = serve().await;
    let allow = address.to_string();
    assert!(get_text(&allow, &format!("http://{address}/hop/3"), 3).await.is_ok());
    let error = get_text(&allow, &format!("http://{address}/hop/4"), 3).await.unwrap_err();
    assert!(matches!(error, OutboundError::TooManyRedirects { limit: 3 }), "{error:?}");
    let error = get_text(&allow, &format!("http://{address}/nowhere"), 3).await.unwrap_err();
    assert!(matches!(error, OutboundError::BadRedirect), "{error:?}");
}

#[tokio::test]
async fn a_redirect_to_a_private_address_is_refused() {
    let open = serve().await;
    let secret = serve().await;
    for target in [
        format!("http://{secret}/file"),
        format!("https://{secret}/file"),
        format!("http://localhost:{}/file", secret.port()),
        format!("https://localhost:{}/file", secret.port()),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://[::ffff:127.0.0.1]/".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        let error = get_text(&open.to_string(), &format!("http://{open}/to?{target}"), 3).await.unwrap_err();
        assert!(error.is_blocked(), "{target}: {error:?}");
    }
    let both = format!("{open},{secret}");
    assert!(get_text(&both, &format!("http://{open}/to?http://{secret}/file"), 3).await.is_ok());
}

#[tokio::test]
async fn a_redirect_to_plain_http_is_asked_over_https() {
    let (open, other) = (serve().await, serve().await);
    let target = format!("http://{open}/to?http://localhost:{}/file", other.port());
    let listed = format!("{open},localhost:{}", other.port());
    assert!(get_text(&listed, &target, 3).await.is_ok(), "a listed name is reached by http");
    // The scheme is no fault any more; the name is looked up, and its address refused.
    let error = get_text(&open.to_string(), &target, 3).await.unwrap_err();
    assert!(matches!(error, OutboundError::Blocked(Blocked::Name { .. })), "{error:?}");
}

#[tokio::test]
async fn a_name_that_resolves_to_loopback_is_refused_until_it_is_listed() {
    let address = serve().await;
    let port = address.port();
    let url = format!("https://localhost:{port}/file");
    let error = get_text("", &url, 0).await.unwrap_err();
    assert!(
        matches!(&error, OutboundError::Blocked(Blocked::Name { host }) if host == "localhost"),
        "{error:?}"
    );
    let other_port = format!("localhost:{}", port ^ 1);
    assert!(get_text(&other_port, &url, 0).await.unwrap_err().is_blocked());

    let plain = format!("http://localhost:{port}/file");
    for allow in [format!("localhost:{port}"), format!("127.0.0.0/8:{port}"), "127.0.0.1".to_owned()] {
        assert!(get_text(&allow, &plain, 0).await.is_ok(), "{allow}");
    }
    assert!(get_text("10.0.0.0/8", &plain, 0).await.unwrap_err().is_blocked());
}

#[tokio::test]
async fn a_closed_port_is_unreachable_not_blocked() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = Guard::new(address.to_string().parse().unwrap()).client(&ClientOptions::default()).unwrap();
    let request =
        client.request(Method::POST, &Url::parse(&format!("http://{address}/hook?secret=1")).unwrap());
    let error = client.send(request.unwrap()).await.unwrap_err();
    assert!(matches!(error, OutboundError::Unreachable(_)), "{error:?}");
    assert!(!format!("{error:?}").contains("secret"), "the URL is not repeated in errors");
}
