//! Signatures of outgoing webhooks, after the Standard Webhooks specification.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The account's signing key as receivers configure it: `whsec_` and the key in base64.
pub fn webhook_secret(key: &[u8; 32]) -> String {
    format!("whsec_{}", STANDARD.encode(key))
}

/// The value of the `webhook-signature` header: `v1,` and the HMAC-SHA256 of `id.seconds.body` in base64.
pub(crate) fn signature(key: &[u8; 32], id: &str, seconds: i64, body: &[u8]) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of 32 bytes is a key");
    mac.update(format!("{id}.{seconds}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specification_s_example_is_reproduced() {
        let key: [u8; 32] = *b"0123456789abcdef0123456789abcdef";
        let oracle = standardwebhooks::Webhook::new(&webhook_secret(&key)).unwrap();
        let body = br#"{"type":"job.done"}"#;
        assert_eq!(
            signature(&key, "msg_1", 1_674_087_231, body),
            oracle.sign("msg_1", 1_674_087_231, body).unwrap()
        );
    }
}
