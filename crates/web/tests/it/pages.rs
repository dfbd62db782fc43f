//! Pages: signing in, looking, pressing buttons.

use reqwest::{Method, Response};
use secrecy::SecretString;

use crate::shop::{Person, Shop, open, order_body, person, settings};

async fn sign_in(shop: &Shop, token: &str, site: &str) -> Response {
    let form = format!("token={token}");
    let request = shop.request(Method::POST, "/session").header("Sec-Fetch-Site", site);
    request.header("Content-Type", "application/x-www-form-urlencoded").body(form).send().await.unwrap()
}

async fn page(shop: &Shop, cookie: &str, path: &str) -> (u16, String) {
    let answer = shop.request(Method::GET, path).header("Cookie", cookie).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn cookie_of(who: &Person) -> String {
    format!("kie={}", who.token)
}

#[tokio::test]
async fn a_session_begins_with_a_token_and_ends_with_a_button() {
    let shop = open().await;
    let customer = shop.customer(500).await;
    let home = shop.request(Method::GET, "/library").send().await.unwrap();
    assert_eq!(
        (home.status().as_u16(), home.headers()["location"].clone()),
        (303, "/signin".parse().unwrap())
    );
    assert_eq!(sign_in(&shop, "kie_wrong", "same-origin").await.status(), 422);
    assert_eq!(sign_in(&shop, &customer.token, "cross-site").await.status(), 403);
    let started = sign_in(&shop, &customer.token, "same-origin").await;
    let cookie = started.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let (status, html) = page(&shop, &cookie, "/library").await;
    assert!(status == 200 && html.contains("Your generations will appear here"), "{html}");
    assert!(html.contains("5.00 RUB"));
    let ended = shop
        .request(Method::POST, "/session/end")
        .header("Sec-Fetch-Site", "same-origin")
        .send()
        .await
        .unwrap();
    assert!(ended.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
}

#[tokio::test]
async fn a_generation_is_shown_with_its_buttons_and_in_both_languages() {
    let shop = open().await;
    let (customer, stranger) = (shop.customer(500).await, shop.customer(0).await);
    let job = shop.ordered(&customer, "k").await;
    let path = format!("/g/{}", job["id"].as_str().unwrap());
    let cookie = cookie_of(&customer);
    let (status, html) = page(&shop, &cookie, &path).await;
    assert!(status == 200 && html.contains("a fox") && html.contains("Check now"), "{html}");
    assert!(html.contains("0.63 RUB"));
    for part in ["tile", "part"] {
        let (status, html) = page(&shop, &cookie, &format!("{path}/{part}")).await;
        assert!(status == 200 && html.trim_start().starts_with('<') && !html.contains("<html"), "{html}");
    }
    let russian =
        shop.request(Method::GET, &path).header("Cookie", &cookie).header("Accept-Language", "ru").send();
    assert!(russian.await.unwrap().text().await.unwrap().contains("Проверить сейчас"));
    assert_eq!(page(&shop, &cookie_of(&stranger), &path).await.0, 404);
    let press = |site: &'static str| {
        let request = shop.request(Method::POST, &format!("{path}/cancel")).header("Cookie", &cookie);
        request.header("Sec-Fetch-Site", site).send()
    };
    assert_eq!(press("cross-site").await.unwrap().status(), 403);
    assert_eq!(press("same-origin").await.unwrap().status(), 303);
    let (_, html) = page(&shop, &cookie, "/library").await;
    assert!(html.contains("is-canceled"), "{html}");
    let (_, html) = page(&shop, &cookie, "/balance").await;
    assert!(html.contains("set aside") && html.contains("5.00 RUB"), "{html}");
    let foreign =
        shop.request(Method::POST, "/v1/jobs").header("Cookie", &cookie).header("Idempotency-Key", "x");
    assert_eq!(foreign.header("Sec-Fetch-Site", "cross-site").send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn a_button_that_cannot_work_says_why() {
    let shop = open().await;
    let customer = shop.customer(0).await;
    let cookie = cookie_of(&customer);
    let mut order = order_body();
    order["draft"] = serde_json::json!(true);
    let (_, draft) = shop.order(&customer, "d", &order).await;
    let path = format!("/g/{}", draft["id"].as_str().unwrap());
    let press = async |act: &str, language: &str| {
        let request = shop.request(Method::POST, &format!("{path}/{act}")).header("Cookie", &cookie);
        let request = request.header("Sec-Fetch-Site", "same-origin").header("Accept-Language", language);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (status, html) = press("confirm", "en").await;
    assert!(status == 402 && html.contains("Top your balance up") && !html.contains("<code>"), "{html}");
    let (status, html) = press("confirm", "ru").await;
    assert!(status == 402 && html.contains("Пополните баланс"), "{html}");
    assert_eq!(press("cancel", "en").await.0, 303);
    let (status, html) = press("confirm", "en").await;
    assert!(status == 409 && html.contains("Too late for that"), "{html}");
}

#[tokio::test]
async fn a_deleted_generation_tells_the_page_that_it_is_no_tile_any_more() {
    let shop = open().await;
    let customer = shop.customer(500).await;
    let job = shop.ordered(&customer, "k").await;
    let path = format!("/g/{}", job["id"].as_str().unwrap());
    let cookie = cookie_of(&customer);
    assert!(!page(&shop, &cookie, &format!("{path}/tile")).await.1.contains("data-hidden"));
    let press = shop.request(Method::POST, &format!("{path}/hide")).header("Cookie", &cookie);
    assert_eq!(press.header("Sec-Fetch-Site", "same-origin").send().await.unwrap().status(), 303);
    assert!(page(&shop, &cookie, &format!("{path}/tile")).await.1.contains("data-hidden"));
    assert!(page(&shop, &cookie, &format!("{path}/part")).await.1.contains("Deleted from the library"));
}

#[tokio::test]
async fn pages_need_nothing_from_elsewhere_and_say_when_there_is_none() {
    let shop = open().await;
    let answer = shop.request(Method::GET, "/signin").send().await.unwrap();
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    assert_eq!(answer.headers()["referrer-policy"], "no-referrer");
    let html = answer.text().await.unwrap();
    assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("style="), "{html}");
    for asset in ["/assets/style.css", "/assets/live.js"] {
        assert_eq!(shop.request(Method::GET, asset).send().await.unwrap().status(), 200);
    }
    let lost = shop.request(Method::GET, "/nowhere").header("Accept", "text/html").send().await.unwrap();
    assert_eq!(lost.status(), 404);
    assert!(lost.text().await.unwrap().contains("There is no such page"));
    // Bytes that are no text name nothing, wherever they stand.
    let signed_in = shop.customer(0).await;
    for path in ["/g/%ff", "/media/%ff/x", "/v1/models/%ff", "/v1/jobs/%ff"] {
        let answer = shop.get(&signed_in, path).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{path}");
    }
}

#[tokio::test]
async fn in_the_demo_a_browser_without_credentials_looks_but_does_not_touch() {
    let first = open().await;
    let shown = person(&first.lifecycle, domain::Role::Customer, None).await;
    let demo_token = Some(SecretString::from(shown.token.clone()));
    let mut app = first.app.clone();
    app.settings = web::Settings { demo_token, ..settings() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = web::router(app).unwrap();
    let stop = first.stop.clone();
    let serving = web::serve(listener, router, stop.clone());
    let looking = async {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let get =
            async |path: &str| client.get(format!("{url}{path}")).send().await.unwrap().status().as_u16();
        assert_eq!(get("/library").await, 200);
        assert_eq!(get("/v1/events").await, 200);
        assert_eq!(get("/v1/jobs").await, 401);
        let wrong =
            client.get(format!("{url}/library")).header("Cookie", "kie=kie_wrong").send().await.unwrap();
        assert_eq!(wrong.status(), 303);
        let press = client.post(format!("{url}/g/0190f3a0-0000-7000-8000-000000000001/hide"));
        let press = press.header("Sec-Fetch-Site", "same-origin").send().await.unwrap();
        assert_eq!(press.headers()["location"], "/signin");
        stop.cancel();
    };
    tokio::join!(serving, looking);
}
