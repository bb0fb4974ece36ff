//! Snapshot bytes: digests, manifest, sealing, transfer through pre-signed URLs.
