//! Signing in, staying signed in, signing out.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fixtures::databases::{TestDatabase, on_each_database};
use crate::world::{Answer, Http, PASSWORD, Person, TestServer, house};

on_each_database!(
    a_wrong_password_and_an_unknown_address_get_the_same_answer,
    an_account_waits_after_failures_but_not_where_it_is_known,
    an_address_waits_after_failures_over_many_accounts,
    guesses_that_come_at_once_all_count,
    a_success_forgives_no_guess_that_was_made_meanwhile,
    a_spent_refresh_token_ends_its_session,
    tokens_end_with_their_time,
    signing_out_ends_one_session,
    a_new_password_ends_all_sessions,
    nobody_stays_by_the_old_password_who_was_signing_in_meanwhile,
    a_token_lets_nobody_else_in,
    sessions_outlive_a_restart,
);

/// A try to sign in from an address.
async fn try_from(http: &Http, from: &str, email: &str, password: &str) -> Answer {
    let body = json!({ "email": email, "password": password });
    http.post("/v1/auth/sign-in").coming_from(from).json(body).await
}

async fn refresh(t: &TestServer, token: &str) -> Answer {
    t.http
        .post("/v1/auth/refresh")
        .json(json!({ "refresh_token": token }))
        .await
}

async fn me(t: &TestServer, token: &str) -> u16 {
    t.http.get("/v1/me").bearer(token).await.status
}

async fn a_wrong_password_and_an_unknown_address_get_the_same_answer(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let right = try_from(&t.http, "192.0.2.1", &ana.email, PASSWORD).await.expect(200);
    assert_eq!(
        (&right["token_type"], &right["expires_in"]),
        (&json!("Bearer"), &json!(24 * 3600))
    );
    let upper = try_from(&t.http, "192.0.2.1", &ana.email.to_uppercase(), PASSWORD).await;
    assert_eq!(upper.status, 200, "{}", upper.text);

    let wrong = try_from(&t.http, "192.0.2.1", &ana.email, "not her password").await;
    let unknown = try_from(&t.http, "192.0.2.1", "nobody@landlords.example", PASSWORD).await;
    assert_eq!(wrong.header("www-authenticate"), "Bearer");
    let wrong = wrong.expect_problem(401, "wrong-credentials");
    assert_eq!(wrong, unknown.expect_problem(401, "wrong-credentials"));
}

async fn an_account_waits_after_failures_but_not_where_it_is_known(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let (home, elsewhere) = ("192.0.2.1", "203.0.113.9");
    try_from(&t.http, home, &ana.email, PASSWORD).await.expect(200);
    for _ in 0..5 {
        let wrong = try_from(&t.http, elsewhere, &ana.email, "not her password").await;
        wrong.expect_problem(401, "wrong-credentials");
    }
    let early = try_from(&t.http, elsewhere, &ana.email, PASSWORD).await;
    assert_eq!(early.header("retry-after"), "60");
    early.expect_problem(429, "throttled");
    // From anywhere that is new to the account; her own home is not held up.
    try_from(&t.http, "198.51.100.1", &ana.email, PASSWORD)
        .await
        .expect_problem(429, "throttled");
    try_from(&t.http, home, &ana.email, PASSWORD).await.expect(200);

    t.clock.advance(Duration::from_millis(59_999));
    try_from(&t.http, elsewhere, &ana.email, PASSWORD)
        .await
        .expect_problem(429, "throttled");
    t.clock.advance(Duration::from_millis(1));
    try_from(&t.http, elsewhere, &ana.email, "not her password")
        .await
        .expect_problem(401, "wrong-credentials");
    let longer = try_from(&t.http, elsewhere, &ana.email, PASSWORD).await;
    assert_eq!(longer.header("retry-after"), "120");
    t.clock.advance(Duration::from_secs(120));
    try_from(&t.http, elsewhere, &ana.email, PASSWORD).await.expect(200);
    // A success forgives.
    try_from(&t.http, elsewhere, &ana.email, "not her password")
        .await
        .expect_problem(401, "wrong-credentials");
    try_from(&t.http, elsewhere, &ana.email, PASSWORD).await.expect(200);
}

async fn an_address_waits_after_failures_over_many_accounts(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let bad = "203.0.113.9";
    for n in 0..50 {
        let email = format!("guess{n}@landlords.example");
        try_from(&t.http, bad, &email, "a guess of one")
            .await
            .expect_problem(401, "wrong-credentials");
    }
    try_from(&t.http, bad, &ana.email, PASSWORD)
        .await
        .expect_problem(429, "throttled");
    try_from(&t.http, "203.0.113.10", &ana.email, PASSWORD)
        .await
        .expect(200);
    t.clock.advance(Duration::from_secs(18));
    try_from(&t.http, bad, &ana.email, PASSWORD).await.expect(200);
}

async fn guesses_that_come_at_once_all_count(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let guesses = (0..24).map(|_| try_from(&t.http, "203.0.113.9", &ana.email, "not her password"));
    let answers = futures_util::future::join_all(guesses).await;
    let checked = answers.iter().filter(|answer| answer.status == 401).count();
    assert_eq!(checked, 5);
    assert!(answers.iter().all(|answer| matches!(answer.status, 401 | 429)));
}

async fn a_success_forgives_no_guess_that_was_made_meanwhile(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let eve = t.landlord("eve").await;
    let bad = "203.0.113.9";
    let guess = |number: usize| {
        let (http, email) = (&t.http, format!("guess{number}@landlords.example"));
        async move { try_from(http, bad, &email, "a guess of one").await.status }
    };
    let mut checked = 0;
    for round in 0..9 {
        // Her own account opens again and again, with guesses at others under way.
        let own = try_from(&t.http, bad, &eve.email, PASSWORD);
        let guesses = futures_util::future::join_all((0..5).map(|number| guess(round * 5 + number)));
        let (own, guesses) = tokio::join!(own, guesses);
        own.expect(200);
        checked += guesses.iter().filter(|status| **status == 401).count();
    }
    while guess(checked).await == 401 {
        checked += 1;
    }
    assert_eq!(checked, 50);
}

async fn a_spent_refresh_token_ends_its_session(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let bystander = Person::sign_in(&t.http, "ana", &ana.email).await;
    let first = ana.refresh_token();
    let next = refresh(&t, &first).await.expect(200);
    let [access, second] = ["access_token", "refresh_token"].map(|member| next[member].as_str().unwrap().to_owned());
    assert_eq!(me(&t, &access).await, 200);
    assert_eq!(me(&t, &ana.access_token()).await, 401);

    refresh(&t, &first).await.expect_problem(401, "unauthenticated");
    assert_eq!(me(&t, &access).await, 401);
    refresh(&t, &second).await.expect_problem(401, "unauthenticated");
    assert_eq!(me(&t, &bystander.access_token()).await, 200);

    // Of two exchanges at once, one is the thief's: whoever wins, the session is over.
    let both = bystander.refresh_token();
    let (one, other) = tokio::join!(refresh(&t, &both), refresh(&t, &both));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
    let winner: Value = if one.status == 200 { one.json } else { other.json };
    assert_eq!(me(&t, winner["access_token"].as_str().unwrap()).await, 401);
}

async fn tokens_end_with_their_time(database: TestDatabase) {
    let t = TestServer::start_with(&database, |config| {
        config.sessions.access_minutes = 15;
        config.sessions.refresh_days = 30;
    })
    .await;
    let ana = t.landlord("ana").await;
    t.clock.advance(Duration::from_millis(15 * 60 * 1000 - 1));
    assert_eq!(me(&t, &ana.access_token()).await, 200);
    t.clock.advance(Duration::from_millis(1));
    ana.get("/v1/me").await.expect_problem(401, "unauthenticated");

    t.clock.advance(Duration::from_secs(29 * 24 * 3600));
    let next = refresh(&t, &ana.refresh_token()).await.expect(200);
    t.clock.advance(Duration::from_secs(30 * 24 * 3600));
    refresh(&t, next["refresh_token"].as_str().unwrap())
        .await
        .expect_problem(401, "unauthenticated");
}

async fn signing_out_ends_one_session(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let other = Person::sign_in(&t.http, "ana", &ana.email).await;
    let answer = ana.post("/v1/auth/sign-out").await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    ana.get("/v1/me").await.expect_problem(401, "unauthenticated");
    refresh(&t, &ana.refresh_token())
        .await
        .expect_problem(401, "unauthenticated");
    other.get("/v1/me").await.expect(200);
}

async fn a_new_password_ends_all_sessions(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let other = Person::sign_in(&t.http, "ana", &ana.email).await;
    let change = |current: &str| json!({ "current_password": current, "new_password": "another battery staple" });
    let wrong = ana.post("/v1/auth/password").json(change("not her password")).await;
    wrong.expect_problem(401, "wrong-credentials");
    ana.get("/v1/me").await.expect(200);

    let next = ana.post("/v1/auth/password").json(change(PASSWORD)).await.expect(200);
    for ended in [&*ana, &other] {
        ended.get("/v1/me").await.expect_problem(401, "unauthenticated");
        refresh(&t, &ended.refresh_token())
            .await
            .expect_problem(401, "unauthenticated");
    }
    assert_eq!(me(&t, next["access_token"].as_str().unwrap()).await, 200);
    let home = "192.0.2.1";
    try_from(&t.http, home, &ana.email, PASSWORD)
        .await
        .expect_problem(401, "wrong-credentials");
    try_from(&t.http, home, &ana.email, "another battery staple")
        .await
        .expect(200);
}

async fn nobody_stays_by_the_old_password_who_was_signing_in_meanwhile(database: TestDatabase) {
    let t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    let body = json!({ "current_password": PASSWORD, "new_password": "another battery staple" });
    let token = ana.access_token();
    let mut change = std::pin::pin!(async { ana.post("/v1/auth/password").json(body).await.expect(200) });
    let mut tries = Vec::new();
    loop {
        // Some of them have read the old password's hash and wait in line behind the making of the new one's.
        tokio::select! {
            _ = &mut change => break,
            // One try after each answer to something else.
            _ = me(&t, &token) => {
                let (http, email) = (t.http.clone(), ana.email.clone());
                tries.push(tokio::spawn(async move { try_from(&http, "203.0.113.9", &email, PASSWORD).await }));
            }
        }
    }
    let tries = futures_util::future::join_all(tries).await;
    for tried in tries.into_iter().map(Result::unwrap) {
        if tried.status == 200 {
            assert_eq!(me(&t, tried.json["access_token"].as_str().unwrap()).await, 401);
        }
    }
}

async fn a_token_lets_nobody_else_in(database: TestDatabase) {
    let (t, ana, _house) = house(&database).await;
    let token = ana.access_token();
    let ask = || t.http.get("/v1/me");
    for (what, request) in [
        ("no token", ask()),
        ("the refresh token", ask().bearer(&ana.refresh_token())),
        ("a token that is cut", ask().bearer(&token[1..])),
        ("another token", ask().bearer(&token.chars().rev().collect::<String>())),
        (
            "another scheme",
            ask().header("Authorization", &format!("Basic {token}")),
        ),
        ("two tokens", ask().bearer(&token).bearer(&token)),
    ] {
        let answer = request.await;
        assert_eq!(answer.status, 401, "{what}");
        assert_eq!(answer.header("www-authenticate"), "Bearer", "{what}");
        answer.expect_problem(401, "unauthenticated");
    }
    let in_query = t.http.get(&format!("/v1/me?access_token={token}")).await;
    assert_eq!(in_query.status, 401, "{}", in_query.text);
}

async fn sessions_outlive_a_restart(database: TestDatabase) {
    let mut t = TestServer::start(&database).await;
    let ana = t.landlord("ana").await;
    t.restart().await;
    ana.get("/v1/me").await.expect(200);
    refresh(&t, &ana.refresh_token()).await.expect(200);
}
