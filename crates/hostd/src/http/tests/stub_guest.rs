//! Guests of the smallest host, which do whatever they are asked.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use contract::{MountId, OperationId};
use engine::port::{
    CommandJob, Configured, GrownDisk, Guest, GuestIdentity, Launch, Login, MountOrder,
    MountReport, Reach, Renewal, Renewed,
};
use engine::record::CommandOutcome;

use super::stub::{Done, Yes};

fn configured() -> Configured {
    Configured { ssh_host_public_key: None }
}

#[async_trait]
impl Guest for Yes {
    async fn connect_ahead(&self, _: &Reach, _: Duration) -> Done {
        Ok(())
    }
    async fn handshake(&self, _: &Reach, _: Duration) -> Done<String> {
        Ok("1".into())
    }
    async fn configure(&self, _: &Reach, _: &GuestIdentity, _: Duration) -> Done<Configured> {
        Ok(configured())
    }
    async fn renew(&self, _: &Reach, _: &Renewal, _: Duration) -> Done<Renewed> {
        Ok(Renewed { agent_version: "1".into(), configured: configured() })
    }
    async fn freeze(&self, _: &Reach, _: Duration, _: Duration) -> Done {
        Ok(())
    }
    async fn thaw(&self, _: &Reach, _: Duration) -> Done {
        Ok(())
    }
    async fn grow_file_systems(&self, _: &Reach, _: GrownDisk, _: Duration) -> Done {
        Ok(())
    }
    async fn shut_down(&self, _: &Reach, _: Duration) -> Done {
        Ok(())
    }
    async fn announce(&self, _: &Reach, _: &Login, _: Duration) -> Done {
        Ok(())
    }
    async fn mount(&self, _: &Reach, _: &MountOrder, _: Duration) -> Done {
        Ok(())
    }
    async fn unmount(&self, _: &Reach, _: &MountId, _: Duration) -> Done {
        Ok(())
    }
    async fn mounts(&self, _: &Reach, _: Duration) -> Done<Vec<MountReport>> {
        Ok(vec![])
    }
    async fn serve_files(&self, _: &Launch) -> Done {
        Ok(())
    }
    async fn run_command(
        &self,
        _: &Reach,
        _: &OperationId,
        _: &CommandJob,
    ) -> Done<CommandOutcome> {
        self.commands.fetch_add(1, Ordering::Relaxed);
        Ok(CommandOutcome {
            exit_code: (!self.commands_are_late.load(Ordering::Relaxed)).then_some(0),
            stdout: "yes".into(),
            stderr: String::new(),
            is_truncated: false,
            duration_ms: 3,
        })
    }
    async fn end_command(&self, _: &Reach, _: &OperationId, _: Duration) -> Done {
        Ok(())
    }
    async fn forget(&self, _: &Launch) {}
}
