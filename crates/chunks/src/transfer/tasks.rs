//! Work on tasks and threads of its own, with an owner: dropping the stream or the future ends it.

use futures_util::{Stream, StreamExt, stream};
use tokio_util::task::AbortOnDropHandle;

use super::error::TransferError;

/// Runs jobs on tasks of their own, so that they use every core, at most `parallel` at once.
/// Answers come as they are ready. The iterator is asked for the next job only when there is room
/// for it.
pub(super) fn on_tasks<Job, Output>(
    jobs: impl IntoIterator<Item = Job>,
    parallel: usize,
) -> impl Stream<Item = Result<Output, TransferError>>
where
    Job: Future<Output = Result<Output, TransferError>> + Send + 'static,
    Output: Send + 'static,
{
    stream::iter(jobs)
        .map(|job| async move { AbortOnDropHandle::new(tokio::spawn(job)).await? })
        .buffer_unordered(parallel.max(1))
}

/// Runs blocking work on the blocking pool. A caller that goes away leaves it to finish: it is
/// short.
pub(super) async fn blocking<Output: Send + 'static>(
    work: impl FnOnce() -> Result<Output, TransferError> + Send + 'static,
) -> Result<Output, TransferError> {
    tokio::task::spawn_blocking(work).await?
}
