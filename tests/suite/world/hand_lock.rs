//! A lock whose every word a test says: for what no honest lock says, or not in that order, or not at that moment.

use doorward::agent::enrolment::{Welcome, new_key};
use doorward::crypto::random::{OsRandom, Random as _};
use doorward::domain::time::Clock as _;
use doorward::mqtt::address::trusting;
use doorward_lock::base64url;
use doorward_lock::chain::{Chain, Happening, Sensors, Signer, Stamp};
use doorward_lock::controller::enrolment_proof;
use doorward_lock::jws::{self, Message};
use doorward_lock::keys::{self, PublicKey};
use doorward_lock::wire::{Action, Bolt, Cause, ClockState, Door as Leaf, Hello, Kind, RESULT_OK, Typ};
use p256::ecdsa::SigningKey;
use rumqttc::ConnectReturnCode;
use serde_json::{Value, json};

use super::{Door, HandClock};
use crate::fixtures::mqtt_client::{Client, Visit};

const FIRMWARE: &str = "1.0";

/// A lock made by hand: its key, its chain, and its way to the broker.
pub struct HandLock {
    /// What it was told when it enrolled.
    pub welcome: Welcome,
    /// Its private key.
    pub key: SigningKey,
    /// Its chain, up to the last event that was made.
    pub chain: Chain,
    /// How often it has started.
    pub boot: u32,
    /// What its door sensor says.
    pub leaf: Leaf,
    /// The counter that its hello names.
    pub ctr: u64,
    /// The version of the keyset that its hello names.
    pub keyset: u64,
    /// The version of its PINs that its hello names.
    pub pins: u64,
    /// The epoch of the revocations that its hello names.
    pub revocations: u64,
    /// The epoch of the lockdown that its hello names; `None` for a lock that knows of none.
    pub lockdown: Option<u64>,
    clock: HandClock,
    started_ms: i64,
    /// Seconds that its counter is ahead of the clock, so that no two hellos are of one second.
    ahead: u64,
    radio: Option<Client>,
    /// Every message that came down, in order.
    pub down: Vec<String>,
    /// Every token that came down, in order.
    pub tokens: Vec<Token>,
}

/// An unlock token as it came down.
#[derive(Debug, Clone)]
pub struct Token {
    /// As it was signed.
    pub compact: String,
    /// What it says.
    pub claims: Value,
}

impl Token {
    /// The name of the token, which comes back in the lock's events.
    pub fn jti(&self) -> &str {
        self.claims["jti"].as_str().unwrap()
    }

    /// The node that waits for the answer.
    pub fn node(&self) -> &str {
        self.claims["node"].as_str().unwrap()
    }

    /// What it asks the bolt to do, as the event that says it was done.
    fn done(&self) -> Kind {
        if self.claims["act"] == json!(Action::Lock) {
            Kind::Locked
        } else {
            Kind::Unlocked
        }
    }
}

impl HandLock {
    /// Enrols over HTTP, says nothing yet.
    pub async fn enrol(door: &Door) -> Self {
        let key = new_key(&OsRandom);
        let (x, y) = PublicKey::from_key(*key.verifying_key()).coordinates();
        let proof = enrolment_proof(&key, &door.claim_code, super::door::MODEL, FIRMWARE).unwrap();
        let ask = json!({
            "claim_code": door.claim_code,
            "public_key": keys::jwk(&x, &y),
            "model": super::door::MODEL,
            "firmware": FIRMWARE,
            "proof": proof.as_str(),
        });
        let welcome = door.http.post("/v1/enrolments").json(ask).await.expect(200);
        Self {
            welcome: serde_json::from_value(welcome).unwrap(),
            key,
            chain: new_chain(),
            boot: 1,
            leaf: Leaf::Unknown,
            ctr: 0,
            keyset: 1,
            pins: 0,
            revocations: 0,
            lockdown: Some(0),
            clock: door.clock.clone(),
            started_ms: door.clock.now().as_millis(),
            ahead: 0,
            radio: None,
            down: Vec::new(),
            tokens: Vec::new(),
        }
    }

    /// Enrols, connects and tells of its enrolment; the backend has it all.
    pub async fn install(door: &Door) -> Self {
        let mut lock = Self::enrol(door).await;
        lock.connect().await;
        lock.report(Kind::Claimed, Cause::Auto, RESULT_OK).await;
        lock.until_acknowledged().await;
        lock
    }

    /// Its id.
    pub fn id(&self) -> &str {
        self.welcome.lock_id.as_str()
    }

    /// Comes to the broker as a lock does, and says hello.
    pub async fn connect(&mut self) {
        let mut radio = self.visit().connect().await;
        assert!(radio.subscribe(&self.topic("down")).await);
        radio.publish(&self.topic("status"), "online").await.unwrap();
        self.radio = Some(radio);
        self.hello().await;
    }

    /// Says on its `status` topic whether it is there.
    pub async fn say_status(&mut self, status: &str) {
        let topic = self.topic("status");
        self.radio.as_mut().unwrap().publish(&topic, status).await.unwrap();
    }

    /// Says goodbye, as a lock does before it disconnects of its own accord, and goes.
    pub async fn leave(&mut self) {
        let topic = self.topic("status");
        self.radio.as_mut().unwrap().publish(&topic, "offline").await.unwrap();
        self.radio = None;
    }

    /// Goes from the broker without a word.
    pub fn vanish(&mut self) {
        self.radio = None;
    }

    /// Returns once the broker has closed the connection.
    pub async fn until_put_out(&mut self) {
        self.radio.as_mut().unwrap().closed().await;
        self.radio = None;
    }

    /// What the broker says to it where it does not let it in.
    pub async fn refused_by_broker(&self) -> ConnectReturnCode {
        self.visit().refused().await
    }

    /// How it connects.
    pub fn visit(&self) -> Visit {
        let access = &self.welcome.mqtt;
        let trust = trusting(access.ca_certificate.as_bytes()).unwrap();
        let address = format!("{}:{}", access.host, access.port).parse().unwrap();
        Visit::new(address, self.id(), &access.password).tls(&trust)
    }

    /// One of its own topics: `down`, `status`, `up/any`.
    pub fn topic(&self, last: &str) -> String {
        format!("{}/{}/{last}", self.welcome.mqtt.topic_root, self.id())
    }

    /// Says this to whichever node is there, and waits until the broker has it.
    pub async fn say(&mut self, message: impl Into<Vec<u8>>) {
        let topic = self.topic("up/any");
        self.radio.as_mut().unwrap().publish(&topic, message).await.unwrap();
    }

    /// Makes the next event of its chain.
    pub fn event(&mut self, kind: Kind, cause: Cause<'_>, result: &str) -> String {
        let bolt = match kind {
            Kind::Unlocked => Bolt::Unlocked,
            Kind::Locked => Bolt::Locked,
            _ => Bolt::Unknown,
        };
        let stamp = Stamp {
            boot: self.boot,
            mono: self.mono(),
            wall: None,
            clock: ClockState::None,
        };
        let signer = Signer {
            lock: self.welcome.lock_id.as_str(),
            key: &self.key,
            assurance: None,
        };
        let happening = Happening {
            kind,
            cause,
            result,
            lost: None,
        };
        let sensors = Sensors {
            bolt,
            door: self.leaf,
            battery: Some(80),
        };
        let salt = OsRandom.bits().to_be_bytes();
        let linked = self.chain.link(&signer, &happening, &stamp, &sensors, &salt);
        let (event, chain) = linked.unwrap();
        self.chain = chain;
        event.as_str().to_owned()
    }

    /// Makes the next event and says it.
    pub async fn report(&mut self, kind: Kind, cause: Cause<'_>, result: &str) -> String {
        let event = self.event(kind, cause, result);
        self.say(event.clone()).await;
        event
    }

    /// Takes the token and moves the bolt by it: the two events that say so.
    pub fn events_of(&mut self, token: &Token) -> [String; 2] {
        self.ctr = token.claims["ctr"].as_u64().unwrap();
        [Kind::Attempt, token.done()].map(|kind| self.event(kind, Cause::Jti(token.jti()), RESULT_OK))
    }

    /// Moves by the token, and says so to the node that it names.
    pub async fn move_by(&mut self, token: &Token) -> [String; 2] {
        let events = self.events_of(token);
        self.answer(token, &events).await;
        events
    }

    /// Says these events to the node that the token names.
    pub async fn answer(&mut self, token: &Token, events: &[String]) {
        let topic = self.topic(&format!("up/{}", token.node()));
        for event in events {
            self.radio
                .as_mut()
                .unwrap()
                .publish(&topic, event.clone())
                .await
                .unwrap();
        }
    }

    /// Waits for the next token and does as it says.
    pub async fn obey(&mut self) -> Token {
        let token = self.next_token().await;
        self.move_by(&token).await;
        token
    }

    /// As [`Self::obey`]; gives the events that it said.
    pub async fn next_and_move(&mut self) -> [String; 2] {
        let token = self.next_token().await;
        self.move_by(&token).await
    }

    /// The event with which its chain begins.
    pub fn first_event(&mut self) -> String {
        self.event(Kind::Claimed, Cause::Auto, RESULT_OK)
    }

    /// The hello that is due now.
    pub fn hello_message(&mut self) -> String {
        self.hello_with(None)
    }

    fn hello_with(&mut self, nonce: Option<&str>) -> String {
        self.ahead += 1;
        let hello = Hello {
            lock: self.welcome.lock_id.as_str(),
            boot: self.boot,
            mono: self.mono(),
            clock: ClockState::None,
            keyset: self.keyset,
            revocations: self.revocations,
            lockdown: self.lockdown,
            pins: self.pins,
            ctr: self.ctr,
            head: self.chain.head(),
            battery: Some(80),
            bolt: Bolt::Locked,
            door: self.leaf,
            firmware: FIRMWARE,
            model: super::door::MODEL,
            nonce,
        };
        let message = jws::sign(Typ::Hello, self.id(), &hello, &self.key).unwrap();
        message.as_str().to_owned()
    }

    /// Says hello.
    pub async fn hello(&mut self) {
        let hello = self.hello_message();
        self.say(hello).await;
    }

    /// Waits until the backend has dealt with all that was said: it hears one lock in order, and answers this question
    /// about the time.
    pub async fn until_heard(&mut self) {
        let nonce = base64url::text16(&OsRandom.bits().to_be_bytes());
        let hello = self.hello_with(Some(&nonce));
        self.say(hello).await;
        while claims_of(&self.next_of(Typ::Time).await)["nonce"] != nonce.as_str() {}
    }

    /// Forgets everything but its key, as after a reset that its backend is not told of.
    pub fn begin_anew(&mut self) {
        self.chain = new_chain();
        self.boot = 1;
        self.ctr = 0;
        self.pins = 0;
    }

    /// The next token that comes down.
    pub async fn next_token(&mut self) -> Token {
        self.next_of(Typ::Unlock).await;
        self.tokens.last().unwrap().clone()
    }

    /// The next message of this type that comes down.
    pub async fn next_of(&mut self, typ: Typ) -> String {
        loop {
            let compact = self.radio.as_mut().unwrap().next_text().await;
            self.down.push(compact.clone());
            let its_typ = Message::parse(&compact).unwrap().typ().unwrap();
            if its_typ == Typ::Unlock {
                let claims = claims_of(&compact);
                let token = compact.clone();
                self.tokens.push(Token { compact: token, claims });
            }
            if its_typ == typ {
                return compact;
            }
        }
    }

    /// Waits until the backend has acknowledged all events that were made.
    pub async fn until_acknowledged(&mut self) {
        loop {
            let ack = claims_of(&self.next_of(Typ::Ack).await);
            if ack["chain"] == self.chain.id() && ack["seq"] == self.chain.next() - 1 {
                return;
            }
        }
    }

    /// Seconds since its start.
    fn mono(&self) -> u64 {
        let since_ms = self.clock.now().as_millis() - self.started_ms;
        u64::try_from(since_ms / 1000).unwrap() + self.ahead
    }
}

/// What a message says; nothing of it is verified.
pub fn claims_of(compact: &str) -> Value {
    use base64::Engine as _;
    let payload = compact.split('.').nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(payload)
        .unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn new_chain() -> Chain {
    Chain::begin(&OsRandom.bits().to_be_bytes())
}
