//! All sessions of the agent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::session::{Parts, Session};
use super::spawn::{Spawned, StartError, check, spawn};
use super::supervise::supervise;
use crate::agent::cgroup::Cgroup;
use crate::agent::freezer::Held;
use crate::agent::places::Places;
use crate::agent::reaper::Reaper;
use crate::limits;
use crate::proto::{SessionSummary, StartRequest};

/// An ended session that nobody removed may be asked for at least this long, and as a rule up to the longer one.
const KEPT: Duration = Duration::from_secs(60);
const KEPT_WHILE_THERE_IS_ROOM: Duration = Duration::from_secs(900);

/// The one table.
#[derive(Debug)]
pub(crate) struct SessionTable {
    places: Places,
    reaper: Reaper,
    cgroup: Option<Cgroup>,
    lingering: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sessions: HashMap<String, Arc<Session>>,
    started: u64,
    named: u64,
    /// Groups of forgotten sessions in which processes still run.
    leftovers: Vec<Cgroup>,
}

impl SessionTable {
    pub(crate) fn new(places: Places, reaper: Reaper, cgroup: Option<Cgroup>) -> SessionTable {
        SessionTable {
            places,
            reaper,
            cgroup,
            lingering: Arc::new(Semaphore::new(limits::LINGERING_OUTPUTS)),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a session; true when an equal one was there. The guest must be thawed and stay so: a child that freezes
    /// on its way to exec would hold the agent up.
    pub(crate) fn start(
        &self,
        request: StartRequest,
        _thawed: &Held,
    ) -> Result<(Arc<Session>, bool), StartError> {
        check(&request)?;
        let mut state = self.state();
        if let Some(session) = state.sessions.get(&request.session_id) {
            let is_equal = session.request == request;
            return if is_equal { Ok((session.clone(), true)) } else { Err(StartError::Taken) };
        }
        state.expire(KEPT_WHILE_THERE_IS_ROOM);
        state.make_room()?;
        state.remove_leftovers();
        let session = self.start_new(&mut state, request)?;
        state.sessions.insert(session.request.session_id.clone(), session.clone());
        Ok((session, false))
    }

    /// Starts a session under a name that must be new.
    pub(crate) fn start_anew(
        &self,
        request: StartRequest,
        thawed: &Held,
    ) -> Result<Arc<Session>, StartError> {
        match self.start(request, thawed)? {
            (_session, true) => Err(StartError::Taken),
            (session, false) => Ok(session),
        }
    }

    /// A name that no session has.
    pub(crate) fn fresh_id(&self, prefix: &str) -> String {
        let mut state = self.state();
        state.named += 1;
        format!("{prefix}-{}", state.named)
    }

    /// Those whose command has not ended.
    pub(crate) fn running(&self) -> Vec<Arc<Session>> {
        let mut sessions: Vec<_> = self.state().sessions.values().cloned().collect();
        sessions.retain(|session| session.ended_at().is_none());
        sessions.sort_by_key(|session| session.started);
        sessions
    }

    fn start_new(
        &self,
        state: &mut State,
        request: StartRequest,
    ) -> Result<Arc<Session>, StartError> {
        state.started += 1;
        let name = format!("session-{}", state.started);
        let cgroup = self.cgroup.as_ref().map(|guest| guest.child(&name));
        let cgroup = cgroup.transpose().map_err(StartError::Resources)?;
        let spawned = spawn(&self.places, &self.reaper, cgroup.as_ref(), &request);
        let Spawned { running, streams } = match spawned {
            Ok(spawned) => spawned,
            Err(error) => {
                state.leftovers.extend(cgroup);
                state.remove_leftovers();
                return Err(error);
            }
        };
        let session = Arc::new(Session::new(Parts {
            request,
            pid: running.pid,
            reaper: self.reaper.clone(),
            cgroup,
            terminal: streams.terminal(),
        }));
        supervise(&session, running, streams, &self.lingering);
        Ok(session)
    }

    pub(crate) fn find(&self, session_id: &str) -> Option<Arc<Session>> {
        self.state().sessions.get(session_id).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.state().sessions.len()
    }

    /// The oldest first.
    pub(crate) fn list(&self) -> Vec<SessionSummary> {
        let mut sessions: Vec<_> = {
            let mut state = self.state();
            state.expire(KEPT_WHILE_THERE_IS_ROOM);
            state.sessions.values().cloned().collect()
        };
        sessions.sort_by_key(|session| session.started);
        sessions.iter().map(|session| session.summary()).collect()
    }

    /// Kills what runs and forgets the session; false when there was none.
    pub(crate) fn remove(&self, session_id: &str) -> std::io::Result<bool> {
        let mut state = self.state();
        let Some(session) = state.sessions.get(session_id).cloned() else {
            return Ok(false);
        };
        // What the command left in the background lives on when the command itself had ended.
        if session.state().ended.is_none() {
            session.kill_tree()?;
        }
        state.forget(session_id);
        state.remove_leftovers();
        Ok(true)
    }

    /// Nobody who reads the output of these sessions will go on: none of them waits for it.
    pub(crate) fn detach_all(&self) {
        for session in self.state().sessions.values() {
            session.change(|state| {
                state.readers.forget_all();
                if !state.output.waits_for_reader() {
                    state.output.drop_oldest();
                }
            });
        }
    }
}

impl State {
    /// Forgets the longest ended session when the table is full.
    fn make_room(&mut self) -> Result<(), StartError> {
        if self.sessions.len() < limits::SESSIONS {
            return Ok(());
        }
        let oldest = self.ended_for(KEPT).min_by_key(|(at, _)| *at).map(|(_, id)| id);
        self.forget(&oldest.ok_or(StartError::Full)?);
        Ok(())
    }

    /// Forgets those that ended so long ago and that nobody reads.
    fn expire(&mut self, longer_than: Duration) {
        let expired: Vec<String> = self.ended_for(longer_than).map(|(_, id)| id).collect();
        for id in expired {
            self.forget(&id);
        }
    }

    fn ended_for(&self, longer_than: Duration) -> impl Iterator<Item = (Instant, String)> {
        let now = Instant::now();
        self.sessions
            .iter()
            .filter(|(_, session)| !session.state().readers.is_read())
            .filter_map(|(id, session)| Some((session.ended_at()?, id.clone())))
            .filter(move |(at, _)| now.duration_since(*at) >= longer_than)
    }

    fn forget(&mut self, session_id: &str) {
        if let Some(session) = self.sessions.remove(session_id) {
            session.change(|state| state.is_removed = true);
            self.leftovers.extend(session.cgroup.clone());
        }
    }

    /// A group with processes in it stays for the next time.
    fn remove_leftovers(&mut self) {
        self.leftovers.retain(|cgroup| cgroup.remove().is_err());
    }
}
