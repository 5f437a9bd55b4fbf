//! MQTT 5 brings more ways to speak later or under another name; the embedded broker grants none of them.

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, LastWill, LastWillProperties, Packet, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions};

use super::{PASSWORD, TestBroker, back, front, topics};
use crate::fixtures::wait::{soon, until};

fn visit(broker: &TestBroker) -> MqttOptions {
    let mut options = MqttOptions::new(front().as_str(), "127.0.0.1", broker.plain.port());
    options.set_credentials(front().as_str(), PASSWORD);
    options
}

async fn hear<T>(events: &mut EventLoop, wanted: impl Fn(&Packet) -> Option<T>) -> Result<T, ConnectionError> {
    soon("a packet", async {
        loop {
            if let Event::Incoming(packet) = events.poll().await?
                && let Some(wanted) = wanted(&packet)
            {
                return Ok(wanted);
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_lock_that_speaks_mqtt_5_has_the_same_rights() {
    let broker = TestBroker::embedded();
    let mut node = broker.node().await;
    let (lock, mut events) = AsyncClient::new(visit(&broker), 16);
    for filter in ["#", "$SYS/#", "doorward/v1/+/down"] {
        lock.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
        let code = hear(&mut events, |packet| match packet {
            Packet::SubAck(ack) => Some(ack.return_codes[0]),
            _ => None,
        });
        assert_eq!(code.await.unwrap(), SubscribeReasonCode::NotAuthorized, "{filter}");
    }
    for (topic, retain) in [
        (topics().status(&back()), false),
        (topics().status(&front()), true),
        (topics().up(&front(), "any"), false),
    ] {
        lock.publish(topic, QoS::AtLeastOnce, retain, "message").await.unwrap();
        let acknowledged = hear(&mut events, |packet| matches!(packet, Packet::PubAck(_)).then_some(()));
        acknowledged.await.unwrap();
    }
    assert_eq!(node.next().await.0, topics().up(&front(), "any"));
    assert_eq!(broker.broker().refused(), 2);
}

#[tokio::test]
async fn a_will_cannot_be_delayed() {
    let broker = TestBroker::embedded();
    for (delay, let_in) in [(Some(3600), false), (Some(0), true), (None, true)] {
        let properties = LastWillProperties {
            delay_interval: delay,
            payload_format_indicator: None,
            message_expiry_interval: None,
            content_type: None,
            response_topic: None,
            correlation_data: None,
            user_properties: Vec::new(),
        };
        let mut options = visit(&broker);
        let status = topics().status(&front());
        options.set_last_will(LastWill::new(
            status,
            "offline",
            QoS::AtLeastOnce,
            false,
            Some(properties),
        ));
        let (_lock, mut events) = AsyncClient::new(options, 16);
        let answer = hear(&mut events, |packet| matches!(packet, Packet::ConnAck(_)).then_some(())).await;
        match answer {
            Ok(()) => assert!(let_in, "{delay:?}"),
            Err(ConnectionError::ConnectionRefused(code)) => {
                assert!(
                    !let_in && code == ConnectReturnCode::NotAuthorized,
                    "{delay:?}: {code:?}"
                );
            }
            Err(error) => panic!("{delay:?}: {error}"),
        }
    }
}

#[tokio::test]
async fn no_session_outlives_its_connection() {
    let broker = TestBroker::embedded();
    let mut node = broker.node().await;
    let resumed = || {
        let mut options = visit(&broker);
        options.set_clean_start(false);
        options.set_session_expiry_interval(Some(3600));
        options
    };
    let (lock, mut events) = AsyncClient::new(resumed(), 16);
    lock.subscribe(topics().down(&front()), QoS::AtLeastOnce).await.unwrap();
    hear(&mut events, |packet| matches!(packet, Packet::SubAck(_)).then_some(()))
        .await
        .unwrap();
    drop((lock, events));
    until("its end", async || broker.broker().connected() <= 1).await;
    node.publish(&topics().down(&front()), "stale").await.unwrap();
    let (_lock, mut events) = AsyncClient::new(resumed(), 16);
    let session_present = hear(&mut events, |packet| match packet {
        Packet::ConnAck(ack) => Some(ack.session_present),
        _ => None,
    });
    assert!(!session_present.await.unwrap());
    let (lock, mut events) = AsyncClient::new(visit(&broker), 16);
    lock.subscribe(topics().down(&front()), QoS::AtLeastOnce).await.unwrap();
    hear(&mut events, |packet| matches!(packet, Packet::SubAck(_)).then_some(()))
        .await
        .unwrap();
    node.publish(&topics().down(&front()), "fresh").await.unwrap();
    let text = hear(&mut events, |packet| match packet {
        Packet::Publish(message) => Some(message.payload.clone()),
        _ => None,
    });
    assert_eq!(text.await.unwrap(), "fresh");
}
