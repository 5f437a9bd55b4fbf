//! What only the embedded broker can be asked.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use doorward::domain::relay::Registrar;
use doorward::mqtt::broker::{Broker, BrokerError, BrokerOptions, Limits};
use rumqttc::ConnectReturnCode;
use tokio::net::TcpStream;

use super::{Book, TestBroker, back, front, topics};
use crate::fixtures::raw_client::closed;
use crate::fixtures::wait::{soon, until};

#[tokio::test]
async fn a_taken_port_is_named() {
    let broker = TestBroker::embedded();
    let options = BrokerOptions {
        plain: vec![broker.plain],
        tls: None,
        devices: None,
        topics: topics(),
        limits: Limits::default(),
    };
    let error = Broker::start(options, Book::new()).err().expect("the port is taken");
    assert!(matches!(error, BrokerError::Taken { address } if address == broker.plain));
    assert!(error.to_string().contains(&broker.plain.to_string()), "{error}");
}

#[tokio::test]
async fn it_counts_who_is_signed_in() {
    let broker = TestBroker::embedded();
    assert_eq!(broker.broker().connected(), 0);
    let lock = broker.lock(&front()).await;
    let other = broker.lock(&back()).await;
    until("both", async || broker.broker().connected() == 2).await;
    drop((lock, other));
    until("none", async || broker.broker().connected() == 0).await;
}

#[tokio::test]
async fn a_retired_locks_session_ends_at_once_and_is_forgotten() {
    let broker = TestBroker::embedded();
    let mut node = broker.node().await;
    let mut lock = broker.lock(&front()).await;
    lock.subscribe(&topics().down(&front())).await;
    broker.book().users.lock().unwrap().remove(front().as_str());
    broker.broker().sessions().expel(&front()).await.unwrap();
    lock.closed().await;
    assert_eq!(
        broker.visit(&front()).refused().await,
        ConnectReturnCode::BadUserNamePassword
    );
    until("the node alone", async || broker.broker().connected() == 1).await;
    // And nobody else was disturbed.
    node.publish(&topics().down(&front()), "to nobody").await.unwrap();
}

#[tokio::test]
async fn a_session_ends_at_once_even_where_its_lock_does_not_read() {
    use crate::fixtures::raw_client::{connect_packet, signed_in, subscribe_packet};
    use tokio::io::AsyncWriteExt;

    let broker = TestBroker::embedded();
    let mut node = broker.node().await;
    let mut deaf = signed_in(
        broker.plain,
        &connect_packet(front().as_str(), super::PASSWORD, 0, None),
    )
    .await;
    deaf.write_all(&subscribe_packet(&topics().down(&front())))
        .await
        .unwrap();
    for _ in 0..1000 {
        node.publish(&topics().down(&front()), vec![b'x'; 8_000]).await.unwrap();
    }
    broker.broker().sessions().expel(&front()).await.unwrap();
    until("the node alone", async || broker.broker().connected() == 1).await;
    closed(&mut deaf).await;
}

#[tokio::test]
async fn a_lock_retired_while_it_signs_in_does_not_get_in() {
    let broker = TestBroker::embedded();
    let held = broker.book().gate.lock().await;
    let visit = tokio::spawn(broker.visit(&front()).refused());
    until("its password looked up", async || {
        broker.book().asked.load(Ordering::Relaxed) == 1
    })
    .await;
    broker.book().users.lock().unwrap().remove(front().as_str());
    broker.broker().sessions().expel(&front()).await.unwrap();
    drop(held);
    assert_eq!(
        soon("the refusal", visit).await.unwrap(),
        ConnectReturnCode::NotAuthorized
    );
}

#[tokio::test]
async fn silent_connections_are_put_out_when_others_wait() {
    let limits = Limits {
        arrivals: 8,
        dawdle: Duration::from_millis(50),
        ..Limits::default()
    };
    let broker = TestBroker::embedded_with(limits);
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(broker.plain).await.unwrap());
    }
    let began = Instant::now();
    broker.lock(&front()).await;
    // Left alone, each of them might have stayed for ten seconds.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    closed(&mut silent[0]).await;
}

#[tokio::test]
async fn a_full_broker_closes_newcomers_and_keeps_its_guests() {
    let broker = TestBroker::embedded_with(Limits {
        connections: 1,
        ..Limits::default()
    });
    let mut lock = broker.lock(&front()).await;
    assert!(broker.visit(&back()).try_connect().await.is_err());
    // The nodes come in by another door.
    let mut node = broker.node().await;
    lock.publish(&topics().status(&front()), "online").await.unwrap();
    assert_eq!(node.next_text().await, "online");
    drop(lock);
    until("a seat", async || broker.broker().connected() == 1).await;
    soon("the other lock", async {
        while broker.visit(&back()).try_connect().await.is_err() {}
    })
    .await;
}

#[tokio::test]
async fn it_stops_and_starts_again_on_the_same_ports() {
    let mut broker = TestBroker::embedded();
    let mut lock = broker.lock(&front()).await;
    broker.stop().await;
    lock.closed().await;
    broker.resume();
    broker.lock(&front()).await;
}

#[tokio::test]
async fn while_passwords_cannot_be_looked_up_nobody_gets_in() {
    let broker = TestBroker::embedded();
    broker.book().unavailable.store(true, Ordering::Relaxed);
    assert_eq!(
        broker.visit(&front()).refused().await,
        ConnectReturnCode::ServiceUnavailable
    );
    broker.book().unavailable.store(false, Ordering::Relaxed);
    broker.lock(&front()).await;
}

#[tokio::test]
async fn a_lock_that_is_expelled_loses_its_session() {
    let broker = TestBroker::embedded();
    let mut lock = broker.lock(&front()).await;
    broker.broker().sessions().expel(&front()).await.unwrap();
    lock.closed().await;
}

#[tokio::test]
async fn a_noisy_lock_is_slowed_down_and_others_are_not() {
    let broker = TestBroker::embedded_with(Limits {
        messages_per_second: 10,
        ..Limits::default()
    });
    let mut node = broker.node().await;
    let mut noisy = broker.lock(&front()).await;
    let mut other = broker.lock(&back()).await;
    let began = Instant::now();
    for _ in 0..20 {
        noisy.publish(&topics().up(&front(), "any"), "noise").await.unwrap();
    }
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    let began = Instant::now();
    other.publish(&topics().up(&back(), "any"), "word").await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
    while node.next_text().await != "word" {}
}

#[tokio::test]
async fn it_counts_what_it_refused() {
    let broker = TestBroker::embedded();
    let mut lock = broker.lock(&front()).await;
    lock.publish(&topics().status(&back()), "offline").await.unwrap();
    assert_eq!(broker.broker().refused(), 1);
}
