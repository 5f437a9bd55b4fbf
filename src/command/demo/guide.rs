//! What the demo tells: addresses, sign-ins, and lines to paste.

use std::path::Path;

use doorward::app::BrokerAddress;
use serde_json::json;

use super::memory::{Memory, SignIn};

/// All that there is to tell.
pub struct Guide<'a> {
    /// Who and what there is.
    pub memory: &'a Memory,
    /// Where the REST surface is.
    pub base_url: &'a str,
    /// Where the broker is.
    pub broker: &'a BrokerAddress,
    /// The broker's certificate authority.
    pub ca_file: &'a Path,
    /// The demo's folder.
    pub dir: &'a Path,
}

impl Guide<'_> {
    /// One JSON object on one line.
    pub fn json(&self) -> String {
        let Memory {
            landlord,
            tenant,
            guest,
            property_id,
            locks,
        } = self.memory;
        let ca_file = std::path::absolute(self.ca_file).unwrap_or_else(|_| self.ca_file.to_owned());
        json!({
            "base_url": self.base_url,
            "mqtt": { "host": self.broker.host, "port": self.broker.port, "ca_file": ca_file },
            "landlord": landlord,
            "tenant": tenant,
            "guest": guest,
            "property_id": property_id,
            "locks": locks,
        })
        .to_string()
    }

    /// The guide for a person.
    pub fn text(&self) -> String {
        let Memory {
            landlord,
            tenant,
            guest,
            locks,
            ..
        } = self.memory;
        let (own, other) = match locks.as_slice() {
            [own, other, ..] => (own, other),
            _ => return self.json(),
        };
        let base = self.base_url;
        let mqtt = format!("mqtts://{}:{}", self.broker.host, self.broker.port);
        let sign_in = |who: &SignIn| {
            format!(
                "curl -s {base}/v1/auth/sign-in -H 'Content-Type: application/json' \
                 -d '{{\"email\":\"{}\",\"password\":\"{}\"}}' | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/'",
                who.email, who.password
            )
        };
        format!(
            "\nDoorward is running in {dir}\n\
             \n  REST surface   {base}   (browse it at {base}/docs)\
             \n  broker         {mqtt}   (authority: {ca})\
             \n  landlord       {l_email}   {l_password}\
             \n  tenant         {t_email}   {t_password}   lives behind \"{own_name}\"\
             \n  guest          {g_email}   {g_password}   may open nothing yet\
             \n  locks          {own_id}   {own_name}\
             \n                 {other_id}   {other_name}\n\
             \nPaste these into another terminal, one after the other.\n\
             \n# 1. Sign in as the tenant.\n\
             TENANT=$({tenant_in})\n\
             \n# 2. Unlock: the answer says \"confirmed\" once the lock itself has said so.\n\
             curl -s -X POST {base}/v1/locks/{own_id}/unlock -H \"Authorization: Bearer $TENANT\"; echo\n\
             \n# 3. A door that is not theirs: refused.\n\
             curl -s -X POST {base}/v1/locks/{other_id}/unlock -H \"Authorization: Bearer $TENANT\"; echo\n\
             \n# 4. Sign in as the landlord and read the access log.\n\
             LANDLORD=$({landlord_in})\n\
             curl -s {base}/v1/access-log -H \"Authorization: Bearer $LANDLORD\"; echo\n\
             \n# 5. Give the guest two hours at the first door.\n\
             GRANT=$(curl -s {base}/v1/grants -H \"Authorization: Bearer $LANDLORD\" -H 'Content-Type: application/json' \
             -d \"{{\\\"lock_ids\\\":[\\\"{own_id}\\\"],\\\"to\\\":{{\\\"email\\\":\\\"{g_email}\\\"}},\
             \\\"starts_at\\\":\\\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\\\",\
             \\\"ends_at\\\":\\\"$(date -u -d '+2 hours' +%Y-%m-%dT%H:%M:%SZ)\\\"}}\" \
             | sed 's/.*\"id\":\"\\(grant_[0-9a-f]*\\)\".*/\\1/'); echo $GRANT\n\
             \n# 6. The guest opens it.\n\
             GUEST=$({guest_in})\n\
             curl -s -X POST {base}/v1/locks/{own_id}/unlock -H \"Authorization: Bearer $GUEST\"; echo\n\
             \n# 7. Take it back, and see the guest refused.\n\
             curl -s -X POST {base}/v1/grants/$GRANT/revoke -H \"Authorization: Bearer $LANDLORD\"; echo\n\
             curl -s -X POST {base}/v1/locks/{own_id}/unlock -H \"Authorization: Bearer $GUEST\"; echo\n\
             \nCtrl-C stops it; the next start goes on with what is there.\n",
            dir = self.dir.display(),
            ca = self.ca_file.display(),
            l_email = landlord.email,
            l_password = landlord.password,
            t_email = tenant.email,
            t_password = tenant.password,
            g_email = guest.email,
            g_password = guest.password,
            own_id = own.id,
            own_name = own.name,
            other_id = other.id,
            other_name = other.name,
            tenant_in = sign_in(tenant),
            landlord_in = sign_in(landlord),
            guest_in = sign_in(guest),
        )
    }
}
