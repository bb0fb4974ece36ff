//! What clients show at a machine's exec port.
//!
//! Each machine has a token of its own, so that a hostile guest, which knows its own, gets into no other. Whoever has the secret
//! can work it out without asking: HMAC-SHA256 of the machine's id under the secret, in lower-case hexadecimal.

use contract::{MachineId, Secret};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Works out tokens.
#[derive(Debug, Clone, Default)]
pub struct ExecTokens {
    secret: Option<Secret>,
}

impl ExecTokens {
    /// With the secret of `guest.exec_secret_file`; without one, everybody who reaches an exec port is let in.
    pub fn new(secret: Option<Secret>) -> Self {
        Self { secret }
    }

    /// The token of a machine; empty where none is wanted.
    pub(super) fn of(&self, machine: &MachineId) -> Secret {
        let Some(secret) = &self.secret else { return Secret::default() };
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes())
            .expect("HMAC takes a key of any length");
        mac.update(machine.as_str().as_bytes());
        Secret::new(hex::encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promise_p11_every_machine_has_a_token_of_its_own_which_anybody_with_the_secret_knows() {
        let tokens = ExecTokens::new(Some(Secret::new("0123456789abcdef")));
        let of = |id: &str| tokens.of(&id.parse().unwrap()).reveal().to_owned();
        // printf box | openssl dgst -sha256 -hmac 0123456789abcdef
        assert_eq!(of("box"), "a145c03eda6509442bf1684b3ba4bcc662d42dcbbcecb8863437ac664385e9ff");
        assert_ne!(of("box"), of("box-2"));
        assert!(ExecTokens::default().of(&"box".parse().unwrap()).is_empty());
    }
}
