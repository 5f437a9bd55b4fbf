//! People: whoever is signed in, as what they are.

use std::sync::Mutex;

use serde_json::{Value, json};

use super::{Answer, Door, Http, Request};

/// Everybody's password.
pub const PASSWORD: &str = "correct horse battery";

/// Somebody who is signed in.
pub struct Person {
    /// Who they are.
    pub id: String,
    /// What they are called.
    pub name: String,
    /// What they sign in with, beside [`PASSWORD`].
    pub email: String,
    pub(super) http: Http,
    tokens: Mutex<Tokens>,
}

struct Tokens {
    access: String,
    refresh: String,
}

impl Tokens {
    fn of(answer: &Value) -> Self {
        let text = |member: &str| answer[member].as_str().unwrap().to_owned();
        Self {
            access: text("access_token"),
            refresh: text("refresh_token"),
        }
    }
}

impl Person {
    /// Signs in somebody who has an account.
    pub async fn sign_in(http: &Http, name: &str, email: &str) -> Self {
        let body = json!({ "email": email, "password": PASSWORD });
        let tokens = http.post("/v1/auth/sign-in").json(body).await.expect(200);
        Self::of(http, name, email, &tokens).await
    }

    /// Accepts the invitation behind a secret link, as somebody who has no account yet or has [`PASSWORD`] on it.
    pub async fn accept(http: &Http, name: &str, email: &str, secret_link: &str) -> Self {
        let (_, secret) = secret_link.split_once('#').unwrap();
        let body = json!({ "secret": secret, "name": name, "password": PASSWORD });
        let tokens = http.post("/v1/invitations/accept").json(body).await.expect(200);
        Self::of(http, name, email, &tokens).await
    }

    /// Somebody without an account, whom a link has let in.
    pub fn by_link(http: &Http, name: &str, answer: &Value) -> Self {
        Self {
            id: String::new(),
            name: name.to_owned(),
            email: String::new(),
            http: http.clone(),
            tokens: Mutex::new(Tokens::of(answer)),
        }
    }

    async fn of(http: &Http, name: &str, email: &str, answer: &Value) -> Self {
        let mut person = Self {
            id: String::new(),
            name: name.to_owned(),
            email: email.to_owned(),
            http: http.clone(),
            tokens: Mutex::new(Tokens::of(answer)),
        };
        person.id = person.get("/v1/me").await.text_of("id");
        person
    }

    /// Signs in again, as after a day in which the phone lay in a drawer.
    pub async fn sign_in_again(&self) {
        let body = json!({ "email": self.email, "password": PASSWORD });
        let answer = self.http.post("/v1/auth/sign-in").json(body).await.expect(200);
        *self.tokens.lock().unwrap() = Tokens::of(&answer);
    }

    /// Signs in again, with this code beside the password.
    pub async fn sign_in_again_with(&self, code: &str) {
        let body = json!({ "email": self.email, "password": PASSWORD, "code": code });
        let answer = self.http.post("/v1/auth/sign-in").json(body).await.expect(200);
        *self.tokens.lock().unwrap() = Tokens::of(&answer);
    }

    /// The way to the server, with nobody signed in.
    pub fn http(&self) -> Http {
        self.http.clone()
    }

    /// Where the server is that this person uses.
    pub fn base_url(&self) -> String {
        self.http.base_url()
    }

    /// The access token.
    pub fn access_token(&self) -> String {
        self.tokens.lock().unwrap().access.clone()
    }

    /// The refresh token.
    pub fn refresh_token(&self) -> String {
        self.tokens.lock().unwrap().refresh.clone()
    }

    /// A request with this method, by this person.
    pub fn request(&self, method: &str, path: &str) -> Request {
        let token = self.access_token();
        let request = self.http.request(method, path).bearer(&token);
        request.proving(&self.http, &token)
    }

    /// `GET`.
    pub fn get(&self, path: &str) -> Request {
        self.request("GET", path)
    }

    /// `POST`, without a body so far.
    pub fn post(&self, path: &str) -> Request {
        self.request("POST", path)
    }

    /// `PUT`, without a body so far.
    pub fn put(&self, path: &str) -> Request {
        self.request("PUT", path)
    }

    /// `PATCH`, without a body so far.
    pub fn patch(&self, path: &str) -> Request {
        self.request("PATCH", path)
    }

    /// Gives access to doors under a right of their own; `terms` go over the doors and the receiver.
    pub fn lend(&self, doors: &[&Door], to: &Person, terms: Value) -> Request {
        let doors: Vec<&str> = doors.iter().map(|door| door.id.as_str()).collect();
        let mut grant = json!({ "lock_ids": doors, "to": { "person_id": to.id } });
        for (name, value) in terms.as_object().unwrap() {
            grant[name] = value.clone();
        }
        self.post("/v1/grants").json(grant)
    }

    /// `DELETE`.
    pub fn delete(&self, path: &str) -> Request {
        self.request("DELETE", path)
    }

    /// Asks for the door to be unlocked, and waits for the lock's word.
    pub async fn unlock(&self, door: &Door) -> Answer {
        self.post(&format!("/v1/locks/{}/unlock", door.id)).await
    }

    /// Asks for the door to be locked, and waits for the lock's word.
    pub async fn lock(&self, door: &Door) -> Answer {
        self.post(&format!("/v1/locks/{}/lock", door.id)).await
    }

    /// All items of a list, page by page; `path` may have a query.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = None;
        loop {
            let page = match &cursor {
                None => path.to_owned(),
                Some(cursor) => format!("{path}{}cursor={cursor}", if path.contains('?') { '&' } else { '?' }),
            };
            let mut page = self.get(&page).await.expect(200);
            items.append(page["data"].as_array_mut().unwrap());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return items,
            }
        }
    }
}
