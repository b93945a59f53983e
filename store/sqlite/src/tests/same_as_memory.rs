//! The ledger in a file answers as the one in memory does, over some 6,000 random steps.

use super::*;
use proptest::{collection::vec, prelude::*};
use semel_conformance::equivalence;

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_answer_alike(steps in vec(any::<u64>(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(equivalence::answers_like_memory(&fixture(), &steps));
    }
}
