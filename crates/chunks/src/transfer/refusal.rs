//! Answers that are no success: whether they pass, and the reason they give.

use http::StatusCode;
use reqwest::Response;

use super::error::TransferError;
use super::retry::retry_after;
use super::url::SecretUrl;

/// Most of an error's body that is read.
const BODY_BYTES: usize = 4096;
/// Most of a reason that is repeated.
const REASON_CHARACTERS: usize = 200;

/// Passes a success or redirect on, and turns anything else into an error with the reason given.
pub(super) async fn check_status(
    url: &SecretUrl,
    response: Response,
) -> Result<Response, TransferError> {
    let status = response.status();
    if status.is_success() || status.is_redirection() {
        return Ok(response);
    }
    let retry_after = retry_after(response.headers(), jiff::Timestamp::now());
    let (url, reason) = (url.clone(), read_reason(response).await);
    Err(match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            TransferError::Unavailable { url, status: status.as_u16(), reason, retry_after }
        }
        _ if status.is_server_error() => {
            TransferError::Unavailable { url, status: status.as_u16(), reason, retry_after }
        }
        _ => TransferError::Refused { url, status: status.as_u16(), reason },
    })
}

/// Reads the start of an error's body; what cannot be read gives no reason, since the status is the
/// error.
async fn read_reason(mut response: Response) -> String {
    let mut body = Vec::new();
    while body.len() < BODY_BYTES
        && let Ok(Some(piece)) = response.chunk().await
    {
        body.extend_from_slice(&piece[..piece.len().min(BODY_BYTES - body.len())]);
    }
    reason_of(&String::from_utf8_lossy(&body))
}

/// The code and message of an S3 error. Nothing else of a body is repeated: it may hold the request
/// that was signed.
fn reason_of(body: &str) -> String {
    let field = |name: &str| {
        let (_, after) = body.split_once(&format!("<{name}>"))?;
        let (text, _) = after.split_once(&format!("</{name}>"))?;
        let is_plain = |character: &char| !character.is_control();
        Some(text.chars().filter(is_plain).take(REASON_CHARACTERS).collect::<String>())
    };
    match (field("Code"), field("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(text), None) | (None, Some(text)) => text,
        (None, None) => "no reason given".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_and_message_of_an_error_are_repeated_promise_p11() {
        let body = "<?xml?><Error><Code>SignatureDoesNotMatch</Code><Message>no\nmatch</Message>\
                    <StringToSign>5ec7e7</StringToSign></Error>";
        assert_eq!(reason_of(body), "SignatureDoesNotMatch: nomatch");
        assert_eq!(reason_of("<Code>AccessDenied</Code>"), "AccessDenied");
        assert_eq!(reason_of("5ec7e7"), "no reason given");
        assert_eq!(reason_of("<Code>cut"), "no reason given");
    }
}
