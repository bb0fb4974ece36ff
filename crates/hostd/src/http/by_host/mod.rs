//! Published HTTP ports by host name, through the daemon's own listeners.
//!
//! ```text
//!  Host: <name or port>--<machine>.<anything>  --its published port--> relay of this daemon --> guest
//!  Host: everything else                       --> the API
//! ```
//! The way leads over the port's own relay, so its limits and its idle deadline hold here too, and connections end with the
//! machine. Upgrades (WebSocket) pass.

mod forward;
mod name;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use contract::ErrorCode;
use engine::phase::Phase;

use super::api::Api;
use super::auth::Token;
use super::error::Failure;

/// What leading by host name needs.
#[derive(Clone)]
pub struct ByHost {
    /// The engine.
    pub api: Api,
    /// Where relays listen.
    pub relays: IpAddr,
    /// The token of this listener: a secret of the host's, which no guest may see.
    pub token: Option<Token>,
}

/// Puts the host names of published ports before a router.
pub fn by_host(router: Router, leading: ByHost) -> Router {
    router.layer(from_fn_with_state(leading, lead))
}

async fn lead(State(leading): State<ByHost>, mut request: Request, next: Next) -> Response {
    let Some(label) = name::label(&request) else { return next.run(request).await };
    let target = match leading.target(&label).await {
        Ok(target) => target,
        Err(failure) => return failure.into_response(),
    };
    if let Some(token) = &leading.token
        && token.is_shown_in(request.headers())
    {
        request.headers_mut().remove(header::AUTHORIZATION);
    }
    forward::forward(target, request).await.unwrap_or_else(IntoResponse::into_response)
}

impl ByHost {
    /// The relay of the port that is published under this label. Host names know no case; machines do.
    async fn target(&self, label: &str) -> Result<SocketAddr, Failure> {
        let journal = &self.api.host().journal;
        let published = journal.published_ports().await?;
        let ports = published.iter().filter(|port| port.is_http);
        let mut named = ports.filter(|port| port.host_label().eq_ignore_ascii_case(label));
        let exact = named.clone().find(|port| port.host_label() == label);
        let Some(port) = exact.or_else(|| named.next()) else {
            let reason = format!("no HTTP port is published as {label}");
            return Err(Failure::new(ErrorCode::NotFound, reason));
        };
        let machine = self.api.machine(&port.machine).await?;
        match &machine.phase {
            Phase::Running { .. } => Ok(SocketAddr::new(reachable(self.relays), port.host_port)),
            phase => {
                let phase = phase.public().as_str();
                let reason = format!("machine {} is {phase}", machine.id);
                Err(Failure::new(ErrorCode::Unavailable, reason))
            }
        }
    }
}

/// An address at which what listens there is reached.
fn reachable(listening: IpAddr) -> IpAddr {
    match listening {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}
