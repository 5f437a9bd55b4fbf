//! What the demo tells: addresses, sign-ins, and lines to paste.

use std::path::Path;

use doorward::app::BrokerAddress;
use serde_json::json;

use super::memory::{Door, Memory, SignIn};

/// A function of the shell that prints the instant so many minutes from now. Nobody knows when a line is pasted; and the `date`
/// of macOS and BSD knows `-v`, that of Linux `-d`.
const FROM_NOW: &str = "from_now() { date -u -v\"${1}M\" +%FT%TZ 2>/dev/null || date -u -d \"$1 minutes\" +%FT%TZ; }";

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
             \n# 1. Sign in as the tenant. The first line is for the times that follow.\n\
             {FROM_NOW}\n\
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
             \\\"starts_at\\\":\\\"$(from_now +0)\\\",\\\"ends_at\\\":\\\"$(from_now +120)\\\"}}\" \
             | sed 's/.*\"id\":\"\\(grant_[0-9a-f]*\\)\".*/\\1/'); echo $GRANT\n\
             \n# 6. The guest opens it.\n\
             GUEST=$({guest_in})\n\
             curl -s -X POST {base}/v1/locks/{own_id}/unlock -H \"Authorization: Bearer $GUEST\"; echo\n\
             \n# 7. Take it back, and see the guest refused.\n\
             curl -s -X POST {base}/v1/grants/$GRANT/revoke -H \"Authorization: Bearer $LANDLORD\"; echo\n\
             curl -s -X POST {base}/v1/locks/{own_id}/unlock -H \"Authorization: Bearer $GUEST\"; echo\n\
             {more}\
             \nCtrl-C stops it; the next start goes on with what is there.\n",
            more = self.life(own),
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

    /// What else happens in a house: help, visits, lock-outs, lockdowns, curiosity.
    fn life(&self, own: &Door) -> String {
        let base = self.base_url;
        let post = |path: &str, who: &str, body: &str| {
            format!(
                "curl -s {base}{path} -H \"Authorization: Bearer ${who}\" -H 'Content-Type: application/json' -d '{body}'"
            )
        };
        let act = |path: &str, who: &str| format!("curl -s -X POST {base}{path} -H \"Authorization: Bearer ${who}\"");
        let get = |path: &str, who: &str| format!("curl -s {base}{path} -H \"Authorization: Bearer ${who}\"");
        let pick = |member: &str| format!("sed 's/.*\"{member}\":\"\\([^\"]*\\)\".*/\\1/'");
        let id = |kind: &str| format!("grep -o '{kind}_[0-9a-f]*' | head -n 1");
        let from_now = |minutes: i32| format!("'$(from_now {minutes:+})'");
        let now = from_now(0);
        let (door, unit) = (&own.id, &own.unit_id);
        let evening = from_now(8 * 60);
        let lend = post(
            "/v1/grants",
            "TENANT",
            &format!(
                "{{\"lock_ids\":[\"{door}\"],\"to\":{{\"guest\":{{\"name\":\"Fay\"}}}},\"starts_at\":\"{now}\",\"ends_at\":\"{evening}\"}}"
            ),
        );
        let order = post(
            "/v1/visits",
            "LANDLORD",
            &format!(
                "{{\"lock_ids\":[\"{door}\"],\"vendor\":{{\"name\":\"Paul\",\"company\":\"Pipes\",\"phone\":\"+43 1 234 5678\"}},\
                 \"purpose\":\"The sink leaks\",\"starts_at\":\"{now}\",\"ends_at\":\"{evening}\"}}"
            ),
        );
        let ask = post(
            "/v1/lockouts",
            "TENANT",
            &format!("{{\"lock_id\":\"{door}\",\"identity\":{{\"kind\":\"session\"}}}}"),
        );
        let property = &self.memory.property_id;
        let lockdown = post(
            &format!("/v1/properties/{property}/lockdown"),
            "LANDLORD",
            &format!("{{\"until\":\"{}\",\"reason\":\"Smell of gas\"}}", from_now(10)),
        );
        let look = post(
            "/v1/looks",
            "LANDLORD",
            &format!(
                "{{\"unit_id\":\"{unit}\",\"from\":\"{}\",\"to\":\"{now}\",\"reason\":\"Water on the ceiling below\",\"minutes\":10}}",
                from_now(-60)
            ),
        );
        format!(
            "\n# 8. The tenant lets a friend in until the evening: no account, a link for her phone ({base}/guest).\n\
             FRIEND=$({lend} | {grant_id})\n\
             {link}; echo\n\
             \n# 9. A plumber is ordered. The tenant agrees, the office calls him up, and what he says back lets him in.\n\
             VISIT=$({order} | {visit_id})\n\
             {consent}; echo\n\
             CODE=$({call} | {code})\n\
             curl -s {base}/v1/visits/$VISIT/verify -H \"Authorization: Bearer $LANDLORD\" -H 'Content-Type: application/json' \
             -d '{{\"code\":\"'$CODE'\"}}'; echo\n\
             \n# 10. Locked out: the tenant asks from any browser, the desk says yes, and a link opens once.\n\
             LOCKOUT=$({ask} | {lockout_id})\n\
             {approve}; echo\n\
             {way_in}; echo\n\
             \n# 11. A lockdown refuses everybody who is not excepted, and never the way out. It ends by itself, or sooner.\n\
             {lockdown}; echo\n\
             {refused}; echo\n\
             curl -s -X DELETE {base}/v1/properties/{property}/lockdown -H \"Authorization: Bearer $LANDLORD\"; echo\n\
             \n# 12. The landlord does not see who comes home. To look she says why, and the tenant is told.\n\
             {look}; echo\n\
             {told}; echo\n",
            grant_id = id("grant"),
            link = act("/v1/grants/$FRIEND/link", "TENANT"),
            visit_id = id("visit"),
            consent = act("/v1/visits/$VISIT/consent", "TENANT"),
            call = act("/v1/visits/$VISIT/call", "LANDLORD"),
            code = pick("code"),
            lockout_id = id("lockout"),
            approve = act("/v1/lockouts/$LOCKOUT/approve", "LANDLORD"),
            way_in = act("/v1/lockouts/$LOCKOUT/way-in", "TENANT"),
            refused = act(&format!("/v1/locks/{door}/unlock"), "TENANT"),
            told = get("/v1/me/looks", "TENANT"),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use doorward::domain::time::Timestamp;

    use super::*;

    #[test]
    fn the_shell_of_this_machine_prints_times_from_now() {
        let script = format!("{FROM_NOW}; from_now -60; from_now +0; from_now +120");
        let said = Command::new("sh").arg("-c").arg(script).output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let times: Vec<Timestamp> = said.lines().map(|line| line.parse().unwrap()).collect();
        let [before, now, after] = times[..] else {
            panic!("{said}")
        };
        // They are printed one after the other, and the second may turn between.
        let slack = Duration::from_secs(30);
        for (earlier, later, minutes) in [(before, now, 60), (now, after, 120)] {
            let apart = later.since(earlier);
            let asked = Duration::from_secs(minutes * 60);
            assert!(apart >= asked && apart < asked + slack, "{said}");
        }
    }
}
