//! Names that nobody can guess or has used before.

use contract::OperationId;
use engine::reconcile::Mint;
use jiff::Timestamp;

/// Randomness of the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemMint;

impl SystemMint {
    /// Random bits.
    pub fn random<const BYTES: usize>(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).expect("Linux has had getrandom(2) since 3.17");
        bytes
    }
}

impl Mint for SystemMint {
    fn operation_id(&self) -> OperationId {
        let millis = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0);
        OperationId::from_parts(millis, self.random())
    }
}
