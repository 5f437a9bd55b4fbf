//! The behaviour suite. Where the two brokers may differ, a test states what both guarantee.

super::on_both_brokers! { stories:
    a_lock_comes_in_over_tls
    a_wrong_password_an_unknown_user_and_nobody_stay_outside
    a_lock_speaks_on_its_own_topics_only
    a_lock_hears_its_own_topic_only
    a_client_id_cannot_be_stolen
    a_will_on_a_foreign_topic_is_never_heard
    a_lock_that_breaks_off_is_reported_by_its_will
    nothing_is_retained
    a_message_at_qos_1_is_acknowledged_and_arrives_once
    a_lock_that_falls_silent_is_given_up
    a_second_connection_takes_over
    an_oversized_packet_ends_its_connection_only
    an_announced_giant_before_connect_is_cut_off
    a_lock_that_does_not_read_holds_nobody_up
    a_silent_tls_client_holds_nobody_up
    garbage_before_connect_holds_nobody_up
    a_flood_of_silent_connections_keeps_no_lock_away
}

mod stories {
    use std::time::{Duration, Instant};

    use rumqttc::ConnectReturnCode;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpStream;

    use crate::brokers::{NODE, PASSWORD, TestBroker, back, front, topics};
    use crate::fixtures::mqtt_client::Visit;
    use crate::fixtures::raw_client::{closed, connect_packet, read_packet, signed_in, subscribe_packet};
    use crate::fixtures::wait::soon;

    pub async fn a_lock_comes_in_over_tls(broker: TestBroker) {
        let mut node = broker.node().await;
        let mut lock = broker.lock(&front()).await;
        assert!(lock.subscribe(&topics().down(&front())).await);
        node.publish(&topics().down(&front()), "open").await.unwrap();
        assert_eq!(lock.next().await, (topics().down(&front()), "open".into()));
        lock.publish(&topics().up(&front(), NODE), "opened").await.unwrap();
        assert_eq!(node.next().await, (topics().up(&front(), NODE), "opened".into()));
    }

    pub async fn a_wrong_password_an_unknown_user_and_nobody_stay_outside(broker: TestBroker) {
        for (user, password) in [
            (front().as_str(), "wrong"),
            ("lock_unknown", PASSWORD),
            (NODE, PASSWORD),
            ("", ""),
        ] {
            let code = Visit::with_client_id(broker.plain, "somebody", user, password)
                .refused()
                .await;
            let said_no = [ConnectReturnCode::BadUserNamePassword, ConnectReturnCode::NotAuthorized].contains(&code);
            assert!(said_no, "{user}: {code:?}");
        }
    }

    pub async fn a_lock_speaks_on_its_own_topics_only(broker: TestBroker) {
        let mut node = broker.node().await;
        let mut other = broker.lock(&back()).await;
        other.subscribe(&topics().down(&back())).await;
        let mut lock = broker.lock(&front()).await;
        for topic in [
            topics().up(&back(), "any"),
            topics().up(&back(), NODE),
            topics().status(&back()),
            topics().down(&back()),
            topics().down(&front()),
        ] {
            lock.publish(&topic, "forged").await.unwrap();
        }
        for topic in [
            topics().up(&front(), NODE),
            topics().up(&front(), "any"),
            topics().status(&front()),
        ] {
            lock.publish(&topic, "true").await.unwrap();
            assert_eq!(node.next().await, (topic, "true".into()));
        }
        node.publish(&topics().down(&back()), "true").await.unwrap();
        assert_eq!(other.next_text().await, "true");
    }

    pub async fn a_lock_hears_its_own_topic_only(broker: TestBroker) {
        let mut node = broker.node().await;
        let mut lock = broker.lock(&front()).await;
        for filter in [
            "#".to_owned(),
            "doorward/v1/+/down".into(),
            "doorward/v1/#".into(),
            topics().down(&back()),
            topics().status(&back()),
            "$share/doorward/doorward/v1/+/down".into(),
        ] {
            // mosquitto grants it and delivers nothing; the embedded broker says no.
            let granted = lock.subscribe(&filter).await;
            assert!(!granted || !broker.is_embedded(), "{filter}");
        }
        assert!(lock.subscribe(&topics().down(&front())).await);
        node.publish(&topics().down(&back()), "not for you").await.unwrap();
        node.publish(&topics().down(&front()), "for you").await.unwrap();
        assert_eq!(lock.next().await, (topics().down(&front()), "for you".into()));
    }

    pub async fn a_client_id_cannot_be_stolen(broker: TestBroker) {
        let mut node = broker.node().await;
        let mut victim = broker.lock(&back()).await;
        victim.subscribe(&topics().down(&back())).await;
        let theft = Visit::with_client_id(broker.tls, back().as_str(), front().as_str(), PASSWORD).tls(&broker.trust);
        // mosquitto lets the thief in under the name that belongs to the password.
        let thief = theft.try_connect().await;
        assert!(thief.is_err() || !broker.is_embedded());
        node.publish(&topics().down(&back()), "for the victim").await.unwrap();
        assert_eq!(victim.next_text().await, "for the victim");
        if let Ok(mut thief) = thief {
            thief.subscribe(&topics().down(&back())).await;
            thief.subscribe(&topics().down(&front())).await;
            node.publish(&topics().down(&back()), "for the victim").await.unwrap();
            node.publish(&topics().down(&front()), "for the thief").await.unwrap();
            assert_eq!(thief.next_text().await, "for the thief");
        }
    }

    pub async fn a_will_on_a_foreign_topic_is_never_heard(broker: TestBroker) {
        let mut node = broker.node().await;
        for (topic, retain) in [(topics().status(&back()), false), (topics().status(&front()), true)] {
            let left = broker
                .visit(&front())
                .will(&topic, "offline", retain)
                .try_connect()
                .await;
            assert!(left.is_err() || !broker.is_embedded(), "{topic}");
            drop(left);
            // Takes over where the one with the will was let in, so that the will is due before this.
            let mut lock = broker.lock(&front()).await;
            lock.publish(&topics().status(&front()), "online").await.unwrap();
            assert_eq!(node.next().await, (topics().status(&front()), "online".into()));
        }
    }

    pub async fn a_lock_that_breaks_off_is_reported_by_its_will(broker: TestBroker) {
        let mut node = broker.node().await;
        let status = topics().status(&front());
        let lock = broker.visit(&front()).will(&status, "offline", false).connect().await;
        drop(lock);
        assert_eq!(node.next().await, (status, "offline".into()));
    }

    pub async fn nothing_is_retained(broker: TestBroker) {
        let mut lock = broker.lock(&front()).await;
        // mosquitto ends the connection, the embedded broker drops the message.
        let _ = lock.publish_retained(&topics().status(&front()), "online").await;
        let mut node = broker.node().await;
        let mut other = broker.lock(&back()).await;
        other.publish(&topics().status(&back()), "online").await.unwrap();
        assert_eq!(node.next().await.0, topics().status(&back()));
    }

    pub async fn a_message_at_qos_1_is_acknowledged_and_arrives_once(broker: TestBroker) {
        let mut node = broker.node().await;
        let mut lock = broker.lock(&front()).await;
        for number in 0..100 {
            lock.publish(&topics().up(&front(), NODE), number.to_string())
                .await
                .unwrap();
        }
        for number in 0..100 {
            assert_eq!(node.next_text().await, number.to_string());
        }
    }

    pub async fn a_lock_that_falls_silent_is_given_up(broker: TestBroker) {
        let mut node = broker.node().await;
        let status = topics().status(&front());
        let connect = connect_packet(front().as_str(), PASSWORD, 1, Some((&status, "offline")));
        let mut lock = signed_in(broker.plain, &connect).await;
        assert_eq!(node.next().await, (status, "offline".into()));
        closed(&mut lock).await;
    }

    pub async fn a_second_connection_takes_over(broker: TestBroker) {
        let mut node = broker.node().await;
        let mut first = broker.lock(&front()).await;
        first.subscribe(&topics().down(&front())).await;
        let mut second = broker.lock(&front()).await;
        first.closed().await;
        second.subscribe(&topics().down(&front())).await;
        for text in ["one", "two"] {
            node.publish(&topics().down(&front()), text).await.unwrap();
            assert_eq!(second.next_text().await, text);
        }
    }

    pub async fn an_oversized_packet_ends_its_connection_only(broker: TestBroker) {
        let mut node = broker.node().await;
        let mut lock = broker.lock(&front()).await;
        assert!(
            lock.publish(&topics().up(&front(), NODE), vec![b'x'; 20_000])
                .await
                .is_err()
        );
        let mut other = broker.lock(&back()).await;
        other
            .publish(&topics().up(&back(), NODE), vec![b'x'; 10_000])
            .await
            .unwrap();
        assert_eq!(node.next().await.1.len(), 10_000);
    }

    pub async fn an_announced_giant_before_connect_is_cut_off(broker: TestBroker) {
        let mut stranger = TcpStream::connect(broker.plain).await.unwrap();
        // A CONNECT of 256 MB, as its first five bytes say.
        stranger.write_all(&[0x10, 0xff, 0xff, 0xff, 0x7f, 0, 4]).await.unwrap();
        closed(&mut stranger).await;
    }

    pub async fn a_lock_that_does_not_read_holds_nobody_up(broker: TestBroker) {
        let mut node = broker.node().await;
        let mut other = broker.lock(&back()).await;
        other.subscribe(&topics().down(&back())).await;
        let mut deaf = signed_in(broker.plain, &connect_packet(front().as_str(), PASSWORD, 60, None)).await;
        deaf.write_all(&subscribe_packet(&topics().down(&front())))
            .await
            .unwrap();
        soon("SUBACK", read_packet(&mut deaf)).await.expect("a packet");
        for round in 0..20 {
            for _ in 0..100 {
                node.publish(&topics().down(&front()), vec![b'x'; 8_000]).await.unwrap();
            }
            let began = Instant::now();
            node.publish(&topics().down(&back()), round.to_string()).await.unwrap();
            assert_eq!(other.next_text().await, round.to_string());
            let took = began.elapsed();
            assert!(took < Duration::from_millis(1500), "round {round}: {took:?}");
        }
    }

    pub async fn a_silent_tls_client_holds_nobody_up(broker: TestBroker) {
        let silent = [
            TcpStream::connect(broker.tls).await.unwrap(),
            TcpStream::connect(broker.tls).await.unwrap(),
        ];
        let mut lock = broker.lock(&front()).await;
        lock.publish(&topics().status(&front()), "online").await.unwrap();
        drop(silent);
    }

    pub async fn garbage_before_connect_holds_nobody_up(broker: TestBroker) {
        for garbage in [
            &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
            &[0x30, 0x05, 0, 1, b'a', b'b', b'c'],
            &[0x00, 0x00],
            &[0xf0, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x10, 0x04, 0, 4, b'M', b'Q'],
        ] {
            let mut stranger = TcpStream::connect(broker.plain).await.unwrap();
            stranger.write_all(garbage).await.unwrap();
            stranger.shutdown().await.unwrap();
            closed(&mut stranger).await;
            let mut stranger = TcpStream::connect(broker.tls).await.unwrap();
            stranger.write_all(garbage).await.unwrap();
            stranger.shutdown().await.unwrap();
            closed(&mut stranger).await;
        }
        broker.lock(&front()).await;
    }

    pub async fn a_flood_of_silent_connections_keeps_no_lock_away(broker: TestBroker) {
        let mut flood = Vec::new();
        for _ in 0..500 {
            flood.push(TcpStream::connect(broker.tls).await.unwrap());
        }
        let mut lock = broker.lock(&front()).await;
        lock.publish(&topics().status(&front()), "online").await.unwrap();
    }
}
