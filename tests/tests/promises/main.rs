//! The promises of Semel, end to end: through the library, with the ready-made policies as
//! WebAssembly components. Each module is named after the promise it keeps, and begins with the
//! failure as a story.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test says what it expects"
)]

#[path = "../../guests/assemble.rs"]
mod assemble;
mod processes;
mod random;
mod scene;
mod server;
mod shop;
mod stories;
mod stripe;
mod wire;
mod wish;
mod world;

mod a_bad_call_is_refused_in_words;
mod a_broken_disk_is_told;
mod a_crash_is_replayed_or_in_doubt;
mod a_day_of_faults_sends_nothing_twice;
mod a_key_is_changed_under_load;
mod a_log_tells_no_secret;
mod a_payment_at_stripe_is_made_once;
mod a_policy_that_fails_sends_nothing_twice;
mod a_refund_at_stripe_is_made_once;
mod a_retry_storm_takes_effect_once;
mod a_watched_tool_is_left_alone;
mod an_answer_says_what_is_so;
mod an_answer_that_was_lost_is_replayed;
mod localstripe_refunds_once;
mod no_clock_sends_again;
mod no_lost_message_sends_again;
mod no_tenant_sees_another;
mod power_loss_takes_nothing_back;
mod the_recorded_airline_books_once;
mod the_same_key_from_all_sides_is_sent_once;
mod two_branches_send_once;
mod two_processes_share_a_file;
mod what_failed_may_be_tried_again;
mod what_is_in_doubt_can_be_looked_up;
mod what_is_sealed_tells_nothing;
mod what_is_sent_is_what_was_written;
mod what_may_be_lost_is_not_sent_again;
mod what_was_undone_may_be_done_again;
mod whatever_the_ledger_does_the_shop_does_it_once;
mod who_has_the_file_cannot_guess_what_it_is_about;
mod whoever_is_killed_sends_nothing_twice;
mod whoever_is_stopped_is_fenced;
mod without_a_ledger_nothing_runs;
