//! One call of one endpoint.

use std::marker::PhantomData;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use serde::Serialize;
use url::form_urlencoded;

use super::connection::{Answering, RequestBody, read_whole};
use super::{Client, ClientError, USUAL};
use crate::endpoint::Endpoint;
use crate::endpoint::body::Whole;
use crate::endpoint::path::fill;
use crate::id::OperationId;
use crate::operation::{IdempotencyKey, OPERATION_ID_HEADER};

/// A call that is being prepared.
#[derive(Debug)]
#[must_use = "a call does nothing until it is sent"]
pub struct Call<'a, E> {
    client: &'a Client,
    target: String,
    body: Result<Vec<u8>, serde_json::Error>,
    key: Option<IdempotencyKey>,
    deadline: Duration,
    endpoint: PhantomData<E>,
}

/// An answer of success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// What was answered.
    pub value: T,
    /// The operation that did it, where there is one.
    pub operation_id: Option<OperationId>,
}

impl Client {
    /// Prepares a call of an endpoint about the things in its path. It has the [`USUAL`] deadline.
    pub fn call<E: Endpoint>(&self, _endpoint: E, path: &E::Path) -> Call<'_, E> {
        Call {
            client: self,
            target: fill(E::PATH, path),
            body: Ok(Vec::new()),
            key: None,
            deadline: USUAL,
            endpoint: PhantomData,
        }
    }
}

impl<E: Endpoint> Call<'_, E> {
    /// Adds what follows the path.
    pub fn query(mut self, query: &E::Query) -> Self {
        match query_text(query) {
            Ok(text) if text.is_empty() => {}
            Ok(text) => self.target = format!("{}?{text}", self.target),
            Err(error) => self.body = Err(error),
        }
        self
    }

    /// Gives the call a key by which it can be repeated, where there is one.
    pub fn key(mut self, key: impl Into<Option<IdempotencyKey>>) -> Self {
        self.key = key.into();
        self
    }

    /// Gives the call another deadline, for connecting, asking and reading the answer together.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Adds what is sent.
    pub fn body(mut self, value: &<E::Request as Whole>::Value) -> Self
    where
        E::Request: Whole,
    {
        self.body = self.body.and_then(|_| E::Request::encode(value));
        self
    }

    /// Sends it and waits for the answer.
    ///
    /// # Errors
    /// Whatever kept it from being answered with success.
    pub async fn send(self) -> Result<Answer<<E::Answer as Whole>::Value>, ClientError>
    where
        E::Answer: Whole,
    {
        let deadline = self.deadline;
        tokio::time::timeout(deadline, self.send_and_read())
            .await
            .map_err(|_elapsed| ClientError::Deadline { call: E::NAME, after: deadline })?
    }

    async fn send_and_read(self) -> Result<Answer<<E::Answer as Whole>::Value>, ClientError>
    where
        E::Answer: Whole,
    {
        let client = self.client;
        let Answering { response, driver } = client.exchange(E::NAME, self.into_request()?).await?;
        let (parts, body) = response.into_parts();
        let bytes = read_whole(E::NAME, body).await?;
        drop(driver);
        if !parts.status.is_success() {
            return Err(ClientError::of_answer(E::NAME, parts.status, &parts.headers, &bytes));
        }
        let value = E::Answer::decode(&bytes).map_err(|error| ClientError::Unexpected {
            call: E::NAME,
            status: parts.status,
            source: Some(error),
        })?;
        let operation_id = parts
            .headers
            .get(OPERATION_ID_HEADER)
            .and_then(|id| id.to_str().ok())
            .and_then(|id| id.parse().ok());
        Ok(Answer { value, operation_id })
    }

    /// The request as HTTP.
    pub(super) fn into_request(self) -> Result<Request<RequestBody>, ClientError> {
        let call = E::NAME;
        let body = self.body.map_err(|source| ClientError::Encode { call, source })?;
        let mut request = Request::builder()
            .method(E::METHOD)
            .uri(&self.target)
            .header(header::HOST, self.client.authority());
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(key) = &self.key {
            request = request.header(IdempotencyKey::HEADER, key.as_str());
        }
        request
            .body(Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed_unsync())
            .map_err(|source| ClientError::Request { call, source })
    }
}

/// A flat object of texts as it follows a `?`.
fn query_text(query: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut text = form_urlencoded::Serializer::new(String::new());
    if let serde_json::Value::Object(fields) = serde_json::to_value(query)? {
        for (name, value) in &fields {
            match value {
                serde_json::Value::String(value) => text.append_pair(name, value),
                other => text.append_pair(name, &other.to_string()),
            };
        }
    }
    Ok(text.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{OperationsQuery, Wait, WaitQuery};

    #[test]
    fn a_query_is_written_with_its_characters_escaped() {
        let wait = WaitQuery { wait: Some(Wait::Running) };
        assert_eq!(query_text(&wait).unwrap(), "wait=running");
        assert_eq!(query_text(&WaitQuery::default()).unwrap(), "");
        let key = OperationsQuery { key: Some("a&b=c".parse().unwrap()) };
        assert_eq!(query_text(&key).unwrap(), "key=a%26b%3Dc");
    }
}
