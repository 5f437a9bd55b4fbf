//! A mail server, spoken to over SMTP (RFC 5321, RFC 6409).

use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use super::draft::{BadTemplate, Templates};
use crate::domain::account::Email;
use crate::domain::ids::LetterId;
use crate::domain::letter::{Carrier, Letter, NotCarried};
use crate::domain::time::Timestamp;

/// How long the server may take for one command.
const A_COMMAND: Duration = Duration::from_secs(20);

/// How long one letter may take in all; it is tried again afterwards. A backend that stops waits for it.
const A_LETTER: Duration = Duration::from_secs(30);

/// The replies that are about us and not about the letter: who we are has to be mended, and then it goes (RFC 4954, 6).
const NOT_LET_IN: [u16; 4] = [530, 534, 535, 538];

/// Where the mail server is, and who we are there.
pub struct SmtpOptions {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the way there is protected.
    pub privacy: Privacy,
    /// The authority to trust, in PEM; those that the machine trusts where there is none.
    pub authority: Option<Vec<u8>>,
    /// User name and password, where the server asks for them.
    pub credentials: Option<(String, String)>,
    /// The sender of every letter.
    pub from: Email,
    /// Where the house is.
    pub public_url: String,
}

/// How the way to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privacy {
    /// Not at all: the server is on this machine.
    Plain,
    /// By STARTTLS; a server that does not know it gets nothing.
    StartTls,
    /// By TLS from the first byte.
    Tls,
}

/// The mail server cannot be spoken to as the configuration says.
#[derive(Debug, thiserror::Error)]
pub enum BadMail {
    /// The authority is none, or the machine trusts nobody.
    #[error("the mail server's authority cannot be used")]
    Trust(#[source] lettre::transport::smtp::Error),
    /// The sender's address is none.
    #[error("the sender's address cannot be used")]
    Sender(#[source] lettre::address::AddressError),
    /// A template does not fit.
    #[error(transparent)]
    Template(#[from] BadTemplate),
}

/// A mail server.
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    templates: Templates,
}

impl Smtp {
    /// Speaks to nobody yet.
    ///
    /// # Errors
    /// [`BadMail`].
    pub fn new(options: SmtpOptions) -> Result<Self, BadMail> {
        let from: Address = options.from.as_str().parse().map_err(BadMail::Sender)?;
        let tls = match options.privacy {
            Privacy::Plain => Tls::None,
            Privacy::StartTls => Tls::Required(trust(&options)?),
            Privacy::Tls => Tls::Wrapper(trust(&options)?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&options.host)
            .port(options.port)
            .tls(tls)
            .hello_name(ClientId::Domain(from.domain().to_owned()))
            .timeout(Some(A_COMMAND));
        if let Some((user, password)) = options.credentials {
            builder = builder.credentials(Credentials::new(user, password));
        }
        Ok(Self {
            transport: builder.build(),
            from: Mailbox::new(Some("Doorward".to_owned()), from),
            templates: Templates::new(options.public_url)?,
        })
    }

    fn message(&self, id: &LetterId, to: &Email, letter: &Letter, now: Timestamp) -> Result<Message, Unwritten> {
        let draft = self.templates.draft(letter)?;
        let date = UNIX_EPOCH + Duration::from_millis(now.as_millis().unsigned_abs());
        let message = Message::builder()
            .from(self.from.clone())
            // The bare address: a name could not say anything that is known to be true.
            .to(Mailbox::new(None, to.as_str().parse()?))
            .subject(draft.subject)
            .date(date)
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            // No answering machine answers it (RFC 3834, 5).
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .multipart(MultiPart::alternative_plain_html(draft.text, draft.html))?;
        Ok(message)
    }
}

/// A letter could not be put into the form of a message.
#[derive(Debug, thiserror::Error)]
enum Unwritten {
    #[error(transparent)]
    Template(#[from] BadTemplate),
    #[error(transparent)]
    Address(#[from] lettre::address::AddressError),
    #[error(transparent)]
    Message(#[from] lettre::error::Error),
}

fn trust(options: &SmtpOptions) -> Result<TlsParameters, BadMail> {
    let mut tls = TlsParameters::builder(options.host.clone());
    if let Some(pem) = &options.authority {
        let authority = Certificate::from_pem(pem).map_err(BadMail::Trust)?;
        tls = tls
            .certificate_store(CertificateStore::None)
            .add_root_certificate(authority);
    }
    tls.build_rustls().map_err(BadMail::Trust)
}

#[async_trait]
impl Carrier for Smtp {
    async fn carry(&self, id: &LetterId, to: &Email, letter: &Letter, now: Timestamp) -> Result<(), NotCarried> {
        let message = self.message(id, to, letter, now).map_err(|unwritten| {
            let cause = &unwritten as &dyn std::error::Error;
            tracing::error!(error = cause, letter.id = %id, "letter {id} cannot be written");
            NotCarried::Refused { code: 0 }
        })?;
        match tokio::time::timeout(A_LETTER, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(meaning(&error)),
            Err(_) => Err(NotCarried::Away {
                why: "it took too long",
            }),
        }
    }
}

/// What follows from the error. What the server wrote is not looked at: it may name the addressee.
fn meaning(error: &lettre::transport::smtp::Error) -> NotCarried {
    let away = |why| NotCarried::Away { why };
    match error.status().map(u16::from) {
        Some(code) if NOT_LET_IN.contains(&code) => away("it does not let us in: see mail.username and mail.password"),
        Some(code) if error.is_permanent() => NotCarried::Refused { code },
        Some(_) => away("it said to come again"),
        None if error.is_timeout() => away("it does not answer"),
        None if error.is_tls() => away("TLS failed: see mail.ca_file"),
        None if error.is_client() => away("it lacks what is needed, such as STARTTLS"),
        None => away("it cannot be reached"),
    }
}
