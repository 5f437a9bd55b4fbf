//! A lock's link, against both brokers.

super::on_both_brokers! { stories:
    a_lock_comes_online_hears_and_answers
    a_lock_comes_back_after_the_broker
    a_wrong_password_never_gets_up
}

mod stories {
    use std::sync::Arc;
    use std::time::Duration;

    use doorward::crypto::random::OsRandom;
    use doorward::domain::ids::LockId;
    use doorward::domain::relay::RelayAway;
    use doorward::mqtt::address::BrokerAddress;
    use doorward::mqtt::lock_link::{LockLink, LockLinkOptions, LockNews};
    use tokio::sync::mpsc;

    use crate::brokers::{NODE, PASSWORD, TestBroker, front, topics};
    use crate::fixtures::wait::soon;

    const WITHIN: Duration = Duration::from_secs(5);

    pub fn link(broker: &TestBroker, lock: LockId, password: &str) -> (LockLink, mpsc::Receiver<LockNews>) {
        let options = LockLinkOptions {
            address: BrokerAddress {
                host: "127.0.0.1".into(),
                port: broker.tls.port(),
                tls: Some(broker.trust.clone()),
            },
            lock,
            password: password.into(),
            topics: topics(),
            keep_alive: Duration::from_secs(30),
        };
        LockLink::start(options, Arc::new(OsRandom))
    }

    pub async fn next(news: &mut mpsc::Receiver<LockNews>) -> LockNews {
        soon("news", news.recv()).await.expect("the link lives")
    }

    pub async fn a_lock_comes_online_hears_and_answers(broker: TestBroker) {
        let mut node = broker.node().await;
        let (lock, mut news) = link(&broker, front(), PASSWORD);
        assert_eq!(next(&mut news).await, LockNews::Up);
        assert_eq!(node.next().await, (topics().status(&front()), "online".into()));
        node.publish(&topics().down(&front()), "open").await.unwrap();
        assert_eq!(next(&mut news).await, LockNews::Message(b"open".to_vec()));
        lock.publish(NODE, b"opened".to_vec(), WITHIN).await.unwrap();
        assert_eq!(node.next().await, (topics().up(&front(), NODE), "opened".into()));
        lock.stop().await;
        assert_eq!(node.next().await, (topics().status(&front()), "offline".into()));
        assert_eq!(lock.publish(NODE, b"late".to_vec(), WITHIN).await, Err(RelayAway));
    }

    pub async fn a_lock_comes_back_after_the_broker(mut broker: TestBroker) {
        let (lock, mut news) = link(&broker, front(), PASSWORD);
        assert_eq!(next(&mut news).await, LockNews::Up);
        broker.stop().await;
        assert_eq!(next(&mut news).await, LockNews::Down);
        assert_eq!(lock.publish(NODE, b"now".to_vec(), WITHIN).await, Err(RelayAway));
        broker.resume();
        assert_eq!(next(&mut news).await, LockNews::Up);
        let mut node = broker.node().await;
        node.publish(&topics().down(&front()), "open").await.unwrap();
        assert_eq!(next(&mut news).await, LockNews::Message(b"open".to_vec()));
    }

    pub async fn a_wrong_password_never_gets_up(broker: TestBroker) {
        let (wrong, mut nothing) = link(&broker, front(), "wrong");
        let (_right, mut news) = link(&broker, front(), PASSWORD);
        assert_eq!(next(&mut news).await, LockNews::Up);
        wrong.stop().await;
        assert_eq!(nothing.recv().await, None);
    }
}

#[tokio::test]
async fn two_hundred_locks_share_one_process() {
    use crate::brokers::{PASSWORD, TestBroker};
    use doorward::domain::ids::LockId;
    use doorward::mqtt::lock_link::LockNews;

    let broker = TestBroker::embedded();
    broker.book().add_locks(200);
    let mut locks: Vec<_> = (0..200)
        .map(|number| stories::link(&broker, LockId::from_bits(0x1000 + number), PASSWORD))
        .collect();
    for (_, news) in &mut locks {
        assert_eq!(stories::next(news).await, LockNews::Up);
    }
    assert_eq!(broker.broker().connected(), 200);
}
