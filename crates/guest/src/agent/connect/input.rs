//! StreamInput: input for one process, message by message.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::calls::write;
use super::codec::Codec;
use super::envelope::Messages;
use super::error::{Code, ConnectError};
use super::find::find;
use super::messages::{Empty, InputEvent, StreamInputRequest};
use crate::agent::exec::Session;
use crate::agent::machine::Machine;

/// How long a client may say nothing.
const SILENCE_DEADLINE: Duration = Duration::from_secs(3600);

/// Takes input until the client ends its stream.
pub(super) async fn stream_input(
    machine: &Machine,
    codec: Codec,
    mut messages: Messages,
) -> Result<Empty, ConnectError> {
    let mut session: Option<Arc<Session>> = None;
    loop {
        let silent = |_elapsed| ConnectError::new(Code::DeadlineExceeded, "no input came");
        let message = timeout(SILENCE_DEADLINE, messages.next()).await.map_err(silent)??;
        let Some(message) = message else { return Ok(Empty {}) };
        match codec.decode::<StreamInputRequest>(message)?.event {
            Some(InputEvent::Start(start)) => session = Some(find(machine, start.process)?),
            Some(InputEvent::Data(data)) => {
                let session = session
                    .as_ref()
                    .ok_or_else(|| ConnectError::invalid("the first message names the process"))?;
                write(session, data.input).await?;
            }
            Some(InputEvent::Keepalive(_)) | None => {}
        }
    }
}
