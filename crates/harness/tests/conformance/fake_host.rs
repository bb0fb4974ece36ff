//! The fake host, as the suites of files and chunks see it.

use async_trait::async_trait;
use camino::Utf8Path;
use contract::artifact::ArtifactId;
use contract::{ArtifactUrl, PresignedUrl};
use engine::layout::Layout;
use engine::port::UploadPart;
use engine::testing::chunks::{Ports, StoreHost};
use engine::testing::files::{FileHost, Seen};
use harness::fake::chunks::FakeChunks;
use harness::fake::disk::Inode;
use harness::fake::files::FakeFiles;
use harness::fake::objects::Object;
use harness::fake::{Content, Life};

struct FakeFileHost(Life);

fn layout() -> Layout {
    Layout::new("/root")
}

fn text(content: &Content) -> String {
    match content {
        Content::Text(text) => text.clone(),
        other => other.describe(),
    }
}

/// Where the fake store has what.
fn url(artifact: ArtifactId) -> PresignedUrl {
    format!("https://store.test/{artifact}?signature=x").parse().expect("a signed URL of a test")
}

#[async_trait]
impl FileHost for FakeFileHost {
    fn layout(&self) -> Layout {
        layout()
    }

    async fn write(&self, path: &Utf8Path, text: &str) {
        let inode = Inode {
            content: Content::Text(text.to_owned()),
            size_bytes: text.len() as u64,
            owner: 0,
            is_read_only: false,
            was_held_by_vmm: false,
        };
        self.0.world().lock().disk.write(path, inode).expect("a file in a directory");
    }

    async fn see(&self, path: &Utf8Path) -> Option<Seen> {
        let state = self.0.world().lock();
        let (number, inode) = state.disk.file(path).ok()?;
        Some(Seen {
            text: text(&inode.content),
            size_bytes: inode.size_bytes,
            owner: inode.owner,
            is_read_only: inode.is_read_only,
            inode: number,
        })
    }

    async fn has_dir(&self, path: &Utf8Path) -> bool {
        self.0.world().lock().disk.has_dir(path)
    }

    async fn artifact(&self, name: &str, text: &str) -> ArtifactUrl {
        let url = format!("https://images.test/{name}");
        let object =
            Object { content: Content::Text(text.to_owned()), size_bytes: text.len() as u64 };
        self.0.world().lock().objects.put(&url, object);
        url.parse().expect("a URL of a test")
    }
}

#[async_trait]
impl StoreHost for FakeFileHost {
    async fn begin_upload(
        &self,
        artifact: ArtifactId,
        size_bytes: u64,
    ) -> (String, Vec<UploadPart>) {
        let part = UploadPart { part_number: 1, offset_bytes: 0, size_bytes, url: url(artifact) };
        (format!("upload-{artifact}"), vec![part])
    }

    async fn complete_upload(&self, artifact: ArtifactId, upload_id: &str, etags: &[String]) {
        let mut state = self.0.world().lock();
        let parts = state.objects.parts(upload_id);
        assert_eq!(parts.len(), etags.len(), "each part has its ETag");
        let (_, part) = parts.into_iter().next().expect("one part");
        let object = Object { content: part.content, size_bytes: part.size_bytes };
        state.objects.put(url(artifact).as_url().as_str(), object);
    }

    async fn replace(&self, artifact: ArtifactId, text: &str) {
        let object =
            Object { content: Content::Text(text.to_owned()), size_bytes: text.len() as u64 };
        self.0.world().lock().objects.put(url(artifact).as_url().as_str(), object);
    }

    async fn signed(&self, artifact: ArtifactId) -> PresignedUrl {
        url(artifact)
    }
}

#[tokio::test]
async fn the_fake_files_pass_the_suite_of_the_real_ones() {
    let life = super::life();
    let files = FakeFiles::new(life.clone(), layout());
    engine::testing::files::conforms(&files, &FakeFileHost(life.clone())).await;
    assert_eq!(life.world().lock().defects, std::collections::BTreeSet::new());
}

#[tokio::test]
async fn the_fake_chunks_pass_the_suite_of_the_real_ones() {
    let life = super::life();
    let files = FakeFiles::new(life.clone(), layout());
    let chunks = FakeChunks::new(life.clone());
    let ports = Ports { chunks: &chunks, files: &files };
    engine::testing::chunks::conforms(&ports, &FakeFileHost(life.clone())).await;
    assert_eq!(life.world().lock().defects, std::collections::BTreeSet::new());
}
