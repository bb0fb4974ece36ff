//! Searches files: time linear in what is searched, and bounds on all that is kept.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkMatch};
use rustix::fs::FileType;

use super::error::FileError;
use super::read::open_regular;
use super::walk::{Manner, Walk};
use super::workspace::Workspace;
use crate::limits;
use crate::proto::files::{GrepRequest, GrepResponse, Match};

/// The longest line that is looked at, with the buffer that it needs; a file with a longer one is left there.
const LINE_BUFFER_BYTES: usize = 1 << 20;
/// A compiled pattern, and the table that searching fills.
const PATTERN_BYTES: usize = 4 << 20;
/// How deep a pattern is nested, which is how deep its compiler goes.
const PATTERN_NESTING: u32 = 64;

/// Searches a file, or all files beneath a directory. Files with a NUL count as binary and are left out from there on.
pub(crate) fn grep(
    workspace: &Workspace,
    request: &GrepRequest,
    mut page: impl FnMut(GrepResponse) -> bool,
) -> Result<(), FileError> {
    let matcher = matcher(request)?;
    let mut searcher = SearcherBuilder::new()
        .line_number(true)
        .heap_limit(Some(LINE_BUFFER_BYTES))
        .binary_detection(BinaryDetection::quit(0))
        .build();
    let deadline = Duration::from_millis(request.deadline_ms.into());
    let mut found = Found {
        page: &mut page,
        response: GrepResponse::default(),
        path: PathBuf::new(),
        page_bytes: 0,
        bytes: 0,
        left: request.max_matches.min(limits::GREP_MATCHES),
        deadline: Instant::now() + deadline,
        is_cut: false,
    };
    let path = Path::new(&request.path);
    let (file, stat) = open_regular(workspace, path)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        drop(file);
        let mut walk = Walk::begin(workspace, path, Manner::Looking)?;
        while let Some(entry) = walk.next()? {
            if found.is_over() {
                break;
            }
            if entry.is_file() {
                match walk.open(&entry) {
                    Ok(file) => found.search(&mut searcher, &matcher, &file, entry.path)?,
                    // It has gone since.
                    Err(error) if error.is_absent() => {}
                    Err(error) => return Err(error),
                }
            }
        }
    } else {
        found.search(&mut searcher, &matcher, &file, PathBuf::new())?;
    }
    found.finish();
    Ok(())
}

fn matcher(request: &GrepRequest) -> Result<RegexMatcher, FileError> {
    RegexMatcherBuilder::new()
        .fixed_strings(!request.is_regex)
        .case_insensitive(request.case_insensitive)
        .line_terminator(Some(b'\n'))
        .size_limit(PATTERN_BYTES)
        .dfa_size_limit(PATTERN_BYTES)
        .nest_limit(PATTERN_NESTING)
        .build(&request.pattern)
        .map_err(|error| FileError::Pattern(Box::new(error)))
}

/// What was found so far.
struct Found<'a, Page> {
    page: &'a mut Page,
    response: GrepResponse,
    path: PathBuf,
    page_bytes: usize,
    bytes: usize,
    left: u32,
    deadline: Instant,
    /// Something is left out.
    is_cut: bool,
}

impl<Page: FnMut(GrepResponse) -> bool> Found<'_, Page> {
    fn search(
        &mut self,
        searcher: &mut Searcher,
        matcher: &RegexMatcher,
        file: &std::fs::File,
        path: PathBuf,
    ) -> Result<(), FileError> {
        self.path = path;
        let content = Timed { file, deadline: self.deadline };
        match searcher.search_reader(matcher, content, &mut *self) {
            Ok(()) => Ok(()),
            // A line that is longer than what is looked at, or the deadline: the file is left there, and the answer says so.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::Other | io::ErrorKind::TimedOut) =>
            {
                self.is_cut = true;
                Ok(())
            }
            Err(error) => Err(FileError::io("search", &self.path)(error)),
        }
    }

    fn is_over(&mut self) -> bool {
        let is_over =
            self.left == 0 || self.bytes >= limits::GREP_BYTES || Instant::now() >= self.deadline;
        self.is_cut |= is_over;
        is_over
    }

    fn send(&mut self) -> bool {
        self.page_bytes = 0;
        (self.page)(std::mem::take(&mut self.response))
    }

    fn finish(mut self) {
        self.response.truncated = self.is_cut;
        self.send();
    }
}

impl<Page: FnMut(GrepResponse) -> bool> Sink for &mut Found<'_, Page> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> Result<bool, io::Error> {
        if self.is_over() {
            return Ok(false);
        }
        let line = found.bytes();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let shown = &line[..line.len().min(limits::GREP_LINE_BYTES)];
        // A path that is no text cannot be answered.
        let Some(path) = self.path.to_str().map(str::to_owned) else { return Ok(false) };
        let text = String::from_utf8_lossy(shown).into_owned();
        let bytes = path.len() + text.len() + 16;
        self.response.matches.push(Match { path, line: found.line_number().unwrap_or(0), text });
        self.left -= 1;
        self.bytes += bytes;
        self.page_bytes += bytes;
        if self.page_bytes < limits::CHUNK_BYTES {
            return Ok(true);
        }
        Ok(self.send())
    }
}

/// A file that stops being read at the deadline.
struct Timed<'a> {
    file: &'a std::fs::File,
    deadline: Instant,
}

impl io::Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Instant::now() >= self.deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.file.read(buffer)
    }
}
