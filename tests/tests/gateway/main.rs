//! The promises of the gateway. Each module is named after the promise it keeps, and begins with
//! the failure as a story.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test says what it expects"
)]

mod peers;
mod plays;
mod raw_server;
mod scene;
mod server;
mod session;
mod web;

mod a_call_in_rounds_is_one_operation;
mod a_call_is_sent_once;
mod a_client_hears_what_it_hears_without_the_gateway;
mod a_framework_that_retries_takes_effect_once;
mod a_misspelt_call_needs_no_person;
mod a_server_conforms_as_it_does_without_the_gateway;
mod a_server_is_known_by_its_certificate;
mod a_server_on_the_network_is_sent_each_message_once;
mod a_server_that_is_silent_leaves_doubt;
mod a_trace_goes_all_the_way;
mod an_http_status_reaches_judgement;
mod bad_input_harms_nobody;
mod clients_come_in_over_http;
mod eras_meet;
mod every_client_meets_every_server;
mod headers_say_what_arguments_say;
mod no_cut_takes_effect_twice;
mod no_fault_takes_effect_twice;
mod several_servers_are_one;
mod the_key_goes_where_the_server_looks;
mod the_model_hears_what_the_server_said;
mod what_is_in_doubt_is_looked_up;
mod what_is_no_call_passes_unchanged;
