//! What callers may say: ids, requests, responses, error codes, the endpoint table, OpenAPI and a typed client.
